# ruff: noqa: E501
"""Where the engine reads HTTP/1 otherwise than llhttp or h11, class by class, and why it is right to.

A class says which reader, in what (`ours/theirs` verdicts, or the part of the meaning) and for which bytes the two may
differ. It is as narrow as its reason: what no class excuses fails the test, and so does a class that never occurs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.readers import Reading

Applies = Callable[[bytes, Reading, Reading], bool]


@dataclass(frozen=True)
class Class:
    name: str
    reader: str  # "llhttp", "h11", or "both"
    what: frozenset[str]
    applies: Applies
    why: str


def _class(name: str, reader: str, what: str, why: str, applies: Applies) -> Class:
    return Class(name, reader, frozenset(what.split()), applies, why)


_INTERIM = re.compile(rb"^(HTTP/1\.[01] 1\d\d [\t -~\x80-\xff]*\r\n([!-~][\t -~\x80-\xff]*\r\n)*\r\n)+")


def _head(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[0] + b"\r\n"


def _has(pattern: bytes, where: Callable[[bytes], bytes] = lambda data: data) -> Applies:
    compiled = re.compile(pattern, re.I)
    return lambda data, ours, theirs: compiled.search(where(_INTERIM.sub(b"", data))) is not None


def _word(*words: str) -> Applies:
    return lambda data, ours, theirs: ours.word in words


def _all(*conditions: Applies) -> Applies:
    return lambda data, ours, theirs: all(one(data, ours, theirs) for one in conditions)


def _any(*conditions: Applies) -> Applies:
    return lambda data, ours, theirs: any(one(data, ours, theirs) for one in conditions)


def _not(condition: Applies) -> Applies:
    return lambda data, ours, theirs: not condition(data, ours, theirs)


def _said(text: str) -> Applies:
    return lambda data, ours, theirs: text in theirs.word


_MALFORMED = _word("bad_request_line", "bad_field", "bad_chunk", "bad_version")
_FRAMING = _word("bad_framing", "upstream_bad_answer")
_LENGTH, _CODING = rb"(^|\n)content-length:", rb"(^|\n)transfer-encoding:"
_EMPTY_FIRST = _has(rb"^\r(\n|$)")


def _unfinished(data: bytes, ours: Reading, theirs: Reading) -> bool:
    """What the engine refused is not complete: of a head or trailer section the empty line lacks, of a chunk the line's end."""
    rest = data[ours.used or 0 :]
    return b"\n" not in rest if ours.word == "bad_chunk" else re.search(rb"(^|\n)\r?\n", rest) is None


STRICTER, LAXER, LATER = "reject/accept reject/partial", "accept/reject", "partial/reject"

CLASSES = [
    # ---- we refuse what they take
    _class("a bare LF ends a line", "h11", STRICTER, "RFC 9112 2.2 only allows (MAY) to take LF for CRLF; a hop that does not would see another message, so it is refused.",
           _all(_MALFORMED, _has(rb"(?<!\r)\n"))),
    _class("a folded line", "h11", STRICTER, "RFC 9112 5.2: a server must reject obs-fold or replace it; rejecting leaves nothing to misread.",
           _all(_word("bad_field"), _has(rb"\n[ \t]", _head))),
    _class("a folded trailer", "h11", STRICTER, "RFC 9112 5.2, in a trailer section.",
           _all(_word("bad_field"), _has(rb"\n0+\r\n(.+\r\n)*[ \t]"))),
    _class("length and coding together", "h11", STRICTER, "RFC 9112 6.1 and 6.3: it ought to be handled as an error; h11 lets the coding win.",
           _all(_FRAMING, _has(_LENGTH, _head), _has(_CODING, _head))),
    _class("the same length twice", "both", STRICTER, "RFC 9112 6.3 allows to refuse it or to take one; a peer that takes the other, or none, is then out of step.",
           _all(_FRAMING, _any(_has(rb"\ncontent-length:[^\n]*,", _head), _has(rb"\ncontent-length:[^\0]*\ncontent-length:", _head)))),
    _class("a coding of HTTP/1.0", "both", STRICTER, "RFC 9112 6.1: framing of such a message is faulty.",
           _all(_FRAMING, _has(rb"HTTP/1\.0", _head), _has(_CODING, _head))),
    _class("more than the one coding `chunked`", "llhttp", STRICTER, "RFC 9112 6.1: what is not implemented is 501, and lists, empty members and repeated fields are how two readers are made to disagree.",
           _all(_word("bad_framing", "unknown_coding", "upstream_bad_answer"), _has(_CODING, _head))),
    _class("a length beyond 2^63", "both", STRICTER, "RFC 9112 6.3: it wraps in signed arithmetic of others; refused at once instead of being awaited.",
           _all(_FRAMING, _has(rb"\ncontent-length:[ \t]*\d{19,}", _head))),
    _class("a chunk size of more than 16 digits", "both", STRICTER, "RFC 9112 7.1: recipients must anticipate large numbers; leading zeros without end are a way to hold a connection.",
           _all(_word("bad_chunk"), _has(rb"\n[0-9a-f]{17,}"))),
    _class("blanks behind a chunk size", "h11", STRICTER, "RFC 9112 7.1 has BWS only before an extension's semicolon.",
           _all(_word("bad_chunk"), _has(rb"\n[0-9a-f]+[ \t]+\r?\n"))),
    _class("control bytes in a chunk line", "h11", STRICTER, "RFC 9112 7.1.1: an extension consists of tokens and quoted strings.",
           _all(_word("bad_chunk"), _has(rb"\n[0-9a-f]+[ \t]*;[^\n]*[\x00-\x08\x0b-\x1f\x7f]"))),
    _class("endless chunk extensions", "both", STRICTER, "RFC 9112 7.1.1: a recipient ought to limit the total length of extensions; ours is limits.chunk_extension(s).",
           _all(_word("bad_chunk"), _has(rb";[^\r\n]{200}"))),
    _class("a request line in other blanks", "llhttp", STRICTER, "RFC 9112 3: exactly one SP on either side of the target; lenient splitting is optional and asks for disagreement.",
           _all(_word("bad_request_line"), _has(rb"^(\r\n)?[^\r\n]*(  | \r?\n)"))),
    _class("empty lines or a CR before a reply, two before a request", "llhttp", STRICTER, "RFC 9112 2.2 lets a server skip at least one empty line before a request; nothing allows it before a reply.",
           _all(_word("bad_request_line"), _has(rb"^[\r\n]"))),
    _class("another version", "both", STRICTER, "RFC 9110 2.5: framing rules of another major version are not known; 505.",
           _word("bad_version")),
    _class("HTTP/0.9", "both", STRICTER, "Not part of HTTP/1.1 since RFC 7230: a request without a version has no answer that a client of today reads safely.",
           _all(_word("bad_request_line"), _has(rb"^(\r\n)?[^ \r\n]+ [^ \r\n]+\r?\n"))),
    _class("a status below 100, or a reason with control bytes", "both", STRICTER, "RFC 9112 4: three digits, of which RFC 9110 15 gives the first 1 to 5; the reason is text.",
           _all(_word("bad_request_line"), _has(rb"(^|\r\n\r\n)HTTP/1\.[01] (0|[^\r\n]*[\x00-\x08\x0b\x0c\x0e-\x1f\x7f])"))),
    _class("a line, field, head or count over the limit", "both", STRICTER, "RFC 9112 3, RFC 9110 5.4: limits are the server's to set (414, 431).",
           _word("line_too_long", "field_too_long", "head_too_long", "too_many_fields")),
    _class("bad before it is complete", "h11", "reject/partial", "RFC 9112 2.2 asks for no patience: h11 looks at a head, a trailer section or a chunk line when all of it is there, we at the first wrong byte.",
           _all(_MALFORMED, _unfinished)),
    _class("control bytes in a value", "h11", STRICTER, "RFC 9110 5.5: CTL characters are invalid; other than NUL, CR and LF they may be kept in safe contexts, which a gateway cannot know.",
           _all(_word("bad_field"), _has(rb":[^\n]*[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"))),
    _class("a fragment in the target", "both", STRICTER, "RFC 9112 3.2: none of the four forms has one; readers cut it off at different places.",
           _all(_word("bad_request_line"), _has(rb"^(\r\n)?[^ ]+ [^ ]*#"))),
    _class("a method of more than 32 bytes", "h11", STRICTER, "RFC 9112 3 leaves limits to the server; 501 or 400.",
           _all(_word("bad_request_line"), _has(rb"^(\r\n)?[^ ]{33}"))),
    # ---- we take what they refuse
    _class("the Host field is judged a layer up", "h11", "accept/reject partial/reject", "RFC 9112 3.2 is obeyed where the request's authority is made (read_host; rows of host_rows are 400).",
           _said("Host: header")),
    _class("an empty line before a request", "h11", "accept/reject partial/reject", "RFC 9112 2.2: a server should ignore at least one.",
           _EMPTY_FIRST),
    _class("blanks before an extension", "both", "accept/reject partial/reject", "RFC 9112 7.1.1: BWS there must be parsed.",
           _all(_any(_said("chunk header"), _said("chunk size")), _has(rb"\n[0-9a-f]+[ \t]+;"))),
    _class("an extension that says nothing", "llhttp", "accept/reject partial/reject", "RFC 9112 7.1.1: unknown extensions must be ignored; ours are bounded, checked for control bytes and never passed on, so their grammar does not matter.",
           _said("chunk extensions")),
    _class("framing fields in trailers", "both", "accept/reject partial/reject", "RFC 9110 6.5.1: they must not be used as framing; we leave them out when trailers are passed on.",
           _all(_any(_said("Transfer-Encoding"), _said("Content-Length")), _has(rb"\n0+(;[^\r\n]*)?\r\n([^\0]*\n)?(content-length|transfer-encoding):"))),
    _class("any token is a method", "llhttp", "accept/reject partial/reject", "RFC 9110 9.1: methods are extensible and case-sensitive; llhttp has a fixed list.",
           _any(_said("Invalid method"), _said("Expected space after method"), _said("Expected HTTP"))),
    _class("the form of the target is judged a layer up", "llhttp", "accept/reject partial/reject", "RFC 9112 3.2 is obeyed by fgw_target_parse (rows of line_rows are 400).",
           _said("InvalidURLError")),
    _class("blanks behind `chunked`", "llhttp", LAXER, "RFC 9112 5: OWS around a value is no part of it.",
           _all(_said("Transfer-Encoding"), _has(rb"\ntransfer-encoding:[ \t]*chunked[ \t]+\r\n", _head))),
    _class("an upgrade h11 has not asked for", "h11", LAXER, "Whether 101 was asked for is the codec's to judge (FGW_E_UPSTREAM_UPGRADE), not the parser's.",
           _said("_SWITCH_UPGRADE")),
    _class("refused sooner", "llhttp", LATER, "Neither accepts it: llhttp weighs framing field by field, we when the head is complete.",
           _all(_any(_said("Content-Length"), _said("Transfer-Encoding")), _any(_has(_LENGTH), _has(_CODING)))),
    # ---- both accept, but not the same
    _class("blanks behind a value", "llhttp", "fields trailers", "RFC 9112 5: OWS around a value is no part of it; llhttp leaves what is behind.",
           lambda data, ours, theirs: [(n.lower(), v) for n, v in ours.fields + ours.trailers] == [(n.lower(), v.strip(b" \t")) for n, v in theirs.fields + theirs.trailers]),
    _class("`chunked` in capitals", "h11", "fields", "RFC 9112 7: codings are case-insensitive; h11 writes it small.",
           lambda data, ours, theirs: [(n.lower(), v.lower()) for n, v in ours.fields] == [(n, v.lower()) for n, v in theirs.fields]),
    _class("an answer to HEAD has no body", "llhttp", "body used", "RFC 9112 6.3: it ends with its head; httptools cannot be told what was asked.",
           lambda data, ours, theirs: ours.body == b"" and ours.used is not None and data[: ours.used].endswith(b"\r\n\r\n")),
]  # fmt: skip
