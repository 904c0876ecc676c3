"""DESIGN section 7: a file includes its own folder and those before it; system calls live in io/; no writable globals.

Calls and globals are read from the symbols of the compiled objects, so that no spelling hides them.
"""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.house import exceptions
from tests.house.tree import LAYERS, ROOT, files, lines, name

OBJECTS = ROOT / "build" / "lint-gcc" / "obj"
SYSTEM_CALLS = set("""
    accept accept4 bind clock_gettime clock_nanosleep close connect dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
    epoll_pwait epoll_wait eventfd execve fcntl fdatasync fopen fork fstat fsync ftruncate getpeername getrandom
    getsockname getsockopt gettimeofday inotify_init io_uring_enter ioctl kill listen lseek memfd_create mmap mprotect
    mremap msync munmap nanosleep open openat pipe pipe2 poll ppoll prctl pread preadv pwrite pwritev read readv recv
    recvfrom recvmmsg recvmsg rename select send sendfile sendmmsg sendmsg sendto setsockopt shutdown sigaction sleep
    socket socketpair splice stat syscall time timerfd_create timerfd_settime unlink usleep vmsplice waitpid
    write writev
""".split())


@pytest.fixture(scope="module")
def objects() -> list[tuple[str, Path]]:
    """(source, object) of every file of the engine, freshly compiled."""
    make = ["make", "--no-print-directory", "objects-lint-gcc"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    sources = files(".c", under=("src_c",))
    return [(name(s), OBJECTS / s.relative_to(ROOT / "src_c").with_suffix(".o")) for s in sources]


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check(found: set[str], allowed: dict[str, str], what: str) -> None:
    """Every finding must be excused, and every excuse needed."""
    assert not found - allowed.keys(), f"{what}: {sorted(found - allowed.keys())}"
    assert not allowed.keys() - found, f"excused but not there: {sorted(allowed.keys() - found)}"


def test_every_folder_is_a_layer() -> None:
    assert {p.name for p in (ROOT / "src_c").iterdir() if p.is_dir()} == set(LAYERS)


def test_a_file_includes_only_its_own_layer_and_those_before() -> None:
    wrong = []
    for path in files(".c", ".h", ".def", under=("src_c",)):
        rank = LAYERS.index(path.relative_to(ROOT / "src_c").parts[0])
        for number, line in enumerate(lines(path), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if m and (m[1].partition("/")[0] not in LAYERS[: rank + 1] or not (ROOT / "src_c" / m[1]).exists()):
                wrong.append(f"{name(path)}:{number}: {m[1]}")
    assert not wrong


def test_the_engine_knows_no_python() -> None:
    include = re.compile(r"#\s*include\s+[<\"]Python\.h")
    assert not [name(p) for p in files(".c", ".h", under=("src_c",)) if include.search(p.read_text())]


def test_system_calls_are_made_in_io_only(objects: list[tuple[str, Path]]) -> None:
    found = set()
    for source, obj in objects:
        if not source.startswith("src_c/io/"):
            undefined = {line.split()[-1] for line in run("nm", "-u", obj).splitlines()}
            plain = {re.sub(r"^__(\w+)_chk$|^(\w+)64$", r"\1\2", symbol.partition("@")[0]) for symbol in undefined}
            found |= {f"{source}:{call}" for call in plain & SYSTEM_CALLS}
    check(found, exceptions.SYSTEM_CALLS, "system calls outside io/")


def test_the_engine_has_no_writable_globals(objects: list[tuple[str, Path]]) -> None:
    found = set()
    symbol = re.compile(r"[0-9a-f]+ .{7} \.t?(?:data|bss)(?!\.rel\.ro)\S*\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$")
    for source, obj in objects:
        for line in run("objdump", "-t", obj).splitlines():
            if (m := symbol.match(line)) and int(m[1], 16) and not m[2].startswith("."):
                found.add(f"{source}:{m[2]}")
    check(found, exceptions.WRITABLE_GLOBALS, "writable globals")


def test_what_a_library_exports_is_called_fgw(objects: list[tuple[str, Path]]) -> None:
    wrong = []
    for source, obj in objects:
        names = [line.split()[-1] for line in run("nm", "-g", "--defined-only", obj).splitlines()]
        wrong += [f"{source}:{n}" for n in names if not n.startswith("fgw_")]
    assert not wrong


def test_the_engine_calls_nothing_of_python(objects: list[tuple[str, Path]]) -> None:
    """So the only way between a request and the interpreter is the loop's call of `turn`, and what it is handed."""
    python = {
        f"{source}: {symbol}"
        for source, built in objects
        for symbol in run("nm", "-u", built).replace("U ", "").split()
        if re.match(r"_?Py", symbol)
    }
    assert not python
