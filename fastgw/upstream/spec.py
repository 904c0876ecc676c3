"""Upstreams as a configuration describes them to the supervisor."""

from msgspec import Struct


class Member(Struct, frozen=True, array_like=True):
    """One configured endpoint: an address or a name, with its weight."""

    address: str
    weight: int = 1


class ClusterSpec(Struct, frozen=True, array_like=True):
    """One upstream as configured. `table` is the offset of its endpoint table in shared memory, `cap` its room."""

    name: str
    table: int
    cap: int
    members: tuple[Member, ...]
