"""Servers other people wrote behind a live gateway: nginx and uvicorn."""

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .peers import nginx, rows, uvicorn
from .supervised import gateway, until

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{n: {{endpoints: ["{nginx}"]}}, u: {{endpoints: ["{uvicorn}"]}}}}
routes:
  n: {{match: {{prefix: /n}}, strip_prefix: true, to: n}}
  u: {{match: {{prefix: /u}}, strip_prefix: true, to: u}}
admin: {{bind: "127.0.0.1:0"}}
log: {{access: {{to: {log}}}}}
workers: 2
"""
FILE = bytes(i * i % 251 for i in range(1 << 20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("origins")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    (folder / "www").mkdir()
    (folder / "www" / "file").write_bytes(FILE)
    with nginx(folder) as n, uvicorn(folder) as u, gateway(folder) as gw:
        gw.start(CONFIG.format(nginx=n, uvicorn=u, log=folder / "access.log")).ready()
        yield f"http://{gw.address()}"


def test_nginx_files_ranges_and_validators_pass(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        whole = client.get("/n/file")
        assert (whole.status_code, whole.content) == (200, FILE)
        part = client.get("/n/file", headers={"range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, FILE[1000:2000])
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(FILE)}"
        same = client.get("/n/file", headers={"if-none-match": whole.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        head = client.head("/n/file")
        assert (head.headers["content-length"], head.content) == (str(len(FILE)), b"")
        assert client.get("/n/none").status_code == 404


def test_uvicorn_streams_both_ways(url: str) -> None:
    async def main() -> tuple[bytes, list[str]]:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(FILE), 50_000):
                yield FILE[at : at + 50_000]

        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            echoed = (await client.post("/u/echo", content=pieces())).content
            return echoed, (await client.get("/u/stream")).text.split()

    echoed, lines = asyncio.run(main())
    assert echoed == FILE
    assert lines == [f"{i:05d}" for i in range(1000)]


def test_200_at_once(url: str) -> None:
    async def main() -> list[tuple[int, str]]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            answers = await asyncio.gather(*(client.post("/u/sum", content=b"%d" % i * 1000) for i in range(200)))
            return [(answer.status_code, answer.text) for answer in answers]

    for i, answer in enumerate(asyncio.run(main())):
        body = b"%d" % i * 1000
        assert answer == (200, f"{len(body)} {hashlib.sha256(body).hexdigest()}")


def test_the_log_tells_of_a_request(url: str, folder: Path) -> None:
    command = ["curl", "-sS", "-A", "teller", "-o", "/dev/null", "-w", "%{size_download}", f"{url}/n/small?a=1"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=30).stdout == b"13"
    log = folder / "access.log"

    def told() -> list[dict[str, Any]]:
        return [row for row in rows(log, 1) if row.get("user_agent") == "teller"]

    [row] = until(told, "the line of this request")
    assert {"method": "GET", "target": "/n/small?a=1", "status": 200, "route": "n", "listener": "web", "upstream": "n",
            "client": "127.0.0.1", "protocol": "HTTP/1.1", "tries": 1}.items() <= row.items()  # fmt: skip
