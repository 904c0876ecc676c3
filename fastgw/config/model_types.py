"""Scalar types of the configuration and the metadata that the loader, the schema and the reference read.

A field is `Annotated[type, option("what it is", ...)]`. `extra` carries what msgspec has no word for:

    unit     "duration" (document: `250ms 30s 5m 1h 7d`, model: milliseconds), "size" (`16KiB`, `1MB`; bytes),
             "rate" (`500B/s`; bytes a second)
    off      True: the word `off` may be written, and means 0: no limit; otherwise at least `least`
    kind     what a string is: "address", "bind", "cidr", "host", "path", "pattern", "regex", "method", "field",
             "value", "query", "template", "listener", "upstream", "log", "account", "frequency", "limit_key",
             "limit_name", "cost", "use", "folder", "pem", "server_name"; checked by `fastgw.config.checks`
    single   True: one bare item may be written instead of a list of one
    short    a bare string may be written instead of a mapping, and means this field of it
    names    what a mapping's keys are: "name", "field", "query", or "any": not looked into here
"""

from typing import Annotated, Any

from msgspec import Meta

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
DURATION_MAX = 7 * DAY  # fits 32 bits of milliseconds, as the engine's timers do
SIZE_MAX = 1 << 40
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def option(description: str, **extra: Any) -> Meta:
    """Describe a field; `extra` as in the module's docstring."""
    return Meta(description=description, extra=extra or None)


def duration(description: str, *, ge: int = 1, le: int = DURATION_MAX, off: bool = False) -> Meta:
    """A time span in milliseconds, within [ge, le]; with `off`, 0 (no limit) too."""
    return Meta(
        description=description, ge=0 if off else ge, le=le, extra={"unit": "duration", "off": off, "least": ge}
    )


def size(description: str, *, ge: int = 1, le: int = SIZE_MAX, off: bool = False) -> Meta:
    """A number of bytes within [ge, le]; with `off`, 0 (no limit) too."""
    return Meta(description=description, ge=0 if off else ge, le=le, extra={"unit": "size", "off": off, "least": ge})


def rate(description: str, *, le: int = GIB) -> Meta:
    """Bytes a second up to `le`; 0 or `off`: no limit."""
    return Meta(description=description, ge=0, le=le, extra={"unit": "rate", "off": True, "least": 1})


def count(description: str, *, ge: int = 1, le: int = 1_000_000_000, off: bool = False) -> Meta:
    """A plain number within [ge, le]; with `off`, 0 (no limit) too."""
    return Meta(description=description, ge=0 if off else ge, le=le, extra={"off": off, "least": ge})


Address = Annotated[str, option("`host:port`, `[v6]:port` or `unix:/path`", kind="address")]
Bind = Annotated[str, option("`address:port`, `[v6]:port` or `unix:/path`; port 0 takes a free one", kind="bind")]
Cidr = Annotated[str, option("`10.0.0.0/8`, `2001:db8::/32` or a single address", kind="cidr")]
HostPattern = Annotated[str, option("`api.example.com` or `*.example.com`", kind="host")]
Method = Annotated[str, option("a method in capital letters", kind="method")]
FieldName = Annotated[str, option("a header field's name", kind="field")]
FieldValue = Annotated[str, option("a header field's value, taken literally", kind="value")]
QueryValue = Annotated[str, option("a query parameter's decoded value", kind="query")]
Template = Annotated[str, option("text with `{variables}`; `{{` and `}}` are braces", kind="template")]
Account = Annotated[str, option("a name that this host knows, or a number in quotes", kind="account")]
ListenerName = Annotated[str, option("the name of a listener", kind="listener")]
Frequency = Annotated[str, option("requests in a time: `100/s`, `5000/m`, `10/h`", kind="frequency")]
LimitKey = Annotated[str, option("what a limit counts by", kind="limit_key")]
LimitName = Annotated[str, option("the name of a limit", kind="limit_name")]
Cost = Annotated[str, option("`header:NAME`", kind="cost")]
Pem = Annotated[str, option("a PEM file, relative to the document's folder, or `${VAR}` with its text", kind="pem")]
LogTarget = Annotated[str, option("`stdout`, `stderr` or a file's path", kind="log")]
