"""An origin in a process of its own, so that it can be stopped, killed and started again: python origin_child.py PORT
[FOLDER].

Keeps connections. /slow answers after half a second, /close closes after its answer, /body counts a POST's bytes; with a
folder, every POST leaves a line there.
"""

import asyncio
import sys
from pathlib import Path


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, posts: Path | None) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            method, path, _ = head.split(b" ", 2)
            length = next((int(row[15:]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")), 0)
            if length:
                await reader.readexactly(length)
            if method == b"POST" and posts:
                with open(posts / "posts", "ab") as file:
                    file.write(path + b"\n")
            if path.startswith(b"/slow"):
                await asyncio.sleep(0.5)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await writer.drain()
            if path.startswith(b"/close"):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    posts = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    server = await asyncio.start_server(lambda r, w: serve(r, w, posts), "127.0.0.1", int(sys.argv[1]), backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
