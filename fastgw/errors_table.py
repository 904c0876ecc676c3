# ruff: noqa: E501
"""Every way a request or a connection can fail. Generated from src_c/base/err.def by `make gen`."""
from typing import NamedTuple


class Failure(NamedTuple):
    """One kind of failure; `status` 0 means that the connection is only closed."""

    code: int
    name: str
    status: int
    word: str
    text: str


FAILURES: tuple[Failure, ...] = (
    Failure(0, "NONE", 0, "ok", "no failure"),
    Failure(1, "BAD_REQUEST", 400, "bad_request", "the request is not valid HTTP"),
    Failure(2, "BAD_LINE", 400, "bad_request_line", "the request line is malformed"),
    Failure(3, "BAD_FIELD", 400, "bad_field", "a header field is malformed"),
    Failure(4, "BAD_FRAMING", 400, "bad_framing", "the message's length is ambiguous or malformed"),
    Failure(5, "BAD_CHUNK", 400, "bad_chunk", "the chunked body is malformed"),
    Failure(6, "BAD_HOST", 400, "bad_host", "the Host field is missing, repeated or malformed"),
    Failure(7, "BAD_TARGET", 400, "bad_target", "the request target is malformed or not allowed"),
    Failure(8, "BAD_UPGRADE", 400, "bad_upgrade", "the upgrade request is malformed"),
    Failure(9, "BAD_PROXY_LINE", 0, "bad_proxy_line", "the PROXY protocol header is malformed"),
    Failure(10, "PROXY_UNTRUSTED", 0, "untrusted_proxy", "the peer of a proxy_protocol listener is not in trusted_proxies"),
    Failure(11, "BODY_TRUNCATED", 400, "body_truncated", "the client closed before its body was complete"),
    Failure(12, "BAD_EXPECT", 417, "bad_expect", "the expectation is not known"),
    Failure(13, "BAD_CODING", 501, "unknown_coding", "the transfer coding is not implemented"),
    Failure(14, "BAD_METHOD", 501, "bad_method", "the method is not served"),
    Failure(15, "BAD_VERSION", 505, "bad_version", "the HTTP version is not served"),
    Failure(16, "LINE_TOO_LONG", 414, "line_too_long", "the request line is longer than allowed"),
    Failure(17, "FIELD_TOO_LONG", 431, "field_too_long", "a header field is longer than allowed"),
    Failure(18, "HEAD_TOO_LONG", 431, "head_too_long", "the header section is longer than allowed"),
    Failure(19, "TOO_MANY_FIELDS", 431, "too_many_fields", "there are more header fields than allowed"),
    Failure(20, "BODY_TOO_LONG", 413, "body_too_long", "the body is longer than allowed"),
    Failure(21, "HEAD_TIMEOUT", 408, "head_timeout", "the request head did not arrive in time"),
    Failure(22, "BODY_TIMEOUT", 408, "body_timeout", "the request body did not arrive in time"),
    Failure(23, "BODY_TOO_SLOW", 408, "body_too_slow", "the request body arrived below the minimum rate"),
    Failure(24, "SEND_TIMEOUT", 0, "send_timeout", "the client did not take its answer in time"),
    Failure(25, "SEND_TOO_SLOW", 0, "send_too_slow", "the client took its answer below the minimum rate"),
    Failure(26, "IDLE_TIMEOUT", 0, "idle_timeout", "the connection was idle for too long"),
    Failure(27, "TUNNEL_IDLE", 0, "tunnel_idle", "the tunnel was idle for too long"),
    Failure(28, "H2_PROTOCOL", 0, "protocol_error", "the client broke the rules of HTTP/2"),
    Failure(29, "H2_RESETS", 0, "rapid_reset", "more HTTP/2 streams were reset than allowed"),
    Failure(30, "H2_CONTROL", 0, "control_flood", "more HTTP/2 control frames came than allowed"),
    Failure(31, "H2_EMPTY", 0, "empty_frames", "more HTTP/2 frames without content came than allowed"),
    Failure(32, "H2_CONTINUATION", 0, "continuation_flood", "an HTTP/2 header section came in more frames than allowed"),
    Failure(33, "H2_HEAD_BOMB", 0, "header_bomb", "an HTTP/2 header section stood for far more bytes than allowed"),
    Failure(34, "CLIENT_GONE", 499, "client_gone", "the client went away"),
    Failure(35, "NO_ROUTE", 404, "no_route", "no route matches this request"),
    Failure(36, "METHOD_NOT_ALLOWED", 405, "method_not_allowed", "no route here takes this method"),
    Failure(37, "NO_UPSTREAM", 503, "no_upstream", "the route's upstream has no usable endpoint"),
    Failure(38, "NO_CONFIG", 503, "no_config", "the gateway has no configuration for this yet"),
    Failure(39, "POOL_FULL", 503, "pool_full", "the upstream's connections are all taken and the queue is full"),
    Failure(40, "POOL_TIMEOUT", 503, "pool_timeout", "no upstream connection became free in time"),
    Failure(41, "OVERLOAD", 503, "overload", "the gateway is shedding load"),
    Failure(42, "DRAINING", 503, "draining", "the gateway is stopping"),
    Failure(43, "NO_MEMORY", 503, "no_memory", "the gateway is out of memory"),
    Failure(44, "RATE_LIMITED", 429, "rate_limited", "a limit on how often this may be asked is reached"),
    Failure(45, "CONCURRENCY", 429, "concurrency_limited", "a limit on how many requests may be in flight is reached"),
    Failure(46, "CONCURRENCY_WAIT", 429, "concurrency_timeout", "no place among the requests in flight became free in time"),
    Failure(47, "DENIED", 403, "denied", "a policy refused this request"),
    Failure(48, "PLUGIN_FAILED", 500, "plugin_failed", "a plugin failed"),
    Failure(49, "PLUGIN_TIMEOUT", 504, "plugin_timeout", "a plugin did not decide in time"),
    Failure(50, "LOOP", 508, "loop", "the request has passed this gateway too often"),
    Failure(51, "INTERNAL", 500, "internal", "the gateway failed"),
    Failure(52, "REQUEST_TIMEOUT", 504, "request_timeout", "the request was not finished in time"),
    Failure(53, "CONNECT_REFUSED", 502, "connect_refused", "the upstream refused the connection"),
    Failure(54, "CONNECT_FAILED", 502, "connect_failed", "the upstream could not be reached"),
    Failure(55, "CONNECT_TIMEOUT", 504, "connect_timeout", "the upstream did not accept in time"),
    Failure(56, "UPSTREAM_CLOSED", 502, "upstream_closed", "the upstream closed before it answered"),
    Failure(57, "UPSTREAM_RESET", 502, "upstream_reset", "the upstream reset the connection"),
    Failure(58, "UPSTREAM_BAD", 502, "upstream_bad_answer", "the upstream's answer is not valid HTTP"),
    Failure(59, "UPSTREAM_HEAD_LONG", 502, "upstream_head_too_long", "the upstream's header section is longer than allowed"),
    Failure(60, "UPSTREAM_TRUNCATED", 502, "upstream_truncated", "the upstream closed before its body was complete"),
    Failure(61, "UPSTREAM_REFUSED", 502, "upstream_refused", "the upstream refused the stream without processing it"),
    Failure(62, "UPSTREAM_UPGRADE", 502, "upstream_bad_upgrade", "the upstream switched to a protocol nobody asked for"),
    Failure(63, "FIRST_BYTE_TIMEOUT", 504, "first_byte_timeout", "the upstream did not begin its answer in time"),
    Failure(64, "UPSTREAM_IDLE", 504, "upstream_idle", "the upstream's answer stalled"),
    Failure(65, "UPSTREAM_SEND", 504, "upstream_send_timeout", "the upstream did not take the request in time"),
    Failure(66, "CANCELLED", 0, "cancelled", "the other side no longer wants this"),
)
BY_WORD: dict[str, Failure] = {f.word: f for f in FAILURES}
