"""The configuration, as types. The loader, the JSON Schema and the reference page are all made from this module.

    Config
      listeners      {name: Listener}
      upstreams      {name: Upstream}    endpoints · pool · balance · timeouts
      routes         {name: Route}       match · chain of steps · to (an upstream's name, or an answer)
      admin · log · trusted_proxies · plugins · normalize · limits · timeouts · user · group · workers

Values are in their final unit here: milliseconds, bytes, bytes a second. A bare item where a list is meant, and a
bare address where an endpoint is meant, have become the list and the endpoint. Hosts are in lower case. Of a loaded
configuration the names in `to` and `listeners` are known to exist. `paths.parse_pattern` and `template.parse` take
`Match.pattern` and the templates apart, `regexes.parse_regex` compiles `Match.regex`.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .model_limits import Http2Limits, Limits, RouteLimits, RouteTimeouts, Timeouts, UpstreamTimeouts
from .model_plugins import BUDGET_MS, Plugins
from .model_tls import Certificate, ClientAuth, Tls, UpstreamTls, Watch
from .model_traffic import Concurrency, LimitTable, Queue, RateLimit
from .model_types import (
    SECOND,
    Account,
    Address,
    Bind,
    Cidr,
    FieldName,
    FieldValue,
    HostPattern,
    LimitName,
    ListenerName,
    LogTarget,
    Method,
    QueryValue,
    Template,
    count,
    duration,
    option,
)

__all__ = [
    "AccessLog", "Admin", "Answer", "Balance", "Certificate", "ClientAuth", "Concurrency", "Config", "Endpoint",
    "ErrorLog", "HeaderEdits", "Headers", "Http2Limits", "LimitTable", "Limits", "Listener", "Log", "Match",
    "Normalize", "Plugins", "Pool", "Queue", "RateLimit", "Redirect", "Route", "RouteLimits", "RouteTimeouts",
    "Static", "Step", "Timeouts", "Tls", "Upstream", "UpstreamTimeouts", "UpstreamTls",
]  # fmt: skip


class Normalize(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request is brought to one form. That form is matched, logged and forwarded."""

    slashes: Annotated[
        Literal["reject", "keep", "decode"],
        option("An encoded slash, or a backslash, in a path: 400, stays encoded, or becomes a separator."),
    ] = "reject"
    merge_slashes: Annotated[bool, option("Fold `//` in a path to `/`.")] = True
    underscores: Annotated[
        Literal["drop", "allow", "reject"],
        option(
            "A request field whose name has a `_`, which many servers take for the name with a `-`: is left out, "
            "passes, or 400."
        ),
    ] = "drop"


class Listener(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place where clients connect."""

    bind: Annotated[tuple[Bind, ...], Meta(min_length=1), option("Address or addresses to listen on.", single=True)]
    proxy_protocol: Annotated[
        bool,
        option(
            "Every connection begins with a PROXY protocol header, version 1 or 2, taken only from trusted_proxies (on "
            "a unix socket from whoever may open it); others are closed."
        ),
    ] = False
    tls: Annotated[Tls | None, option("Speak TLS here: HTTPS. Unset: plain HTTP.")] = None
    http2: Annotated[
        bool,
        option(
            "HTTP/2 is served: over TLS to clients that ask for it (ALPN), else to those that begin with it (prior "
            "knowledge). `Upgrade: h2c` is not."
        ),
    ] = True
    normalize: Annotated[Normalize | None, option("Of paths and field names, here, instead of the global one.")] = None


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server of an upstream. A name is resolved off the loop and refreshed by its TTL."""

    address: Annotated[Address, option("`host:port`, `[v6]:port` or `unix:/path`.")]
    weight: Annotated[
        int, count("Share of the requests, relative to the other endpoints; 0: none.", ge=0, le=1_000)
    ] = 1


class Pool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections one worker keeps to an upstream."""

    max_idle: Annotated[int, count("Most idle connections kept open.", ge=0, le=1_000_000)] = 512
    idle_timeout: Annotated[int, duration("An idle connection is closed after this long.")] = 60 * SECOND
    max_connections: Annotated[int, count("Most connections at once.", le=1_000_000)] = 1_024
    queue: Annotated[int, count("Most requests waiting for a connection; beyond it 503.", ge=0, le=1_000_000)] = 1_024
    queue_timeout: Annotated[int, duration("A request waits this long for a connection; then 503.")] = 1 * SECOND
    stall_timeout: Annotated[
        int,
        duration(
            "While others wait for a connection, a client that keeps one busy for so long without taking its answer, "
            "or without sending its request, loses it: 408, or the answer is cut off. "
            "Its only one after eight times that.",
            off=True,
        ),
    ] = 500
    max_requests: Annotated[int, count("Requests after which a connection is not used again.", off=True)] = 0
    max_streams: Annotated[
        int,
        count(
            "HTTP/2: most requests at once on a connection, if the server allows as many; then another is opened.",
            le=10_000,
        ),
    ] = 100


class Balance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an endpoint is picked."""

    kind: Annotated[Literal["round_robin"], option("round_robin: in turn, by weight.")] = "round_robin"
    avoid: Annotated[
        int,
        duration(
            "After a failed connect an endpoint is passed over for this long, if there is another; doubles up to 30s.",
            ge=0,
            le=30 * SECOND,
        ),
    ] = 1 * SECOND
    connect_retries: Annotated[int, count("Further endpoints tried after a failed connect.", ge=0, le=16)] = 2
    goaway_retries: Annotated[
        int,
        count(
            "HTTP/2: further tries of a request that servers leave out of their GOAWAYs; it was not acted on.",
            ge=0,
            le=16,
        ),
    ] = 7


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of equal servers that requests are sent to."""

    endpoints: Annotated[
        tuple[Annotated[Endpoint, option("", short="address")], ...],
        Meta(min_length=1),
        option("The servers: an address, or `{address, weight}`."),
    ]
    tls: Annotated[UpstreamTls | None, option("Speak TLS to it; `{}` is enough. Unset: plain HTTP.")] = None
    protocol: Annotated[
        Literal["h1", "h2", "auto"],
        option(
            "What is spoken to it. h1: HTTP/1.1. h2: HTTP/2, in plain text at once (prior knowledge), over TLS only if "
            "it agrees by ALPN. auto: over TLS, what it chooses of both."
        ),
    ] = "h1"
    pool: Annotated[Pool, option("Connections kept.")] = Pool()
    host: Annotated[
        Literal["preserve", "rewrite"],
        option("The Host sent: the client's, or the endpoint's address (of a unix socket: the upstream's name)."),
    ] = "preserve"
    balance: Annotated[Balance, option("How an endpoint is picked.")] = Balance()
    timeouts: Annotated[UpstreamTimeouts, option("Timeouts of this upstream.")] = UpstreamTimeouts()


class Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request must look like. At most one of exact, prefix, pattern and regex; none of them: every path."""

    hosts: Annotated[
        tuple[HostPattern, ...],
        option("Any of these hosts; `*.` stands for one or more labels. Empty: every host.", single=True),
    ] = ()
    exact: Annotated[str | None, option("This path and no other.", kind="path")] = None
    prefix: Annotated[str | None, option("This path and all below it, by whole segments.", kind="path")] = None
    pattern: Annotated[
        str | None,
        option("A path with `{name}` for one segment and, as the last, `{name*}` for all that follow.", kind="pattern"),
    ] = None
    regex: Annotated[
        str | None,
        option(
            "A regex of PCRE2 that takes the whole normalised path, tried in the order of the configuration when "
            "nothing else under its host and priority takes the path. Named groups are path parameters: "
            "`/(?<year>\\d{4})/.*`. One that takes too many steps for a path does not match.",
            kind="regex",
        ),
    ] = None
    methods: Annotated[tuple[Method, ...], option("Any of these methods. Empty: every method.", single=True)] = ()
    headers: Annotated[
        dict[FieldName, FieldValue], option("All of these header fields, with exactly these values.", names="field")
    ] = {}
    query: Annotated[
        dict[str, QueryValue],
        option("All of these query parameters, with exactly these decoded values.", names="query"),
    ] = {}


class HeaderEdits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Edits of one head, done in this order: remove, rename, set, append."""

    remove: Annotated[tuple[FieldName, ...], option("Drop every field of this name.", single=True)] = ()
    rename: Annotated[dict[FieldName, FieldName], option("Old name: new name; values stay.", names="field")] = {}
    set: Annotated[dict[FieldName, Template], option("Replace, or add.", names="field")] = {}
    append: Annotated[dict[FieldName, Template], option("Add a further field of this name.", names="field")] = {}


class Headers(HeaderEdits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Edit header fields of the request, and under `reply` those of the answer."""

    reply: Annotated[HeaderEdits | None, option("The same edits on the answer's head.")] = None


class Redirect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer with a redirection."""

    to: Annotated[Template, option("The Location: a path or an absolute URL; `{query}` is the request's query.")]
    status: Annotated[Literal[301, 302, 303, 307, 308], option("The status of the answer.")] = 302


class Static(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer with fixed bytes."""

    status: Annotated[int, count("The status of the answer.", ge=200, le=599)] = 200
    body: Annotated[str, option("The body, sent as UTF-8; `${file:…}` takes it from a file.")] = ""
    headers: Annotated[dict[FieldName, FieldValue], option("Fields of the answer.", names="field")] = {}


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"settings": "with"}):
    """One step of a route's chain: a mapping with exactly one key, which names its kind; beside `use` stand what
    belongs to it."""

    headers: Annotated[Headers | None, option("Edit header fields.")] = None
    redirect: Annotated[Redirect | None, option("Answer with a redirection; later steps are not reached.")] = None
    static: Annotated[Static | None, option("Answer with fixed bytes; later steps are not reached.")] = None
    rate_limit: Annotated[RateLimit | None, option("Limit how often a caller may ask.")] = None
    concurrency: Annotated[Concurrency | None, option("Limit how many requests are in flight at once.")] = None
    use: Annotated[
        Annotated[str, option("", kind="use")] | None,
        option("Run the hooks of a plugin, a class `module:Class`; see docs/plugins.md."),
    ] = None
    settings: Annotated[dict[str, Any], option("With `use`: the plugin's own settings.", names="any")] = {}
    fail: Annotated[
        Literal["closed", "open"],
        option("With `use`: when a hook fails, answer 500 (504 after `budget_ms`), or go on as if it were not there."),
    ] = "closed"
    budget_ms: Annotated[
        int, count("With `use`: milliseconds that one hook may take; it is cancelled then.", le=600_000)
    ] = BUDGET_MS
    name: Annotated[
        LimitName | None, option("With `use`: what log and metrics call it. Unset: what `use` says.")
    ] = None

    @property
    def plugin(self) -> str:
        """What log and metrics call its plugin."""
        return self.name or self.use or ""


KINDS = ("headers", "redirect", "static", "rate_limit", "concurrency", "use")
"""The keys that name a step's kind; the others belong to `use`."""


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer the gateway gives itself: a mapping with exactly one key."""

    static: Annotated[Static | None, option("Fixed bytes.")] = None
    redirect: Annotated[Redirect | None, option("A redirection.")] = None


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests go where, and what is done to them on the way."""

    listeners: Annotated[tuple[ListenerName, ...], option("Only on these listeners. Empty: on all.", single=True)] = ()
    match: Annotated[Match, option("What a request must look like.")] = Match()
    priority: Annotated[int, count("The higher wins before anything else is compared.", ge=-10_000, le=10_000)] = 0
    strip_prefix: Annotated[bool, option("Forward the path without match.prefix.")] = False
    chain: Annotated[tuple[Step, ...], option("Steps, in order; their reply parts run in reverse.")] = ()
    grpc: Annotated[
        bool,
        option(
            "This route carries gRPC: its calls are counted by status, and `check` looks whether they can get through. "
            "What else is done for a call is done on every route; see docs/grpc.md."
        ),
    ] = False
    timeouts: Annotated[RouteTimeouts, option("Timeouts of this route.")] = RouteTimeouts()
    limits: Annotated[RouteLimits, option("Limits of this route.")] = RouteLimits()
    to: Annotated[
        Annotated[str, option("", kind="upstream")] | Answer | None,
        option("An upstream's name, `{static: …}` or `{redirect: …}`. May be left out if a step answers."),
    ] = None


class Admin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The admin API: /livez, /readyz, metrics."""

    bind: Annotated[
        Bind | None,
        option(
            "Where it listens. Unset: the socket fastgw-admin.sock in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR or /run."
        ),
    ] = None


class AccessLog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line for every request."""

    format: Annotated[Literal["json", "combined"], option("JSON lines, or the combined format of old.")] = "json"
    to: Annotated[LogTarget, option("`stdout`, `stderr`, or a file, reopened on USR1.")] = "stdout"


class ErrorLog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to the gateway: starts, reloads, deaths of workers, failures of upstreams."""

    level: Annotated[Literal["debug", "info", "warning", "error"], option("The least level that is written.")] = "info"
    to: Annotated[LogTarget, option("`stdout`, `stderr`, or a file, reopened on USR1.")] = "stderr"


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logs."""

    access: Annotated[AccessLog | Literal["off"], option("The access log, or `off`.")] = AccessLog()
    error: Annotated[ErrorLog, option("The error log.")] = ErrorLog()


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration."""

    listeners: Annotated[dict[str, Listener], Meta(min_length=1), option("Where clients connect.", names="name")]
    upstreams: Annotated[dict[str, Upstream], option("Where requests are sent.", names="name")] = {}
    routes: Annotated[dict[str, Route], option("Which requests go where.", names="name")] = {}
    admin: Annotated[Admin, option("The admin API.")] = Admin()
    log: Annotated[Log, option("Logs.")] = Log()
    trusted_proxies: Annotated[
        tuple[Cidr, ...],
        option("Peers whose forwarding header fields and PROXY lines are believed.", single=True),
    ] = ()
    plugins: Annotated[Plugins, option("Where plugins are found.")] = Plugins()
    normalize: Annotated[Normalize, option("How a request is brought to one form.")] = Normalize()
    limits: Annotated[Limits, option("How much may be taken.")] = Limits()
    timeouts: Annotated[Timeouts, option("How long it may take.")] = Timeouts()
    watch: Annotated[Watch, option("Files that are brought into use when they change.")] = Watch()
    user: Annotated[
        Account | None,
        option(
            "Workers run under this user, without capabilities, before anything named here is imported. Only root can "
            "change it; a reload cannot. Unset: the user that started the gateway."
        ),
    ] = None
    group: Annotated[Account | None, option("Workers run under this group. Unset: the user's own.")] = None
    workers: Annotated[
        Annotated[int, count("", le=256)] | Literal["auto"],
        option("Worker processes. auto: one for each core this process may use."),
    ] = "auto"
