"""`fastgw demo`: two upstreams and a gateway in front of them, all on this machine, until INT or TERM."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import click

from .common import emit, json_option
from .demo_apps import Orders, users
from .demo_http import Origin

ADMIN_PORT, USERS_PORT, ORDERS_PORT = 9900, 9001, 9002
GATEWAY = [sys.executable, "-m", "fastgw.cli"]
START, STOP = 20.0, 10.0  # seconds the gateway has to get ready, and to end

CONFIG = """\
# The demo's configuration. Change it and send HUP to the gateway: it is read again without losing a request.
listeners:
  web: {bind: "127.0.0.1:8080"}

upstreams:
  users: {endpoints: ["127.0.0.1:9001"]}
  orders: {endpoints: ["127.0.0.1:9002"]}

routes:
  users:
    match: {prefix: "/users"}
    strip_prefix: true
    to: users
  orders:
    match: {prefix: "/orders", methods: [GET, HEAD, POST]}
    to: orders
  one-order:
    match: {pattern: "/orders/{id}"}
    chain:
      - headers: {set: {x-order: "{id}"}, reply: {set: {x-request-id: "{request.id}"}}}
    to: orders
  old-users:
    match: {prefix: "/people"}
    to: {redirect: {to: "/users", status: 301}}
  hello:
    match: {exact: "/hello"}
    to: {static: {body: "hello\\n", headers: {content-type: text/plain}}}

admin: {bind: "127.0.0.1:9900"}
"""


@click.command("demo")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The gateway's port; 0: a free one."
)
@click.option("--workers", type=click.IntRange(1, 256), metavar="N", help="Worker processes.")
@click.option(
    "--upstreams-only", is_flag=True, help="Only the upstreams, on 127.0.0.1:9001 and :9002 (--port 0: free ports)."
)
@json_option
def command(port: int, workers: int | None, upstreams_only: bool, as_json: bool) -> None:
    """Start two upstreams and a gateway in front of them; stop all on INT or TERM.

    Prints six lines: the gateway's address, the admin address, a curl that works, the configuration's path, the folder
    of the logs, and the command that has an edited configuration read."""
    import uvloop

    demo = Demo(port, workers, as_json)
    sys.exit(uvloop.run(demo.upstreams_only() if upstreams_only else demo.run()))


class Demo:
    """One run. `run` and `upstreams_only` return the exit code; afterwards nothing is left but what the user kept."""

    def __init__(self, port: int, workers: int | None, as_json: bool) -> None:
        self._port, self._workers, self._json = port, workers, as_json
        self._users, self._orders = Origin(users), Origin(Orders())
        self._stop = asyncio.Event()
        self._folder: Path | None = None

    async def upstreams_only(self) -> int:
        self._signals()
        ports = (USERS_PORT, ORDERS_PORT) if self._port else (0, 0)
        try:
            found = {"users": await self._users.listen("127.0.0.1", ports[0]),
                     "orders": await self._orders.listen("127.0.0.1", ports[1])}  # fmt: skip
            self._print(found)
            await self._stop.wait()
        except OSError as error:
            return _fail(f"cannot listen: {error.strerror}")
        finally:
            await self._origins_stop()
        return 0

    async def run(self) -> int:
        self._signals()
        self._folder = Path(tempfile.mkdtemp(prefix="fastgw-demo-"))
        gateway = None
        try:
            found = await self._configure()
            gateway = await self._gateway(found["config"])
            if not await self._ready(gateway, found["admin"]):
                return _fail(f"the gateway did not start:\n{self._log()}")
            self._print(found | {"logs": str(self._folder), "reload": f"kill -HUP {gateway.pid}"})
            await self._until_stopped(gateway)
            return 0 if self._stop.is_set() else _fail(f"the gateway ended:\n{self._log()}")
        except OSError as error:
            return _fail(str(error.strerror or error))
        finally:
            await _end(gateway)
            await self._origins_stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    async def _configure(self) -> dict[str, str]:
        """Start the upstreams and write the configuration. Returns what is known of them, to be printed."""
        assert self._folder is not None
        web = f"127.0.0.1:{self._port or _free_port()}"
        if self._port and not _is_free(self._port):
            raise OSError(0, f"127.0.0.1:{self._port} is taken; `{sys.argv[0]} demo --port 0` takes a free port")
        admin = f"127.0.0.1:{ADMIN_PORT if self._port and _is_free(ADMIN_PORT) else _free_port()}"
        places = {
            "127.0.0.1:8080": web,
            "127.0.0.1:9900": admin,
            "127.0.0.1:9001": await self._users.listen("127.0.0.1"),
            "127.0.0.1:9002": await self._orders.listen(str(self._folder / "orders.sock")),
        }
        text = (
            CONFIG
            + f'log: {{access: {{to: "{self._folder}/access.log"}}, error: {{to: "{self._folder}/error.log"}}}}\n'
        )
        for old, new in places.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        config = self._folder / "fastgw.yaml"
        config.write_text(text)
        return {"gateway": f"http://{web}", "admin": f"http://{admin}", "try": f"curl -i http://{web}/users/1",
                "config": str(config)}  # fmt: skip

    async def _gateway(self, config: str) -> asyncio.subprocess.Process:
        """Start `fastgw run`, which dies with this process and hears of signals only from it."""
        from fastgw._process import pdeathsig

        arguments = [*GATEWAY, "run", "-c", config]
        arguments += ["--workers", str(self._workers)] if self._workers else []
        assert self._folder is not None
        with open(self._folder / "gateway.log", "wb") as log:  # noqa: ASYNC230
            return await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: pdeathsig(signal.SIGTERM),
            )  # fmt: skip

    async def _ready(self, gateway: asyncio.subprocess.Process, admin: str) -> bool:
        """Wait until the admin address says that traffic is served."""
        host, _, port = admin.removeprefix("http://").rpartition(":")
        deadline = asyncio.get_running_loop().time() + START
        while gateway.returncode is None and not self._stop.is_set():
            if await _is_ready(host, int(port)):
                return True
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.05)
        return self._stop.is_set()

    async def _until_stopped(self, gateway: asyncio.subprocess.Process) -> None:
        waits = [asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(gateway.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _origins_stop(self) -> None:
        await self._users.stop()
        await self._orders.stop()

    def _log(self) -> str:
        """The end of what the gateway said."""
        assert self._folder is not None
        texts = []
        for name in ("gateway.log", "error.log"):
            with contextlib.suppress(OSError):
                texts += (self._folder / name).read_text(errors="replace").splitlines()[-20:]
        return "\n".join(texts)

    def _print(self, found: dict[str, str]) -> None:
        if self._json:
            emit(found)
        else:
            for name, value in found.items():
                click.echo(f"{name + ':':9}{value}")
        sys.stdout.flush()


async def _is_ready(host: str, port: int) -> bool:
    """One request for /readyz; anything but 200 is no."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return (await asyncio.wait_for(reader.readline(), 1)).split(b" ")[1:2] == [b"200"]
        finally:
            writer.close()
    except (OSError, TimeoutError):
        return False


async def _end(gateway: asyncio.subprocess.Process | None) -> None:
    """TERM, and after a while KILL."""
    if gateway is None or gateway.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            gateway.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gateway.wait(), STOP)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _fail(text: str) -> int:
    click.echo(f"fastgw demo: {text}", err=True)
    return 1
