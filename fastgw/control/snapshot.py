"""A compiled configuration as the supervisor holds it: sealed memfds by content address, and the plan that goes with
it."""

import os
import struct
from dataclasses import dataclass

from msgspec import Struct

from fastgw.config.expand import Signature
from fastgw.config.model import Admin, Log
from fastgw.upstream.spec import ClusterSpec

from .listeners import ListenerSpec


class CertSpec(Struct, frozen=True, array_like=True):
    """A certificate that a listener shows: its first DNS name, or "#number", and its end in Unix time."""

    listener: str
    name: str
    not_after: int


class PluginSpec(Struct, frozen=True, array_like=True):
    """One plugin of the configuration. hooks: the kinds that it has."""

    name: str
    use: str
    hooks: tuple[str, ...]


class Plan(Struct, frozen=True, array_like=True):
    """What the supervisor itself needs of a configuration. Routes are not in it: only workers need them."""

    listeners: list[ListenerSpec]
    clusters: list[ClusterSpec]
    admin: Admin
    log: Log
    workers: int  # 0: one for each core
    drain_ms: int
    drain_delay_ms: int
    user: str  # of workers; "": as this process
    group: str
    slots: bytes  # the slot table's new state
    objects: bytes  # digests of all objects, for the next build to tell what changed
    changed: list[str]  # since the build before
    document: bytes  # the configuration as written, references unexpanded: what is kept as last good
    warnings: list[str] = []
    certificates: list[CertSpec] = []
    files: dict[str, Signature] = {}  # that certificates and keys were read from
    watch_ms: int = 0  # how often they are looked at; 0: never
    plugins: list[PluginSpec] = []
    effective: bytes = b"{}"  # JSON: the configuration with its defaults, references unexpanded


class Segment:
    """A sealed memfd, closed when nothing refers to it any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation. `segments` holds the root too, under its own address."""

    generation: int
    root: int
    segments: dict[int, Segment]
    plan: Plan

    def sharing(self, other: "Snapshot | None") -> "Snapshot":
        """The same snapshot with the other's memfds where both have a segment: one descriptor each is enough."""
        known = other.segments if other is not None else {}
        segments = {hash: known.get(hash, segment) for hash, segment in self.segments.items()}
        return Snapshot(self.generation, self.root, segments, self.plan)


def changed(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What differs between two plans' objects, as `+ route a`, `- route b`, `~ upstream c`; sorted by name."""
    signs = {name: "+" if name not in old else "-" if name not in new else "~"
             for name in old.keys() | new.keys() if old.get(name) != new.get(name)}  # fmt: skip
    return [f"{signs[name]} {name}" for name in sorted(signs)]


def root_hash(root: bytes) -> int:
    """The content address that stands in a segment's header: struct fgw_l_seg, policy/layout.def."""
    return struct.unpack_from("=Q", root, 16)[0]


def read_memfd(fd: int) -> bytes:
    """A memfd's whole content; the descriptor is closed."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return file.read()
