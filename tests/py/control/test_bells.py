"""Eventfds between workers: who is given which, and that a death wakes those who live."""

import os
from typing import cast

import pytest

from fastgw._bell import ring_all
from fastgw._shm import Shm
from fastgw.control import bells
from fastgw.control import channel as ch
from fastgw.control.process import State, WorkerProcess


class Worker:
    """A worker, as far as bells see it: its own eventfds by column, duplicated as the channel does it."""

    def __init__(self, slot: int) -> None:
        self.slot, self.state, self.channel = slot, State.LIVE, self
        self.got: dict[int, int] = {}
        self.closed = False

    def post(self, frame: ch.Bells, fds: list[int]) -> None:
        if self.closed:
            raise ch.ChannelClosed
        ch.encode(frame, fds)
        self.got |= {column: os.dup(fd) for column, fd in zip(frame.columns, fds, strict=True)}

    @property
    def process(self) -> WorkerProcess:
        return cast("WorkerProcess", self)

    def rung(self) -> bool:
        try:
            return os.eventfd_read(self.got[self.slot]) > 0
        except BlockingIOError:
            return False


def test_each_worker_has_all_and_a_death_wakes_the_others() -> None:
    shm = Shm.create(70, 0)
    made = bells.Bells(shm)
    workers = [Worker(slot) for slot in range(70)]
    for worker in workers:
        made.add(worker.slot, [each.process for each in workers[: worker.slot]])
        made.give(worker.process)
    made.add(3, [])  # known: nothing new
    assert all(sorted(worker.got) == list(range(70)) for worker in workers)
    os.eventfd_write(workers[0].got[69], 1)
    assert workers[69].rung() and not workers[69].rung()

    workers[2].state = State.GONE
    workers[4].closed = True
    made.died([worker.process for worker in workers])
    assert [worker.slot for worker in workers if not worker.rung()] == [2]
    made.close()
    made.died([workers[0].process])
    assert not workers[0].rung()
    for worker in workers:
        ch.close_all(list(worker.got.values()))


def test_a_column_that_is_none_is_refused() -> None:
    shm = Shm.create(1, 0)
    fd = os.eventfd(0)
    with pytest.raises(IndexError):
        ring_all(shm, 1, fd)
    os.close(fd)
