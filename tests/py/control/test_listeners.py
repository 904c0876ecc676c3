"""Sockets over reloads: what stays, what comes, what goes, and that a refusal changes nothing."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastgw.control.listeners import BindErrors, Bound, Listeners, ListenerSpec
from fastgw.control.sockets import BindError, listens, probe_tcp


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    made = Listeners()
    yield made
    made.close_all()


def web(*binds: str, id: int = 0, name: str = "web") -> ListenerSpec:
    return ListenerSpec(name, id, binds or ("127.0.0.1:0",))


def apply(listeners: Listeners, specs: list[ListenerSpec], seats: int = 2) -> list[Bound]:
    """A whole reload; what leaves is closed at once."""
    listeners.open(specs, seats)
    leaving = listeners.commit()
    listeners.leave(leaving)
    return leaving


def numbers(listeners: Listeners) -> set[int]:
    return {bound.number for bound in listeners}


def open_sockets() -> set[str]:
    """This process's sockets, by inode: what else it closes meanwhile (a test before it left something to the garbage
    collector) is not to be taken for what a reload opened or closed."""
    links = (os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd"))
    return {inode for inode in (os.readlink(link) for link in links if os.path.lexists(link)) if inode[:6] == "socket"}


def test_a_socket_for_each_seat_on_one_port(listeners: Listeners) -> None:
    apply(listeners, [web()], 3)
    bound = list(listeners)
    assert sorted(b.key.seat for b in bound) == [0, 1, 2]
    assert len({b.sock.getsockname() for b in bound}) == 1
    assert len({b.number for b in bound}) == 3
    assert listeners.addresses() == {"web": [f"127.0.0.1:{bound[0].actual.port}"]}


def test_an_unchanged_listener_keeps_its_sockets(listeners: Listeners) -> None:
    apply(listeners, [web()])
    before = {b.number: b.sock.fileno() for b in listeners}
    apply(listeners, [web()])
    assert {b.number: b.sock.fileno() for b in listeners} == before


def test_more_seats_join_the_same_port(listeners: Listeners) -> None:
    apply(listeners, [web()])
    before = numbers(listeners)
    apply(listeners, [web()], 4)
    assert before < numbers(listeners)
    assert len({b.sock.getsockname() for b in listeners}) == 1


def test_with_fewer_workers_all_sockets_stay(listeners: Listeners) -> None:
    apply(listeners, [web()], 4)
    before = {b.number: b.sock.fileno() for b in listeners}
    apply(listeners, [web()], 1)
    assert {b.number: b.sock.fileno() for b in listeners} == before
    apply(listeners, [web(), web(id=1, name="new")], 2)
    assert sorted(b.key.seat for b in listeners if b.name == "new") == [0, 1], "as many as there are workers now"


def test_only_the_first_socket_of_an_address_listens_before_a_worker_has_it(listeners: Listeners) -> None:
    """A connection goes to any that listens, and would wait there; but without one the address would seem free."""
    apply(listeners, [web()], 2)
    assert [listens(b.sock) for b in sorted(listeners)] == [True, False]
    [address] = {b.actual for b in listeners}
    with pytest.raises(BindError):
        probe_tcp(address)
    apply(listeners, [web()], 3)
    assert [listens(b.sock) for b in sorted(listeners)] == [True, False, False]


def test_a_bind_that_goes_is_to_be_emptied_while_its_listener_stays(listeners: Listeners) -> None:
    apply(listeners, [web("127.0.0.1:0", "127.0.0.2:0")])
    listeners.open([web("127.0.0.1:0")], 2)
    leaving = listeners.commit()
    assert {b.key.bind.host for b in leaving} == {"127.0.0.2"}
    assert numbers(listeners) >= {b.number for b in leaving}, "somebody should go on accepting there"
    listeners.leave(leaving)
    assert {b.key.bind.host for b in listeners} == {"127.0.0.1"}
    assert all(b.sock.fileno() == -1 for b in leaving)


def test_a_listener_that_goes_is_closed_at_once(listeners: Listeners) -> None:
    apply(listeners, [web(), web(id=1, name="other")])
    other = [b for b in listeners if b.name == "other"]
    listeners.open([web()], 2)
    assert listeners.commit() == []
    assert all(b.sock.fileno() == -1 for b in other)


def test_an_address_that_changes_its_listener_keeps_the_socket_under_a_new_number(listeners: Listeners) -> None:
    apply(listeners, [web()])
    [port] = {b.actual.port for b in listeners}
    apply(listeners, [web(f"127.0.0.2:{port}", id=1, name="a")])
    before = {b.sock.fileno(): b.number for b in listeners}
    apply(listeners, [web(f"127.0.0.2:{port}", id=2, name="b")])
    after = {b.sock.fileno(): b.number for b in listeners}
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert {b.listener for b in listeners} == {2}


def test_a_refusal_tells_every_address_and_changes_nothing(listeners: Listeners, tmp_path: Path) -> None:
    apply(listeners, [web()])
    before, sockets = numbers(listeners), open_sockets()
    with socket.create_server(("127.0.0.1", 0)) as owner:
        taken = f"127.0.0.1:{owner.getsockname()[1]}"
        specs = [web(), web("127.0.0.1:0", taken, f"unix:{tmp_path}/ok", f"unix:{tmp_path}/no/x", id=1, name="more")]
        with pytest.raises(BindErrors) as refused:
            listeners.open(specs, 2)
    assert len(refused.value.errors) == 2
    assert taken in str(refused.value) and "/no/x" in str(refused.value)
    assert numbers(listeners) == before
    assert not open_sockets() - sockets and all(b.sock.fileno() >= 0 for b in listeners)
    assert not (tmp_path / "ok").exists()


def test_rollback_closes_what_was_opened(listeners: Listeners, tmp_path: Path) -> None:
    apply(listeners, [web()])
    before, sockets = numbers(listeners), open_sockets()
    listeners.open([web(), web(f"unix:{tmp_path}/a", "127.0.0.1:0", id=1, name="more")], 2)
    listeners.rollback()
    assert numbers(listeners) == before and all(b.sock.fileno() >= 0 for b in listeners)
    assert not open_sockets() - sockets
    assert not (tmp_path / "a").exists()
    assert listeners.commit() == []


def test_an_address_that_overlaps_our_own_is_not_taken_for_foreign(listeners: Listeners) -> None:
    apply(listeners, [web()])
    [port] = {b.actual.port for b in listeners}
    apply(listeners, [web(f"0.0.0.0:{port}")])
    assert {b.key.bind.host for b in listeners} == {"0.0.0.0"}


def test_a_unix_socket_is_one_for_all_and_its_file_goes_with_it(listeners: Listeners, tmp_path: Path) -> None:
    apply(listeners, [web(f"unix:{tmp_path}/a")], 3)
    [bound] = listeners
    assert bound.shared
    apply(listeners, [web("127.0.0.1:0")])
    assert not (tmp_path / "a").exists()
