"""Load and compile a configuration in a process of its own, so that neither ten thousand routes nor a plugin's import
may stall the supervisor. Run as `python -m fastgw.control.build` with a SEQPACKET socket as standard input.

    supervisor ──Build, memfds (slot table, digests)──► template ──fork──► child: Segments, Built, with memfds
                                                            └──the child has ended──► Ended

Every build has a child of its own, so nothing that a configuration or a plugin does outlives it. The template has done
the imports and nothing else: it has one thread, reads no configuration, and a fork of it takes milliseconds.
"""

import gc
import hashlib
import os
import resource
import signal
import socket
import traceback
from pathlib import Path

import msgspec

from fastgw import _process
from fastgw._shm import seg_memfd
from fastgw._tls import inspect
from fastgw.config.load import Loaded, format_of, load, loads
from fastgw.config.model import Config
from fastgw.errors import ConfigErrors
from fastgw.plugin.catalogue import Catalogue, examine, steps
from fastgw.snapshot.compile import SnapshotError, compile
from fastgw.upstream.spec import ClusterSpec, Member

from . import channel as ch
from .identity import IdentityError, become, find
from .listeners import ListenerSpec
from .slots import SlotTable
from .snapshot import CertSpec, Plan, PluginSpec, changed, read_memfd, root_hash

MEMFDS_PER_FRAME = 32


def digests(config: Config) -> dict[str, str]:
    """ "kind name" → a digest of that object's settings; all that is not a named object is "settings"."""
    encode = msgspec.msgpack.encode
    found = {
        f"{kind} {name}": hashlib.sha256(encode(value)).hexdigest()[:16]
        for kind, objects in (("listener", config.listeners), ("upstream", config.upstreams), ("route", config.routes))
        for name, value in objects.items()
    }
    rest = msgspec.structs.replace(config, listeners={}, upstreams={}, routes={})
    found["settings"] = hashlib.sha256(encode(rest)).hexdigest()[:16]
    return found


def read(request: ch.Build, present: bytes | None) -> Loaded:
    """The document at the path, or the present or the kept one in its place. ConfigErrors."""
    path = Path(request.path)
    if present is not None:
        return loads(present.decode(), request.path, format_of(path), base=path.parent)
    if not request.document:
        return load(request.path)
    text = Path(request.document).read_text(encoding="utf-8")
    return loads(text, request.document, format_of(path), base=path.parent)


def plugins_of(loaded: Loaded) -> Catalogue:
    """The plugins, loaded on trial: this process never has more rights than workers will. ConfigErrors."""
    if next(steps(loaded.config), None) is None:
        return Catalogue()
    try:
        user, group = find(loaded.config.user or "", loaded.config.group or "")
    except IdentityError:
        user = group = -1  # the supervisor tells it when it comes to workers
    become(user, group)
    _process.pdeathsig(signal.SIGKILL)
    found, problems = examine(loaded)
    if problems:
        raise ConfigErrors([loaded.redactor.problem(problem) for problem in problems], loaded.warnings)
    return found


def plan(loaded: Loaded, slots: SlotTable, before: dict[str, str], plugins: Catalogue) -> Plan:
    """What the supervisor needs to know of a compiled configuration."""
    config, objects = loaded.config, digests(loaded.config)
    objects |= {f"plugin {each.name}": f"{each.key:016x}" for each in plugins.entries()}
    return Plan(
        listeners=[ListenerSpec(name, slots.listener_id(name), each.bind) for name, each in config.listeners.items()],
        clusters=[
            ClusterSpec(
                name,
                slots.endpoint_table(name),
                slots.endpoint_cap(name),
                tuple(Member(endpoint.address, endpoint.weight) for endpoint in each.endpoints),
            )
            for name, each in config.upstreams.items()
        ],
        admin=config.admin,
        log=config.log,
        workers=0 if config.workers == "auto" else config.workers,
        drain_ms=config.timeouts.drain,
        drain_delay_ms=config.timeouts.drain_delay,
        user=config.user or "",
        group=config.group or "",
        slots=slots.state(),
        objects=msgspec.msgpack.encode(objects),
        changed=changed(before, objects),
        document=loaded.text.encode(),
        warnings=[warning.render() for warning in loaded.warnings],
        certificates=certificates(config),
        files=loaded.files,
        watch_ms=config.watch.certificates,
        plugins=[PluginSpec(each.name, each.use, each.kinds) for each in plugins.entries()],
        effective=msgspec.json.encode(loaded.effective()),
    )


def certificates(config: Config) -> list[CertSpec]:
    """Every certificate of every listener, and when it ends."""
    found = []
    for name, listener in config.listeners.items():
        for number, each in enumerate(listener.tls.certificates if listener.tls else ()):
            info = inspect(each.cert.encode())
            found.append(CertSpec(name, info.names[0] if info.names else f"#{number}", info.not_after))
    return found


def build(
    request: ch.Build, slots_state: bytes, before: bytes, present: bytes | None = None
) -> tuple[Plan, int, dict[int, bytes]]:
    """The plan, the root's hash, and all segments with the root among them. ConfigErrors, SnapshotError."""
    loaded = read(request, present)
    return make(loaded, request.generation, slots_state, before, plugins_of(loaded))


def make(
    loaded: Loaded, generation: int, slots_state: bytes, before: bytes, plugins: Catalogue
) -> tuple[Plan, int, dict[int, bytes]]:
    """The same of a loaded document and its plugins. SnapshotError."""
    slots = SlotTable.from_state(slots_state)
    for name, upstream in loaded.config.upstreams.items():
        slots.reserve_endpoints(name, len(upstream.endpoints))
    try:
        snapshot = compile(loaded.config, generation, slots, plugins=plugins)
    except SnapshotError as error:
        raise SnapshotError(loaded.redactor.text(str(error))) from None
    root = root_hash(snapshot.root)
    known = msgspec.msgpack.decode(before, type=dict[str, str])
    return plan(loaded, slots, known, plugins), root, {**snapshot.segments, root: snapshot.root}


def send(sock: socket.socket, frame: ch.Frame, fds: list[int]) -> None:
    socket.send_fds(sock, [ch.encode(frame, fds)], fds)
    ch.close_all(fds)


def answer(sock: socket.socket, request: ch.Build, states: list[int]) -> None:
    """Build and send the outcome, whatever it is."""
    try:
        made, root, segments = build(request, *(read_memfd(fd) for fd in states))
    except (ConfigErrors, SnapshotError, OSError) as e:
        send(sock, ch.Built(ok=False, errors=cut(str(e).splitlines())), [])
        return
    items = list(segments.items())
    for at in range(0, len(items), MEMFDS_PER_FRAME):
        part = items[at : at + MEMFDS_PER_FRAME]
        memfds = [seg_memfd(f"fastgw {hash:016x}", data) for hash, data in part]
        send(sock, ch.Segments([hash for hash, _ in part]), memfds)
    send(sock, ch.Built(ok=True, root=root), [seg_memfd("fastgw plan", msgspec.msgpack.encode(made))])


def cut(lines: list[str], limit: int = ch.FRAME_MAX // 2) -> list[str]:
    """As many lines as fit into a frame, and a word about the others."""
    kept: list[str] = []
    size = 0
    for line in lines:
        size += len(line.encode()) + 5
        if size > limit:
            return [*kept, f"... and {len(lines) - len(kept)} more lines"]
        kept.append(line)
    return kept


def child(sock: socket.socket, data: bytes, fds: list[int]) -> None:
    """One build, in a process that ends afterwards."""
    _process.set_title("fastgw: build", "fastgw-build")
    _process.pdeathsig(signal.SIGKILL)
    request = msgspec.msgpack.decode(data, type=ch.BuildFrame)
    if not isinstance(request, ch.Build) or len(fds) not in (2, 3):
        raise ValueError("not a request for a build")
    answer(sock, request, fds)


def serve(sock: socket.socket) -> None:
    """The template: one child for each request, one after the other, until the supervisor is gone."""
    while True:
        data, fds = ch.receive(sock)
        if not data:
            return
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child(sock, data, fds)
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        ch.close_all(fds)
        _, status = os.waitpid(pid, 0)
        send(sock, ch.Ended(os.waitstatus_to_exitcode(status)), [])


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    _process.set_title("fastgw: build", "fastgw-build")
    _process.pdeathsig(signal.SIGKILL)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.freeze()  # what is here now is for ever: a child's collector need not look at it, nor copy its pages
    serve(socket.socket(fileno=os.dup(0)))


if __name__ == "__main__":
    main()
