"""An origin in a process of its own, which can be stopped, killed and started again: origin_child.py PORT FOLDER.

Keeps connections. /slow answers after half a second. Every POST leaves its path as a line of FOLDER/posts.
"""

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, posts: BinaryIO) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            method, path, _ = head.split(b" ", 2)
            rows = head.lower().split(b"\r\n")
            if length := next((int(row[15:]) for row in rows if row.startswith(b"content-length:")), 0):
                await reader.readexactly(length)
            if method == b"POST":
                posts.write(path + b"\n")
            if path.startswith(b"/slow"):
                await asyncio.sleep(0.5)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int, posts: BinaryIO) -> None:
    server = await asyncio.start_server(lambda r, w: serve(r, w, posts), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    with open(Path(sys.argv[2]) / "posts", "ab", buffering=0) as file:
        asyncio.run(main(int(sys.argv[1]), file))
