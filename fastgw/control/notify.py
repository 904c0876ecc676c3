"""sd_notify(3): tell the service manager what the gateway is doing. Nothing happens outside such a manager."""

import os
import socket
import time


def notify(*lines: str) -> bool:
    """Send state lines (`READY=1`, `STATUS=...`) to $NOTIFY_SOCKET. False: there is none, or it does not listen."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return False
    address = "\0" + path[1:] if path[0] == "@" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
    return True


def reloading() -> bool:
    """RELOADING with the time that Type=notify-reload asks for (monotonic, microseconds)."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
