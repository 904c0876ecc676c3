"""The bench's own arithmetic: statistics, gates, what is read from /proc, strace and perf, and the rendered page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import render, stats
from benchmarks.compare import gates, peers, run, tls
from benchmarks.load import idle, perf, proc, soak, syscalls, tools
from benchmarks.load.target import port_of

figures = st.lists(st.floats(0.01, 1000), min_size=1, max_size=15)


# ---------------------------------------------------------------- statistics


def test_ratios_are_paired() -> None:
    assert stats.ratios([2, 9], [4, 3]) == [0.5, 3]
    with pytest.raises(ValueError, match="paired"):
        stats.ratios([1], [1, 2])
    with pytest.raises(ValueError, match="above 0"):
        stats.ratios([1], [0])


def test_pairing_cancels_a_drift_that_medians_would_show() -> None:
    theirs = [10.0, 20.0, 40.0, 80.0, 10.0, 20.0, 40.0, 80.0, 10.0]
    seen = stats.estimate(stats.ratios([0.8 * t for t in theirs], theirs))
    assert (seen.low, seen.median, seen.high, seen.n) == pytest.approx((0.8, 0.8, 0.8, 9))


def test_quantile_between_neighbours() -> None:
    assert [stats.quantile([1, 2, 4], q) for q in (0, 0.25, 0.5, 0.75, 1)] == [1, 1.5, 2, 3, 4]
    with pytest.raises(ValueError, match="no figures"):
        stats.quantile([], 0.5)


@given(figures)
def test_interval_holds_the_median_and_stays_within_the_figures(values: list[float]) -> None:
    low, high = stats.bootstrap(values, resamples=300)
    assert min(values) <= low <= high <= max(values)
    assert (low, high) == stats.bootstrap(values, resamples=300)


def test_interval_widens_with_the_spread_and_with_the_level() -> None:
    def width(values: list[float], level: float = 0.9) -> float:
        low, high = stats.bootstrap(values, level)
        return high - low

    narrow, wide = [1.0 + i / 1000 for i in range(9)], [1.0 + i / 10 for i in range(9)]
    assert width(narrow) < width(wide)
    assert width(wide, 0.5) < width(wide, 0.99)


@pytest.mark.parametrize(
    ("middle", "low", "high", "expected"),
    [
        (0.80, 0.70, 0.95, stats.MET),  # the median on the bound is within it
        (0.81, 0.79, 0.90, stats.OPEN),
        (0.81, 0.80, 0.90, stats.OPEN),  # an interval that touches the bound is not past it
        (0.85, 0.81, 0.90, stats.MISSED),
    ],
)
def test_verdict(middle: float, low: float, high: float, expected: str) -> None:
    assert stats.verdict(stats.Estimate(middle, low, high, 9), 0.80) == expected


# ---------------------------------------------------------------- gates and rounds

SMALL = gates.GATES[0]


def test_gate_takes_the_cheaper_rival() -> None:
    seen = gates.judge(SMALL, {"fastgw": [15.0] * 9, "nginx": [25.0] * 9, "haproxy": [20.0] * 9})
    assert (seen["against"], seen["ratio"]["median"], seen["verdict"]) == ("haproxy", 0.75, stats.MET)
    worse = gates.judge(SMALL, {"fastgw": [17.0] * 9, "nginx": [25.0] * 9, "haproxy": [20.0] * 9})
    assert worse["verdict"] == stats.MISSED


@pytest.mark.parametrize("lacking", ["fastgw", "nginx", "haproxy"])
def test_gate_needs_every_side(lacking: str) -> None:
    known = {"fastgw": [15.0], "nginx": [25.0], "haproxy": [20.0]}
    del known[lacking]
    assert gates.judge(SMALL, known)["verdict"] == "not measured"


def test_a_log_that_loses_lines_misses_its_gate() -> None:
    log = next(g for g in gates.GATES if g.workload == "log")
    cheap = {"fastgw": [1.0] * 9, "nginx": [25.0] * 9, "haproxy": [20.0] * 9}
    assert gates.judge(log, cheap, log_kept=1.0)["verdict"] == stats.MET
    assert gates.judge(log, cheap, log_kept=0.99)["verdict"] == stats.MISSED


@pytest.mark.parametrize("suite", [run.SUITE, tls.SUITE], ids=lambda s: s.kind)
def test_every_gate_names_a_workload_and_peers_that_run_it(suite: run.Suite) -> None:
    for gate in suite.gates:
        assert gate.workload in {w.name for w in suite.workloads}
        for name in (gates.SUBJECT, *gate.against):
            assert gate.workload in peers.load(name, suite.home).workloads


def measurement(cost: float, void: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "cpu_us_per_request": cost,
        "cpu_ns_by_role": {"worker": 90, "supervisor": 10},
        "requests_per_second": 1000.0,
        "proxy_share_of_core": 0.8,
        "others_on_core": 0.0,
        "kernel_share": 0.7,
        "p99_us": 2000,
        "void": void,
    } | more


def a_round(void: str | None = None, **costs: float) -> dict[str, Any]:
    return {"void": void, "order": list(costs), "peers": {name: measurement(c, void) for name, c in costs.items()}}


def test_void_rounds_do_not_count() -> None:
    rounds = [a_round(fastgw=10, nginx=20), a_round("steal 3.0%", fastgw=99, nginx=1), a_round(fastgw=12, nginx=22)]
    assert run.valid(rounds) == 2
    assert run.figures(rounds) == {"fastgw": [10, 12], "nginx": [20, 22]}
    assert run.summary(rounds)["fastgw"]["cpu_us"]["median"] == 11
    assert run.summary(rounds)["fastgw"]["worker_share"] == 0.9
    assert run.figures([a_round("steal", fastgw=1)]) == {}


def test_what_voids_a_measurement() -> None:
    good = {"requests": 9, "errors": {"connect": 0, "status": 0}}
    assert run.trouble(good, steal=0.02, same_processes=True) is None
    assert run.trouble(good, steal=0.021, same_processes=True) == "steal 2.1%"
    assert run.trouble(good, steal=0, same_processes=False)
    assert run.trouble(good | {"requests": 0}, steal=0, same_processes=True)
    refused = good | {"errors": {"connect": 0, "status": 3}}
    assert run.trouble(refused, steal=0, same_processes=True) == "errors: status 3"


def test_cpu_is_that_of_every_process_and_told_by_role() -> None:
    before = {1: proc.Usage(5, 0, 0, 1), 2: proc.Usage(100, 10, 20, 3)}
    after = {1: proc.Usage(8, 0, 0, 2), 2: proc.Usage(500, 20, 50, 9), 3: proc.Usage(7, 0, 0, 0)}
    seen = run.spent(before, after, {1: "supervisor", 2: "worker"})
    assert seen["cpu_ns"] == 403
    assert seen["cpu_ns_by_role"] == {"supervisor": 3, "worker": 400}
    assert (seen["kernel_share"], seen["sleeps"]) == (0.75, 7)


def test_fewest_log_lines_of_a_valid_round() -> None:
    rounds = [a_round(fastgw=1), a_round(fastgw=1), a_round("steal", fastgw=1)]
    for r, lines in zip(rounds, (1.0, 0.97, 0.5), strict=True):
        r["peers"]["fastgw"]["log_lines_per_request"] = lines
    assert run.log_kept({"log": {"rounds": rounds}, "small": {"rounds": [a_round(fastgw=1)]}}) == {"log": 0.97}


def test_choice_of_peers() -> None:
    assert run.arguments(["--peers", "nginx,relay"]).peers == ["relay", "nginx"]
    with pytest.raises(SystemExit):
        run.arguments(["--peers", "apache"])
    quick = run.arguments(["--quick"])
    assert (quick.rounds, quick.seconds) == (3, 2.0)
    assert quick.out.parent == tools.BUILD, "a smoke run does not replace a result"


# ---------------------------------------------------------------- peers


@pytest.mark.parametrize(
    ("suite", "name"),
    [(s, name) for s in (run.SUITE, tls.SUITE) for name in s.order],
    ids=lambda v: getattr(v, "kind", v),
)
def test_peer_renders_for_every_mode_it_runs_with(suite: run.Suite, name: str) -> None:
    peer = peers.load(name, suite.home)
    template = (suite.home / name / peer.config).read_text() if peer.config else ""
    for workload in suite.workloads:
        if workload.name in peer.workloads:
            values = {"LISTEN": "1", "ORIGIN": "2", "DIR": "d", "LOG": "l", "HERE": "h"}
            if peer.scheme == "https":
                values |= {"CERT": "c", "KEY": "k", "PEM": "p"}
            for key, texts in peer.texts.items():
                values["ACCESS_LOG" if key == "log" else key.upper()] = peers.fill(texts[workload.mode], values)
            assert "@" not in "".join(peers.fill(word, values) for word in peer.command)
            assert "1" in peers.fill(template + "".join(peer.command), values)


def test_unknown_placeholder_is_an_error() -> None:
    assert peers.fill("a@X@b", {"X": "-"}) == "a-b"
    with pytest.raises(tools.BenchError, match="@Y@"):
        peers.fill("@X@@Y@", {"X": ""})


def test_stand_in_gets_the_ports_last_and_keeps_no_log() -> None:
    peer = peers.stand_in(peers.load("fastgw"), "some/proxy --flag")
    assert peer.command == ["some/proxy", "--flag", "@LISTEN@", "@ORIGIN@"]
    assert "log" not in peer.workloads
    assert "stand-in" in peer.title


# ---------------------------------------------------------------- /proc, strace, perf


def test_stat_of_a_process_with_a_nasty_name() -> None:
    assert proc.stat_fields("12 (a) S (b) R 7 8 9")[:2] == ["R", "7"]


def test_shares_of_a_core() -> None:
    before, after = (proc.parse_core(f"cpu0 {line}") for line in ("0 0 0 0 0 0 0 0 0 0", "30 0 20 35 5 1 4 5 9 0"))
    assert after.since(before) == pytest.approx((0.55, 0.05))


def test_own_cpu_time_grows_and_children_are_in_the_tree() -> None:
    before = proc.usage(os.getpid())
    sum(i * i for i in range(200_000))
    assert proc.usage(os.getpid()).cpu_ns > before.cpu_ns
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert proc.tree(os.getpid())[0] == os.getpid()
        assert child.pid in proc.tree(os.getpid())
        assert proc.memory_kib(child.pid)["rss_kib"] > 0
    finally:
        child.communicate()
    with pytest.raises(proc.Gone):
        proc.usage(child.pid)


def test_roles_by_title(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = {1: "fastgw run -c x --workers 1", 2: "fastgw: worker 0", 3: "nginx: worker process", 4: "sh"}
    monkeypatch.setattr(proc, "command", titles.__getitem__)
    assert [proc.role(pid, 1, False) for pid in titles] == ["supervisor", "worker", "worker", "other"]
    assert proc.role(1, 1, alone=True) == "worker"


STRACE = """\
7 epoll_wait(5<anon_inode:[eventpoll]>, [{events=EPOLLIN}], 256, -1) = 1
7 recvfrom(9<socket:[11]>, ""..., 65536, 0, NULL, NULL) = 45
7 read(6<anon_inode:[timerfd]>, ""..., 8) = 8
7 write(9<socket:[11]>, ""..., 45 <unfinished ...>
8 read(4<anon_inode:[eventfd]>, ""..., 8) = 8
7 <... write resumed>) = 45
7 writev(12<TCP:[127.0.0.1:1]>, [], 1) = 4
7 read(3</etc/hosts>, ""..., 4096) = 0
7 timerfd_settime(6<anon_inode:[timerfd]>, 0, {}, NULL) = 0
7 brk(NULL) = 0x1
7 gettid() = 7
7 --- SIGCHLD {si_signo=SIGCHLD} ---
"""


def test_calls_are_told_apart_by_descriptor() -> None:
    names, categories = syscalls.count(STRACE.splitlines())
    assert categories == {
        "wait": 1, "socket": 2, "timer": 2, "eventfd": 1, "file": 2, "memory": 1, "other": 1,
    }  # fmt: skip
    assert (names["read"], names["write"]) == (3, 1)
    assert syscalls.per_request(names, 2)["read"] == 1.5


def test_call_gates() -> None:
    def verdicts(**rates: float) -> list[str]:
        return [g["verdict"] for g in syscalls.judge(rates)]

    assert verdicts(socket=4.0, wait=0.1, timer=0.1) == ["met"] * 3
    assert verdicts(socket=4.1, epoll_ctl=1.0, wait=0.15, timer=0.15) == ["missed"] * 3


def test_perf_output() -> None:
    lines = ["15,,syscalls:sys_enter_epoll_wait,1,100.00,,", "0,,syscalls:sys_enter_poll,1,100.0,,", "<not counted>,,x"]
    assert perf.parse("\n".join(lines)) == {"epoll_wait": 15}


@pytest.mark.parametrize(
    ("each", "still_open", "growth", "expected"),
    [(1536, 10, 256, ["met", "met"]), (1537, 10, 257, ["missed", "missed"]), (1, 9, 0, ["missed", "met"])],
)
def test_memory_gates(each: float, still_open: int, growth: int, expected: list[str]) -> None:
    document = {
        "idle": {"connections": 10, "still_open": still_open, "each": {"pss_bytes": each}},
        "short": {"growth_kib": growth},
    }
    assert [g["verdict"] for g in idle.judge(document)] == expected


def test_address() -> None:
    assert port_of("127.0.0.1:81") == 81
    for wrong in ("192.0.2.1:81", "127.0.0.1:x", "127.0.0.1"):
        with pytest.raises(tools.BenchError):
            port_of(wrong)


# ---------------------------------------------------------------- the page

MACHINE = {
    "date": "2000-01-01", "commit": "abc", "cpu": "A | B", "cores": 2, "virtual": True, "memory_mib": 2048,
    "kernel": "6.1", "python": "3.11", "gcc": "12", "wrk": "4.1",
}  # fmt: skip


@pytest.fixture
def compared() -> Iterator[dict[str, Any]]:
    rounds = [a_round(fastgw=15, nginx=24, haproxy=20) for _ in range(9)]
    table = run.summary(rounds)
    for row in table.values():
        row["requests_per_wait"] = None
    yield {
        "machine": MACHINE,
        "settings": {"rounds": 9, "seconds": 5, "connections": 64},
        "peers": {n: run.describe(peers.load(n)) | {"version": "1"} for n in ("nginx", "haproxy")}
        | {"fastgw": {"title": "fastgw", "version": "0", "command": "fastgw run", "notes": "", "log": ""}},
        "absent": {"envoy": "no wheel"},
        "workloads": {"small": {"title": "small answers", "summary": table, "rounds": rounds}},
        "gates": gates.judge_all({"small": run.figures(rounds)}, {}),
    }


def test_page_shows_costs_gates_and_what_did_not_run(compared: dict[str, Any]) -> None:
    page = render.page({"compare": compared})
    assert "| fastgw | 15.0 (15.0 – 15.0) | 80% |" in page
    assert "| small answers, the better of nginx and HAProxy | 0.80 | 0.75 (0.75 – 0.75) | HAProxy | met |" in page
    assert "not measured" in page, "the relay's gate"
    assert "Not run: envoy (no wheel)." in page
    assert "smoke run" not in page
    assert "Not measured yet: `python -m benchmarks.load.syscalls`." in page


def test_page_says_when_rounds_are_too_few(compared: dict[str, Any]) -> None:
    compared["workloads"]["small"]["rounds"][0]["void"] = "steal 9.0%"
    page = render.page({"compare": compared})
    assert "smoke run" in page
    assert "8 rounds; 1 void (steal 9.0%)." in page


def test_page_takes_a_result_of_any_other_kind() -> None:
    known = {"title": "Router", "text": "By callgrind.", "columns": ["routes", "instructions"], "rows": [[100, "a|b"]]}
    gate = {"name": "instructions", "bound": 450, "seen": 444.4, "verdict": "met"}
    page = render.page({"router": known | {"gates": [gate]}, "odd": {"x": 1}})
    assert "## Router\n\nBy callgrind.\n\n| " in page
    assert "| 100 | a\\|b |" in page
    assert "| instructions | 450 | 444 | met |" in page
    assert "benchmarks/results/odd.json" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (0.0516, "0.05"), (9.876, "9.88"), (98.76, "98.8"), (987.6, "988"), (98765.4, "98,765")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert render.number(value) == text


def test_page_on_disk_is_fresh() -> None:
    assert render.main(["--check"]) == 0


# -- soak
def run_of(**other: Any) -> dict[str, Any]:
    """A soak of an hour in which nothing was wrong, but for `other`."""
    report = {"requests": 36_000, "duration_us": 3_600_000_000, "errors": {"read": 0, "status": 0}}
    samples = [{"s": 60.0 * n, "private_kib": 70_000 + n % 3, "fds": 90} for n in range(61)]
    peak = {"requests": 100, "duration_us": 5_000_000}
    return {
        "seconds": 3600, "peak": peak, "report": report, "before": {"fds": 80}, "after": {"fds": 79},
        "samples": samples, "slow": {"200": 10}, "flap": {"200": 5, "502": 5}, "lives": 3,
        "unexpected_5xx": 0.0, "worker_restarts": 0.0, "alive": True, **other,
    }  # fmt: skip


def missed(run: dict[str, Any]) -> list[str]:
    return [gate["name"] for gate in soak.judge(run)["gates"] if gate["verdict"] != "met"]


def test_a_soak_without_a_leak_meets_every_gate() -> None:
    assert missed(run_of()) == []


def test_a_soak_sees_a_leak_and_not_a_step() -> None:
    leak = [{"s": 60.0 * n, "private_kib": 70_000 + 50 * n, "fds": 90} for n in range(61)]
    step = [{"s": 60.0 * n, "private_kib": 70_000 + 5_000 * (n > 50), "fds": 90} for n in range(61)]
    assert missed(run_of(samples=leak)) == ["memory slope, MiB/h"]
    assert soak.slope_mib_h([(s["s"], s["private_kib"]) for s in leak]) == pytest.approx(50 * 60 / 1024)
    assert missed(run_of(samples=step)) == []


@pytest.mark.parametrize(("other", "name"), [
    ({"unexpected_5xx": 1.0}, "unexpected 5xx"),
    ({"slow": {"200": 9, "IncompleteReadError": 1}}, "failed slow requests"),
    ({"flap": {"200": 9, "500": 1}}, "odd answers of the flapping upstream"),
    ({"worker_restarts": 1.0}, "workers that ended"),
    ({"alive": False}, "workers that ended"),
    ({"after": {"fds": 81}}, "descriptors more than at the start"),
])  # fmt: skip
def test_a_soak_tells_what_is_wrong(other: dict[str, Any], name: str) -> None:
    assert missed(run_of(**other)) == [name]
