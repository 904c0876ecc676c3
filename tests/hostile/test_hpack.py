"""HPACK (RFC 7541) both ways against the `hpack` package: what one encodes the other reads, however tables change."""

import random
from collections.abc import Iterator
from pathlib import Path

import hpack
import pytest

from tests.e2e.supervised import Gateway, gateway

from .h2_origin import HostileOrigin
from .h2_wire import ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, Fields, Hostile, frame, request
from .origin import Origin, Reply

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{origin: {{endpoints: ["{origin}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: origin}}}}
workers: 1
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
"""
ROUNDS = 40
NAMES = ["accept", "x-a", "x-long-name-of-a-field", "user-agent", "referer", "authorization", "x-b", "cache-control"]
TEXT = "".join(chr(c) for c in range(0x21, 0x7F)) + " \t"


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("hpack")) as made:
        made.start(CONFIG.format(origin=origin.address)).ready()
        yield made
        assert made.stop() == 0


def value(rng: random.Random) -> str:
    """Short and long, often seen before, any visible byte, and text above ASCII."""
    kind = rng.randrange(5)
    if kind < 2:
        return rng.choice(["gzip, deflate", "no-cache", "a", "https://example.test/a?b=c"])
    if kind == 2:
        return "\u00e9\u00ff\u0080" * rng.randrange(1, 9)
    return "".join(rng.choices(TEXT, k=rng.choice([1, 2, 30, 200, 1200]))).strip() or "x"


def some(rng: random.Random) -> Fields:
    return [(rng.choice(NAMES), value(rng)) for _ in range(rng.randrange(1, 12))]


def raw(fields: Fields) -> list[tuple[bytes, bytes]]:
    return sorted((name.encode(), text.encode("latin-1")) for name, text in fields)


def encode(encoder: hpack.Encoder, rng: random.Random, fields: Fields) -> bytes:
    """With or without Huffman's code; some fields never indexed (section 6.2.3)."""
    plain = [(n.encode(), v.encode("latin-1")) for n, v in fields]
    listed = [hpack.NeverIndexedHeaderTuple(*pair) if rng.random() < 0.2 else pair for pair in plain]
    return bytes(encoder.encode(listed, huffman=rng.random() < 0.5))


@pytest.mark.parametrize("seed", range(4))
def test_what_hpack_encodes_the_gateway_reads(gw: Gateway, origin: Origin, seed: int) -> None:
    """One connection, one dynamic table, whose size changes between requests (section 6.3)."""
    rng, encoder = random.Random(seed), hpack.Encoder()
    with Hostile(gw.address()) as peer:
        for number in range(ROUNDS):
            if rng.random() < 0.2:
                encoder.header_table_size = rng.choice([0, 64, 1000, 4096])
            fields, path = some(rng), f"/in/{seed}/{number}"
            stream = 2 * number + 1
            head = encode(encoder, rng, [*request(path), *fields])
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, head))
            assert peer.answer(stream) == 200
            seen = origin.seen[path][0]
            assert sorted(pair for pair in seen.fields if pair[0].decode() in NAMES) == raw(fields)


@pytest.mark.parametrize("size", [0, 100, 4096, 65_536])
def test_what_the_gateway_encodes_hpack_reads(gw: Gateway, origin: Origin, size: int) -> None:
    """Whatever table the client allows; `hpack` refuses a larger one, and an encoder that forgets to say so."""
    rng = random.Random(size)
    hello = PREFACE + frame(SETTINGS, 0, 0, b"\0\1" + size.to_bytes(4, "big"))
    with Hostile(gw.address(), hello=b"") as peer:
        peer.send(hello)
        peer.until(lambda h: h.acks)
        peer.send(frame(SETTINGS, ACK, 0))
        peer.decoder = hpack.Decoder()
        peer.decoder.max_allowed_table_size = size
        for number in range(ROUNDS):
            fields, path, stream = some(rng), f"/out/{size}/{number}", 2 * number + 1
            head = b"".join(b"%s: %s\r\n" % (n.encode(), v.encode("latin-1")) for n, v in fields)
            origin.scripts[path] = Reply(b"HTTP/1.1 204 No Content\r\n" + head + b"\r\n")
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, hpack.Encoder().encode(request(path))))
            assert peer.answer(stream) == 204
            assert raw([pair for pair in peer.heard.fields[stream] if pair[0] in NAMES]) == raw(fields)


def test_a_table_that_shrinks_in_mid_connection(gw: Gateway, origin: Origin, tmp_path: Path) -> None:
    """Section 4.2: the next block begins with the new size, and with the smallest one in between."""
    origin.scripts["/shrink"] = Reply(b"HTTP/1.1 204 No Content\r\nx-a: kept in the table\r\n\r\n")
    with Hostile(gw.address()) as peer:
        for stream, sizes in ((1, ()), (3, ()), (5, (0, 200)), (7, ()), (9, (4096,)), (11, ())):
            for size in sizes:
                peer.send(frame(SETTINGS, 0, 0, b"\0\1" + size.to_bytes(4, "big")))
            peer.settle()
            if sizes:
                peer.decoder.max_allowed_table_size = max(sizes)
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, hpack.Encoder().encode(request("/shrink"))))
            assert peer.answer(stream) == 204
            assert ("x-a", "kept in the table") in peer.heard.fields[stream]


# ---- never-indexed fields (RFC 7541 section 7.1.3): what one hop may not keep in a table, the next may not either


H2_UPSTREAM = CONFIG.replace('["{origin}"]', '["{origin}"], protocol: h2')


@pytest.fixture(scope="module")
def second() -> Iterator[HostileOrigin]:
    made = HostileOrigin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory, second: HostileOrigin) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("never")) as made:
        made.start(H2_UPSTREAM.format(origin=second.address)).ready()
        yield made
        assert made.stop() == 0


def marked(fields: Fields, *secret: str) -> list[tuple[bytes, bytes]]:
    plain = [(n.encode(), v.encode("latin-1")) for n, v in fields]
    return [hpack.NeverIndexedHeaderTuple(*pair) if pair[0].decode() in secret else pair for pair in plain]


SECRETS: list[tuple[Fields, set[str]]] = [
    ([("x-secret", "1"), ("x-open", "2"), ("accept", "a/b")], set()),
    ([("x-secret", "1"), ("x-open", "2"), ("accept", "a/b")], {"x-secret"}),
    ([("x-secret", "1"), ("x-open", "2"), ("accept", "a/b")], {"accept", "x-open"}),
    ([("cookie", "a-cookie-that-is-long-enough=1")], {"cookie"}),
    ([], {":path"}),
    ([], {":authority", ":method"}),
    ([("x-secret", "1")], {"x-secret", ":path", ":authority", ":method"}),
]


@pytest.mark.parametrize("number", range(len(SECRETS)))
def test_what_a_client_marks_stays_marked(through: Gateway, second: HostileOrigin, number: int) -> None:
    fields, secret = SECRETS[number]
    path, encoder = f"/never/{number}", hpack.Encoder()
    with Hostile(through.address()) as peer:
        for times, stream in enumerate((1, 3), start=1):
            head = encoder.encode(marked([*request(path, "BREW"), *fields], *secret))  # not in the static table
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, head))
            assert peer.answer(stream) == 200
            _, asked = second.had(path, times)
            assert asked.never == secret


def test_a_mark_on_a_piece_of_cookie_holds_for_the_whole(through: Gateway, second: HostileOrigin) -> None:
    pieces = [(b"cookie", b"a=long-enough-to-be-indexed"), hpack.NeverIndexedHeaderTuple(b"cookie", b"b=2")]
    with Hostile(through.address()) as peer:
        head = hpack.Encoder().encode([*marked(request("/never/cookie")), *pieces])
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head))
        assert peer.answer(1) == 200
    _, asked = second.had("/never/cookie")
    assert asked["cookie"] == "a=long-enough-to-be-indexed; b=2"
    assert asked.never == {"cookie"}


def test_what_an_upstream_marks_stays_marked(through: Gateway, second: HostileOrigin) -> None:
    """An interim answer, a head and trailers; and nothing else is marked."""

    def script(stream: int) -> bytes:
        encoder = hpack.Encoder()
        early = encoder.encode(marked([(":status", "103"), ("x-early", "1")], "x-early"))
        fields = [(":status", "200"), ("x-secret", "1"), ("x-open", "2"), ("etag", "3")]
        head = encoder.encode(marked(fields, "x-secret", "etag"))
        last = encoder.encode(marked([("x-last", "1"), ("x-late", "2")], "x-last"))
        return (
            frame(HEADERS, END_HEADERS, stream, early)
            + frame(HEADERS, END_HEADERS, stream, head)
            + frame(DATA, 0, stream, b"body")
            + frame(HEADERS, END_HEADERS | END_STREAM, stream, last)
        )

    second.scripts["/never/reply"] = script
    with Hostile(through.address()) as peer:
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, hpack.Encoder().encode(request("/never/reply"))))
        assert peer.answer(1) == 200
        assert peer.heard.trailers[1] == [("x-last", "1"), ("x-late", "2")]
        assert peer.heard.never[1] == {"x-early", "x-secret", "etag", "x-last"}


def test_marked_trailers_of_a_request(through: Gateway, second: HostileOrigin) -> None:
    encoder = hpack.Encoder()
    with Hostile(through.address()) as peer:
        peer.send(frame(HEADERS, END_HEADERS, 1, encoder.encode(marked(request("/never/up", "POST")))))
        peer.send(frame(DATA, 0, 1, b"body"))
        last = encoder.encode(marked([("x-last", "1"), ("x-t", "2")], "x-last"))
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, last))
        assert peer.answer(1) == 200
    _, asked = second.had("/never/up")
    second.until(lambda: asked.trailers, "trailers")
    assert asked.never == {"x-last"}


def test_marks_do_not_survive_http1_and_do_no_harm_there(gw: Gateway, origin: Origin) -> None:
    with Hostile(gw.address()) as peer:
        fields = [("x-secret", "1"), ("cookie", "a=1"), ("cookie", "b=2")]
        head = hpack.Encoder().encode(marked([*request("/never/h1"), *fields], "x-secret", "cookie", ":path"))
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head))
        assert peer.answer(1) == 200
    seen = dict(origin.seen["/never/h1"][0].fields)
    assert seen[b"x-secret"] == b"1"
    assert seen[b"cookie"] == b"a=1; b=2"
