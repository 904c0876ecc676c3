"""Compares what a request over TLS costs in CPU time: fastgw against h2o, HAProxy, nghttpx, nginx and a bare probe.

    python -m benchmarks.compare.tls [--quick] [--peers fastgw,nginx] [--workloads https,connect] [--keep]

As `benchmarks.compare.run`, whose options and exit codes it has, with the proxies of `tls/`: all have the same ECDSA
certificate and the same HTTP/1.1 upstream without TLS. HTTP/2 is asked for by h2load, HTTPS/1.1 by wrk. New connections
are made by `handshakes`, one request on each: in full while no tickets are given, and resumed by the ticket before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a script

from benchmarks.compare import gates, peers, run
from benchmarks.load import tools

DIALS = 16  # connections under way at once


def h2(clients: int, streams: int) -> run.Client:
    """h2load with so many connections and streams on each."""
    return partial(tools.h2load, clients=clients, streams=streams, core=run.LOAD_CORE)


def https(port: int, path: str, seconds: float) -> dict[str, Any]:
    """wrk over TLS."""
    return tools.wrk(port, path, seconds, run.CONNECTIONS, run.LOAD_CORE, scheme="https")


def connect(port: int, path: str, seconds: float, resume: bool) -> dict[str, Any]:
    """A connection for each request."""
    return tools.handshakes(port, path, seconds, DIALS, resume, run.LOAD_CORE)


WORKLOADS = [
    run.Workload("h2-16x8", "/s", "off", "HTTP/2, 16 connections x 8 streams, 13-byte answers", h2(16, 8)),
    run.Workload("h2-4x64", "/s", "off", "HTTP/2, 4 connections x 64 streams, 13-byte answers", h2(4, 64)),
    run.Workload("h2-64k", "/m", "off", "HTTP/2, 4 connections x 8 streams, 64 KiB answers", h2(4, 8)),
    run.Workload("https", "/s", "off", "HTTPS/1.1, 64 connections, 13-byte answers", https),
    run.Workload("https-64k", "/m", "off", "HTTPS/1.1, 64 connections, 64 KiB answers", https),
    run.Workload("connect", "/s", "no-tickets", "A new connection and one request", partial(connect, resume=False)),
    run.Workload(
        "resume", "/s", "off", "A connection resumed by its ticket and one request", partial(connect, resume=True)
    ),
]
SUITE = run.Suite(
    "compare-tls", "CPU time of a request over TLS.", peers.TLS, peers.TLS_ORDER, WORKLOADS, gates.TLS_GATES
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the comparison. Returns the exit code."""
    return run.main(argv, SUITE)


if __name__ == "__main__":
    sys.exit(main())
