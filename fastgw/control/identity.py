"""Whom workers, and builds that run plugins, run as."""

import grp
import os
import pwd
from collections.abc import Callable

from fastgw import _process

Identity = tuple[int, int]  # user and group; -1: as the supervisor


class IdentityError(Exception):
    """A user or group that workers cannot run under."""


def find(user: str, group: str) -> Identity:
    """The numbers of these names ("": as this process). IdentityError: unknown, or not allowed."""
    uid = _number(user, "user", lambda: pwd.getpwnam(user).pw_uid)
    gid = _number(group, "group", lambda: grp.getgrnam(group).gr_gid)
    if uid >= 0 and gid < 0:
        try:
            gid = pwd.getpwuid(uid).pw_gid
        except KeyError:
            raise IdentityError(f"user {user} has no entry, so `group` must be set") from None
    if os.geteuid() == 0:
        return uid, gid
    if uid in (-1, os.geteuid()) and gid in (-1, os.getegid()):
        return -1, -1
    raise IdentityError("only root can run workers under another user or group")


def _number(name: str, what: str, look_up: Callable[[], int]) -> int:
    if not name:
        return -1
    if name.isdigit():
        return int(name)
    try:
        return look_up()
    except KeyError:
        raise IdentityError(f"this host knows no {what} {name}") from None


def become(user: int, group: int) -> None:
    """Become `user` and `group` (-1: stay), without capabilities unless still root, and for ever. Clears PDEATHSIG.

    OSError: not allowed."""
    if group >= 0:
        os.setgroups([group])
        os.setresgid(group, group, group)
    if user >= 0:
        os.setresuid(user, user, user)
    if os.geteuid() != 0:
        _process.drop_capabilities()
    _process.no_new_privileges()
