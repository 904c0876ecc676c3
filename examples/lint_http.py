"""Would the gateway take these bytes? Reads one connection's worth of HTTP/1 requests and tells what it finds.

    printf 'GET / HTTP/1.1\\r\\nHost : x\\r\\n\\r\\n' | python examples/lint_http.py
    python examples/lint_http.py --responses capture.bin

Exit code: 0 all is well, 1 a message is refused or cut short.
"""

import argparse
import sys
from pathlib import Path

from fastgw.picohttp import Data, ParseError, RequestHead, RequestReader, ResponseHead, ResponseReader

AROUND = 30


def lint(data: bytes, reader: RequestReader | ResponseReader) -> int:
    """Print a line for each message. Returns the exit code."""
    reader.feed(data)
    reader.eof()
    body = 0
    try:
        for event in iter(reader.next, None):
            if isinstance(event, Data):
                body += len(event.data)
            elif isinstance(event, RequestHead):
                print(f"{event.method.decode()} {event.target.decode()}  {len(event.fields)} fields", end="")
            elif isinstance(event, ResponseHead):
                print(f"{event.status} {event.reason.decode('latin-1')}  {len(event.fields)} fields", end="")
                if event.status < 200:
                    print()
            else:
                print(f"  {body} bytes of body")
                body = 0
    except ParseError as error:
        before, after = data[max(0, error.offset - AROUND) : error.offset], data[error.offset :][:AROUND]
        shown = repr(before)[2:-1]
        print(f"\n{error}\n  {shown}{repr(after)[2:-1]}\n  {' ' * len(shown)}^")
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--responses", action="store_true", help="the bytes come from a server")
    parser.add_argument("file", nargs="?", type=Path, help="standard input without")
    options = parser.parse_args()
    data = options.file.read_bytes() if options.file else sys.stdin.buffer.read()
    return lint(data, ResponseReader() if options.responses else RequestReader())


if __name__ == "__main__":
    sys.exit(main())
