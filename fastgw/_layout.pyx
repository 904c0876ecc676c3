# cython: language_level=3
"""The layout of snapshot segments, as the C half was compiled with it: fields, numbers, and the check of a segment."""
from typing import NamedTuple

from libc.stdlib cimport free, malloc

cimport fastgw._c.bucket as b
cimport fastgw._c.layout as c


class Field(NamedTuple):
    """One field of one record. `type`: u8 u16 u32 u64 str arr ref; offsets and sizes in bytes."""

    record: str
    name: str
    type: str
    offset: int
    size: int
    record_size: int
    record_align: int


def fields() -> list[Field]:
    """Every field of every record, in the order of layout.def."""
    cdef c.fgw_layout_field f
    found, i = [], 0
    while c.fgw_layout_field_at(i, &f):
        found.append(Field(f.record.decode(), f.field.decode(), f.type.decode(), f.offset, f.size, f.record_size,
                           f.record_align))
        i += 1
    return found


def content_hash(const unsigned char[:] body) -> int:
    """The content address of the bytes behind a segment's header: 64 bits of xxh3."""
    return c.fgw_hash_xxh3(&body[0] if body.shape[0] else NULL, body.shape[0])


def field_id(bytes name not None) -> int:
    """The number of a header field's name in any case; 0: it has none."""
    return c.fgw_field_id(name, len(name))


def check(bytes segment not None) -> str | None:
    """What is wrong with a segment; None: it is whole and well formed."""
    cdef const char *why = c.fgw_seg_check(<const char *>segment, len(segment))
    return None if why is NULL else why.decode()


def check_snapshot(bytes root not None, list segments not None) -> str | None:
    """What is wrong with checked segments as one snapshot, in the order that the root names them; None: nothing."""
    cdef const void **all_segments = <const void **>malloc((len(segments) + 1) * sizeof(void *))
    cdef const char *why
    cdef const char *bytes_of
    if all_segments is NULL:
        raise MemoryError("check_snapshot")
    try:
        for i, segment in enumerate(segments):
            bytes_of = segment                # `segments` keeps it alive
            all_segments[i] = bytes_of
        why = c.fgw_snapshot_check(<const char *>root, all_segments)
    finally:
        free(all_segments)
    return None if why is NULL else why.decode()


SEG_MAGIC = c.FGW_SEG_MAGIC
LAYOUT_VERSION = c.FGW_LAYOUT_VERSION
PARAMS_MAX = c.FGW_PARAMS_MAX
COND_VALUE_MAX = c.FGW_COND_VALUE_MAX
SEG_ROOT, SEG_ROUTES, SEG_SETTINGS, SEG_UPSTREAM, SEG_TLS = (
    c.FGW_SEG_ROOT, c.FGW_SEG_ROUTES, c.FGW_SEG_SETTINGS, c.FGW_SEG_UPSTREAM, c.FGW_SEG_TLS)
TO_UPSTREAM, TO_STATIC, TO_REDIRECT = c.FGW_TO_UPSTREAM, c.FGW_TO_STATIC, c.FGW_TO_REDIRECT
PROTOCOLS = {"h1": c.FGW_PROTO_H1, "h2": c.FGW_PROTO_H2, "auto": c.FGW_PROTO_AUTO}
NODE_HOSTS, NODE_HOST, NODE_ROOT, NODE_LITERAL, NODE_PARAM = (
    c.FGW_NODE_HOSTS, c.FGW_NODE_HOST, c.FGW_NODE_ROOT, c.FGW_NODE_LITERAL, c.FGW_NODE_PARAM)
FANOUT_NONE, FANOUT_ONE, FANOUT_EDGES = c.FGW_FANOUT_NONE, c.FGW_FANOUT_ONE, c.FGW_FANOUT_EDGES
STEP_HEADERS, STEP_REDIRECT, STEP_ANSWER = c.FGW_STEP_HEADERS, c.FGW_STEP_REDIRECT, c.FGW_STEP_ANSWER
STEP_RATE_LIMIT, STEP_CONCURRENCY = c.FGW_STEP_RATE_LIMIT, c.FGW_STEP_CONCURRENCY
STEP_HOOK = c.FGW_STEP_HOOK
HOOK_FAIL = {"closed": c.FGW_HOOK_CLOSED, "open": c.FGW_HOOK_OPEN}
HOOK_PHASES = {"access": 1, "reply": 2}       # bits: 1 << enum fgw_hook_phase
BUCKET_SET = sizeof(b.fgw_bucket_set)
LIMIT_BY = {
    "client_ip": c.FGW_LIMIT_CLIENT, "header": c.FGW_LIMIT_HEADER, "query": c.FGW_LIMIT_QUERY,
    "cookie": c.FGW_LIMIT_COOKIE, "path": c.FGW_LIMIT_PATH, "route": c.FGW_LIMIT_ROUTE,
}
TELL = {"always": c.FGW_TELL_ALWAYS, "refused": c.FGW_TELL_REFUSED, "never": c.FGW_TELL_NEVER}
EDIT_REMOVE, EDIT_RENAME, EDIT_SET, EDIT_APPEND = (
    c.FGW_EDIT_REMOVE, c.FGW_EDIT_RENAME, c.FGW_EDIT_SET, c.FGW_EDIT_APPEND)
LOG_FORMATS = {"off": c.FGW_LOG_OFF, "json": c.FGW_LOG_JSON, "combined": c.FGW_LOG_COMBINED}
SLASHES = {"reject": c.FGW_SLASHES_REJECT, "keep": c.FGW_SLASHES_KEEP, "decode": c.FGW_SLASHES_DECODE}
UNDERSCORES = {
    "drop": c.FGW_UNDERSCORES_DROP, "allow": c.FGW_UNDERSCORES_ALLOW, "reject": c.FGW_UNDERSCORES_REJECT}
PART_TEXT, PART_PARAM = c.FGW_PART_TEXT, c.FGW_PART_PARAM
PARTS = {
    "client.address": c.FGW_PART_CLIENT_ADDRESS,
    "host": c.FGW_PART_HOST,
    "request.id": c.FGW_PART_REQUEST_ID,
    "method": c.FGW_PART_METHOD,
    "path": c.FGW_PART_PATH,
    "query": c.FGW_PART_QUERY,
    "scheme": c.FGW_PART_SCHEME,
    "listener": c.FGW_PART_LISTENER,
    "route": c.FGW_PART_ROUTE,
    "client.certificate.subject": c.FGW_PART_CERT_SUBJECT,
    "client.certificate.cn": c.FGW_PART_CERT_CN,
    "client.certificate.fingerprint": c.FGW_PART_CERT_FINGERPRINT,
    "client.certificate.uri": c.FGW_PART_CERT_URI,
    "client.certificate.dns": c.FGW_PART_CERT_DNS,
}
