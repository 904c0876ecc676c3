"""A whole configuration as a snapshot: what is shared, what is resolved, what is refused."""

from __future__ import annotations

import resource

import pytest

from fastgw import _layout
from fastgw.config.model import (
    AccessLog,
    Answer,
    Balance,
    Config,
    Endpoint,
    ErrorLog,
    Limits,
    Listener,
    Log,
    Match,
    Normalize,
    Pool,
    Redirect,
    Route,
    RouteLimits,
    RouteTimeouts,
    Static,
    Timeouts,
    Upstream,
    UpstreamTimeouts,
)
from fastgw.snapshot.compile import (
    Slots,
    Snapshot,
    SnapshotError,
    compile,
    routes_of,
    routes_segment,
    settings_segment,
    upstream_segment,
)
from tests.py.snapshot.make import Segment, config

ROUTES = {
    "b": Match(prefix="/b"),
    "a": Match(exact="/a"),
    "c": Route(listeners=("api",), match=Match(pattern="/c/{id}"), to="v"),
}
LISTENERS = {name: Listener(bind=(f"127.0.0.1:{port}",)) for name, port in (("web", 1), ("api", 2), ("www", 3))}
UPSTREAMS = {name: Upstream(endpoints=(Endpoint(address="127.0.0.1:9"),)) for name in ("v", "u")}


def whole(**more: object) -> Config:
    return config(ROUTES, **{"listeners": LISTENERS, "upstreams": UPSTREAMS, **more})


def compiled(made: Config, generation: int = 1) -> Snapshot:
    snapshot = compile(made, generation, Slots(), descriptors=1000)
    for segment in (snapshot.root, *snapshot.segments.values()):
        assert _layout.check(segment) is None
    assert _layout.check_snapshot(snapshot.root, list(snapshot.segments.values())) is None
    return snapshot


def of_kind(snapshot: Snapshot, kind: int) -> set[int]:
    return {
        digest for digest, segment in snapshot.segments.items() if Segment(segment).record("seg", 0)["kind"] == kind
    }


class TestWhole:
    def test_the_same_gives_the_same(self):
        assert compiled(whole()) == compiled(whole())
        assert compiled(whole(), 2).segments == compiled(whole(), 1).segments

    def test_equal_segments_are_one(self):
        snapshot = compiled(whole())
        assert len(of_kind(snapshot, _layout.SEG_ROUTES)) == 2, "web and www have the same routes"
        assert len(of_kind(snapshot, _layout.SEG_SETTINGS)) == 1 and len(of_kind(snapshot, _layout.SEG_UPSTREAM)) == 2

    def test_a_change_makes_only_what_it_touches_anew(self):
        before = compiled(whole())
        after = compiled(
            config({**ROUTES, "d": Route(listeners=("api",), to="u")}, listeners=LISTENERS, upstreams=UPSTREAMS)
        )
        new = after.segments.keys() - before.segments.keys()
        assert len(new) == 1 and new <= of_kind(after, _layout.SEG_ROUTES)

    def test_the_root_names_all(self):
        snapshot = compiled(whole(trusted_proxies=("10.0.0.0/8", "2001:db8::/32")), generation=7)
        read = Segment(snapshot.root)
        top = read.top("root")
        assert top["generation"] == 7 and read.numbers(top["segs"], 8) == list(snapshot.segments)
        listeners = read.rows("listener", top["listeners"])
        assert [read.text(row["name"]) for row in listeners] == ["api", "web", "www"]
        assert len({row["id"] for row in listeners}) == 3
        web, www = listeners[1], listeners[2]
        assert web["routes_seg"] == www["routes_seg"] != listeners[0]["routes_seg"]
        slots = [slot for row in listeners for slot in read.numbers(row["route_slots"], 4)]
        assert len(set(slots)) == len(slots), "a route's figures are told by listener"
        assert web["other_slot"] != www["other_slot"]
        upstreams = read.rows("upstream_ref", top["upstreams"])
        assert [read.text(row["name"]) for row in upstreams] == ["u", "v"]
        assert all(upstreams[0][field] != upstreams[1][field] for field in ("seg", "id", "endpoints", "slot"))
        assert [(row["hi"], row["lo"], row["bits"]) for row in read.rows("cidr", top["trusted"])] == [
            (0, 0xFFFF_0A00_0000, 104),
            (0x2001_0DB8_0000_0000, 0, 32),
        ]

    @pytest.mark.parametrize(
        ("access", "level", "number", "rank"),
        [
            ("off", "debug", "off", 0),
            (AccessLog(), "info", "json", 1),
            (AccessLog(format="combined"), "error", "combined", 3),
        ],
    )
    def test_logs(self, access, level, number, rank):
        top = Segment(compiled(whole(log=Log(access=access, error=ErrorLog(level=level)))).root).top("root")
        assert (top["log_format"], top["error_level"]) == (_layout.LOG_FORMATS[number], rank)

    def test_connections(self):
        def most(descriptors: int | None = None, **limits: object) -> object:
            made = compile(whole(limits=Limits(**limits)), 1, Slots(), descriptors=descriptors)
            return Segment(made.root).top("root")["connections_max"]

        assert most(1000) == 800 and most(1000, connections=5) == 5
        assert most(resource.RLIM_INFINITY) == most(10**9) == 10_000_000
        mine = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert most() == (10_000_000 if mine == resource.RLIM_INFINITY else min(mine * 8 // 10, 10_000_000))


def test_routes_of_a_listener():
    assert list(routes_of(whole(), "web")) == ["a", "b"] and list(routes_of(whole(), "api")) == ["a", "b", "c"]


def test_calls_are_counted_where_a_route_says_so():
    class Named(Slots):
        def stats_slot(self, kind: str, name: str) -> int:
            return {("grpc", "b"): 77}.get((kind, name), 5)

    made = whole()
    routes = {**made.routes, "b": Route(match=Match(prefix="/b"), grpc=True, to="u")}
    read = Segment(routes_segment(made, routes, Named())[1])
    rows = read.rows("route", read.top("routes")["routes"])
    assert {read.text(row["name"]): row["grpc_slot"] for row in rows} == {"a": 0, "b": 77, "c": 0}


def test_settings_are_the_listeners_own():
    made = whole(
        listeners={
            "web": Listener(
                bind=("127.0.0.1:1",), proxy_protocol=True, normalize=Normalize(slashes="keep", merge_slashes=False)
            ),
            "api": Listener(bind=("127.0.0.1:2",)),
        },
        limits=Limits(request_line=100, head=200, body=300),
        timeouts=Timeouts(head=400, keep_alive=500),
        normalize=Normalize(slashes="decode"),
    )
    web, api = (Segment(settings_segment(made, name)[1]).top("settings") for name in ("web", "api"))
    assert (web["slashes"], web["merge_slashes"], web["proxy_protocol"]) == (_layout.SLASHES["keep"], 0, 1)
    assert (api["slashes"], api["merge_slashes"], api["proxy_protocol"]) == (_layout.SLASHES["decode"], 1, 0)
    wanted = {"line_max": 100, "head_max": 200, "body_max": 300, "head_ms": 400, "keepalive_ms": 500}
    assert {name: web[name] for name in wanted} == {name: api[name] for name in wanted} == wanted


def test_an_upstreams_own_settings_come_before_the_global_ones():
    made = whole(
        upstreams={
            "u": Upstream(
                endpoints=UPSTREAMS["u"].endpoints,
                host="rewrite",
                pool=Pool(max_idle=3, queue=4),
                balance=Balance(connect_retries=0, avoid=5),
                timeouts=UpstreamTimeouts(connect=10, first_byte=20, idle=30, send=40),
            ),
            "v": UPSTREAMS["v"],
        },
        timeouts=Timeouts(connect=1, first_byte=2, idle=3, upstream_send=4),
    )
    times = ("connect_ms", "first_byte_ms", "read_idle_ms", "send_idle_ms")
    own, plain = (Segment(upstream_segment(made, name)[1]) for name in ("u", "v"))
    assert [own.top("upstream")[name] for name in times] == [10, 20, 30, 40]
    assert [plain.top("upstream")[name] for name in times] == [1, 2, 3, 4]
    top = own.top("upstream")
    assert own.text(top["name"]) == "u" and plain.top("upstream")["host_rewrite"] == 0
    limits = ("chunk_ext_max", "chunk_ext_total", "trailer_max", "trailer_fields", "retry_goaway", "stall_ms")
    assert [top[name] for name in limits] == [256, 16384, 8192, 32, 7, 500]
    assert [top[name] for name in ("host_rewrite", "max_idle", "queue_max", "retry_connect", "avoid_ms")] == [
        1,
        3,
        4,
        0,
        5,
    ]


@pytest.mark.parametrize(
    ("route", "upstream", "idle", "age"),
    [
        (RouteTimeouts(), UpstreamTimeouts(), 5, 0),
        (RouteTimeouts(), UpstreamTimeouts(tunnel=50, tunnel_max=60), 50, 60),
        (RouteTimeouts(tunnel=500), UpstreamTimeouts(tunnel=50, tunnel_max=60), 500, 60),
        (RouteTimeouts(tunnel_max=0), UpstreamTimeouts(tunnel=50, tunnel_max=60), 50, 0),
    ],
)
def test_a_tunnels_times_are_the_routes_then_the_upstreams(route, upstream, idle, age):
    ends = UPSTREAMS["u"].endpoints
    answer = Answer(static=Static(status=200))
    made = config(
        {
            "a": Route(match=Match(prefix="/a"), to="u", timeouts=route),
            "b": Route(match=Match(prefix="/b"), to=answer),
        },
        upstreams={"u": Upstream(endpoints=ends, timeouts=upstream)},
        timeouts=Timeouts(tunnel=5),
    )
    segment = Segment(routes_segment(made, made.routes)[1])
    rows = segment.rows("route", segment.top("routes")["routes"])
    assert [(row["tunnel_idle_ms"], row["tunnel_max_ms"]) for row in rows] == [(idle, age), (5, 0)]


def test_routes_as_they_are_written():
    made = config(
        {
            "a": Route(
                match=Match(pattern="/c/{id}/{rest*}"),
                timeouts=RouteTimeouts(request=1, first_byte=2, idle=3),
                limits=RouteLimits(body=4),
                to="v",
            ),
            "b": Route(match=Match(prefix="/é"), strip_prefix=True, to="u"),
            "c": Route(match=Match(exact="/x"), to=Answer(static=Static(status=410))),
            "d": Route(to=Answer(redirect=Redirect(to="/", status=301))),
        },
        upstreams=UPSTREAMS,
        timeouts=Timeouts(request=9),
    )
    data = routes_segment(made, made.routes)[1]
    assert _layout.check(data) is None
    read = Segment(data)
    top = read.top("routes")
    assert read.texts(top["upstreams"]) == ["u", "v"]
    a, b, c, d = read.rows("route", top["routes"])
    assert [read.text(row["name"]) for row in (a, b, c, d)] == ["a", "b", "c", "d"] and [
        row["index"] for row in (a, b, c, d)
    ] == [0, 1, 2, 3]
    assert [read.text(row["pattern"]) for row in (a, b, c, d)] == ["/c/{id}/{rest*}", "/é", "/x", ""]
    assert read.texts(a["params"]) == ["id", "rest"] and a["nparams"] == 2
    assert [row["strip"] for row in (a, b)] == [0, 3], "bytes, not letters"
    assert [a["request_ms"], a["first_byte_ms"], a["read_idle_ms"], a["body_max"]] == [1, 2, 3, 4]
    assert [b["request_ms"], b["first_byte_ms"], b["read_idle_ms"], b["body_max"]] == [9, 0, 0, 0]
    assert [row["to"] for row in (a, b, c, d)] == [
        _layout.TO_UPSTREAM,
        _layout.TO_UPSTREAM,
        _layout.TO_STATIC,
        _layout.TO_REDIRECT,
    ]
    assert (a["upstream"], b["upstream"]) == (1, 0)
    assert read.record("answer", c["answer"])["status"] == 410 and read.record("redirect", d["answer"])["status"] == 301


class TestRefused:
    def test_a_query_value_that_no_request_can_have(self):
        longest = "é" * (_layout.COND_VALUE_MAX // 2)
        compiled(config({"a": Match(query={"q": longest})}))
        with pytest.raises(
            SnapshotError, match=rf"route a: the value of query\.q has more than {_layout.COND_VALUE_MAX} bytes"
        ):
            compiled(config({"a": Match(query={"q": longest + "x"})}))

    def test_a_host_of_too_many_labels(self):
        with pytest.raises(SnapshotError, match="route deep: the host .* has more than 63 labels"):
            compiled(config({"deep": Match(hosts=("*" + ".a" * 64,))}))

    def test_a_prefix_too_long_to_strip(self):
        prefix = "/" + "a" * 0xFFFF
        compiled(config({"a": Match(prefix=prefix)}))
        compiled(config({"a": Route(match=Match(prefix=prefix[:-1]), strip_prefix=True, to="u")}))
        with pytest.raises(SnapshotError, match="route a: a prefix of 65536 bytes"):
            compiled(config({"a": Route(match=Match(prefix=prefix), strip_prefix=True, to="u")}))


def test_slots_are_given_once():
    slots = Slots()
    asked = [("route", "a"), ("route", "b"), ("unmatched", "a"), ("upstream", "a")]
    given = [slots.stats_slot(*who) for who in asked]
    assert len(set(given)) == 4 and [slots.stats_slot(*who) for who in asked] == given
    assert [slots.listener_id(name) for name in "aba"] == [0, 1, 0] and [slots.upstream_id(name) for name in "aba"] == [
        0,
        1,
        0,
    ]
    assert slots.endpoint_table("a") == slots.endpoint_table("a") != slots.endpoint_table("b")
