# cython: language_level=3
"""The supervisor's part of io/bell.h."""

import os

from libc.stdint cimport uint32_t

from fastgw._c cimport bell as c
from fastgw._c.shm cimport fgw_shm


def ring_all(shm not None, uint32_t column, int fd) -> None:
    """Wake a column's worker, whose eventfd this is, to look at everything that others may have changed.

    IndexError: no column. OSError."""
    if column >= shm.workers:
        raise IndexError(f"{column} of {shm.workers}")
    c.fgw_bell_look_at_all(<fgw_shm *><size_t>shm.address, column)
    os.eventfd_write(fd, 1)
