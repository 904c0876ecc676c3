"""The eventfds by which workers wake each other (io/bell.h): one for each column that has had a worker.

A worker is given all of them when it is ready, and each new one as soon as it is made. They stay when a worker dies:
its successor listens to the same one. Owner: the supervisor's loop.
"""

import contextlib
import os
from collections.abc import Iterable

from fastgw._bell import ring_all
from fastgw._shm import Shm

from . import channel as ch
from .process import State, WorkerProcess


class Bells:
    def __init__(self, shm: Shm) -> None:
        self._shm = shm
        self._fds: dict[int, int] = {}

    def add(self, column: int, workers: Iterable[WorkerProcess]) -> None:
        """Have one for this column; these workers are told. OSError: no descriptor to be had."""
        if column not in self._fds:
            self._fds[column] = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            for worker in workers:
                self._give(worker, [column])

    def give(self, worker: WorkerProcess) -> None:
        """Give a worker that is ready all there are."""
        columns = list(self._fds)
        for at in range(0, len(columns), ch.FDS_MAX):
            self._give(worker, columns[at : at + ch.FDS_MAX])

    def _give(self, worker: WorkerProcess, columns: list[int]) -> None:
        with contextlib.suppress(ch.ChannelClosed):
            worker.channel.post(ch.Bells(columns), [self._fds[column] for column in columns])

    def died(self, workers: Iterable[WorkerProcess]) -> None:
        """A worker is dead: what it held is free, and whom it was about to wake it did not. These look at
        everything."""
        for worker in workers:
            if worker.state is not State.GONE and worker.slot in self._fds:
                ring_all(self._shm, worker.slot, self._fds[worker.slot])

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
