# cython: language_level=3
"""What a process can do to itself on Linux without a call in the standard library: title, death signal, rights."""

from cpython.exc cimport PyErr_SetFromErrno
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, ...)
    enum:
        PR_SET_PDEATHSIG
        PR_SET_NAME
        PR_SET_NO_NEW_PRIVS
        PR_CAP_AMBIENT
        PR_CAP_AMBIENT_CLEAR_ALL

cdef extern from "<linux/capability.h>" nogil:
    enum:
        _LINUX_CAPABILITY_VERSION_3
    struct __user_cap_header_struct:
        uint32_t version
        int pid
    struct __user_cap_data_struct:
        uint32_t effective, permitted, inheritable

cdef extern from "<sys/syscall.h>" nogil:
    enum:
        SYS_capset

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)


def pdeathsig(int signum) -> None:
    """Be sent `signum` when the thread that started this process ends. A change of user forgets it: ask afterwards."""
    if prctl(PR_SET_PDEATHSIG, <unsigned long>signum) != 0:
        PyErr_SetFromErrno(OSError)


def no_new_privileges() -> None:
    """From here on no exec gives this process or its children more rights (set-uid, file capabilities)."""
    if prctl(PR_SET_NO_NEW_PRIVS, <unsigned long>1, <unsigned long>0, <unsigned long>0, <unsigned long>0) != 0:
        PyErr_SetFromErrno(OSError)


def drop_capabilities() -> None:
    """Give up every capability, those that a service manager lent included. OSError."""
    cdef __user_cap_header_struct header
    cdef __user_cap_data_struct data[2]
    memset(&header, 0, sizeof(header))
    memset(data, 0, sizeof(data))
    header.version = _LINUX_CAPABILITY_VERSION_3
    # Kernels without ambient capabilities answer EINVAL: there is nothing to clear.
    prctl(PR_CAP_AMBIENT, <unsigned long>PR_CAP_AMBIENT_CLEAR_ALL, <unsigned long>0, <unsigned long>0, <unsigned long>0)
    if syscall(SYS_capset, &header, data) != 0:
        PyErr_SetFromErrno(OSError)


def _argument_area() -> tuple:
    """Where the kernel finds this process's command line: (address, bytes); proc(5), fields 48 and 49 of stat."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()   # the name may hold spaces; field 3 follows it
    start, end = int(fields[45]), int(fields[46])
    return start, end - start


def set_title(str title not None, str comm not None) -> bool:
    """Show `title` as the command line, cut to the room that it had, and `comm` (15 bytes) as the process's short name.

    False: there is no such room."""
    cdef bytes text = title.encode()
    cdef bytes name = comm.encode()[:15]
    prctl(PR_SET_NAME, <char *>name)
    try:
        start, size = _argument_area()
    except (OSError, ValueError, IndexError):
        return False
    if start == 0 or size < 2:
        return False
    cdef char *area = <char *><size_t>start
    cdef size_t room = size - 1, used = min(len(text), size - 1)
    # The last byte must stay NUL: else the kernel takes the area for one that goes on into the environment.
    memcpy(area, <char *>text, used)
    memset(area + used, 0, room - used + 1)
    return True
