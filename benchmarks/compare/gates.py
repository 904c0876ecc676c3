"""What the gateway has promised about its cost, as data, and how a run is held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks import stats

SUBJECT = "fastgw"
LOG_KEPT = 0.999


@dataclass(frozen=True)
class Gate:
    """CPU time of the subject per request, at most `bound` times that of the cheapest peer in `against`."""

    name: str
    workload: str
    against: tuple[str, ...]
    bound: float
    aim: float | None = None


GATES = [
    Gate("small answers, the better of nginx and HAProxy", "small", ("nginx", "haproxy"), 0.80),
    Gate("small answers, the relay", "small", ("relay",), 1.20, aim=1.10),
    Gate("small answers with a JSON log, the better of nginx and HAProxy", "log", ("nginx", "haproxy"), 0.85),
    Gate("64 KiB answers, HAProxy", "64k", ("haproxy",), 1.00),
    Gate("1 MiB answers, HAProxy", "1m", ("haproxy",), 1.00),
]

RIVALS = ("h2o", "haproxy", "nghttpx", "nginx")
TLS_GATES = [
    Gate("HTTP/2, 16 connections x 8 streams, the best of all", "h2-16x8", RIVALS, 1.00, aim=0.85),
    Gate("HTTP/2, 4 connections x 64 streams, the best of all", "h2-4x64", RIVALS, 1.00, aim=0.85),
    Gate("HTTP/2, 16 connections x 8 streams, the probe", "h2-16x8", ("probe",), 1.15),
    Gate("HTTP/2, 4 connections x 64 streams, the probe", "h2-4x64", ("probe",), 1.15),
    Gate("HTTP/2, 64 KiB answers, the best of all", "h2-64k", RIVALS, 1.00),
    Gate("HTTPS/1.1, the best of all", "https", RIVALS, 0.85),
    Gate("HTTPS/1.1, 64 KiB answers, the best of all", "https-64k", RIVALS, 1.00),
    Gate("a new connection, full handshake without tickets, nginx", "connect", ("nginx",), 1.00),
    Gate("a new connection, resumed by its ticket, nginx", "resume", ("nginx",), 1.00),
]

Figures = Mapping[str, Sequence[float]]  # peer -> CPU µs per request in each valid round, paired by place


def cheapest(figures: Figures, names: Sequence[str]) -> str | None:
    """The one of `names` with the lowest median; None when any of them was not measured."""
    if any(not figures.get(name) for name in names):
        return None
    return min(names, key=lambda name: median(figures[name]))


def judge(gate: Gate, figures: Figures, log_kept: float | None = None) -> dict[str, Any]:
    """The gate's result: its terms, the peer it came down to, the ratio, and a verdict (perhaps `not measured`).

    `log_kept` is the lowest number of log lines a request that the subject wrote in any round: a cheap log that loses
    lines is not the same log, so the gate is missed then whatever the ratio.
    """
    told: dict[str, Any] = {"name": gate.name, "workload": gate.workload, "bound": gate.bound, "aim": gate.aim}
    peer = cheapest(figures, gate.against)
    ours = figures.get(SUBJECT)
    if peer is None or not ours:
        return told | {"verdict": "not measured"}
    ratio = stats.estimate(stats.ratios(ours, figures[peer]))
    told |= {"against": peer, "ratio": asdict(ratio), "verdict": stats.verdict(ratio, gate.bound)}
    if log_kept is not None and log_kept < LOG_KEPT:
        told |= {"verdict": stats.MISSED, "why": f"only {log_kept:.1%} of the log lines were written"}
    return told


def judge_all(
    by_workload: Mapping[str, Figures], log_kept: Mapping[str, float], gates: Sequence[Gate] = GATES
) -> list[dict[str, Any]]:
    """Every one of `gates` whose workload was run."""
    return [judge(g, by_workload[g.workload], log_kept.get(g.workload)) for g in gates if g.workload in by_workload]
