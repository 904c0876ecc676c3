"""Checks of single strings, by the `kind` the model gives them. Each returns the value to keep or raises Fault."""

import re
from collections.abc import Callable

from . import limits, template
from .addresses import parse_address, parse_bind, parse_cidr, parse_host_pattern
from .model_types import NAME_PATTERN
from .paths import check_path, parse_pattern
from .problem import Fault
from .regexes import parse_regex

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}|0|[1-9][0-9]{0,9}", re.ASCII)
_USE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_NO_ID = 2**32 - 1
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
FIELD_NAME_MAX, METHOD_MAX, QUERY_VALUE_MAX = 256, 32, 1024

OURS = {
    "connection": "it belongs to one connection",
    "content-length": "it frames the message",
    "host": "`host: rewrite` of the upstream changes it",
    "keep-alive": "it belongs to one connection",
    "proxy-connection": "it belongs to one connection",
    "te": "it belongs to one connection",
    "trailer": "it frames the message",
    "transfer-encoding": "it frames the message",
    "upgrade": "it belongs to one connection",
}
"""Fields that no step and no answer may write, and why."""


def field_name(text: str) -> str:
    """A header field's name (RFC 9110 section 5.6.2: a token), its case kept."""
    if not _TOKEN.fullmatch(text) or len(text) > FIELD_NAME_MAX:
        hint = "the colon is not part of the name" if text.endswith(":") else ""
        raise Fault("FGW1208", f"`{text}` is not a header field's name", expected="letters, digits, - and _", hint=hint)
    return text


def writable_field(text: str) -> None:
    """A well-formed name that configurations may write."""
    if reason := OURS.get(text.lower()):
        raise Fault("FGW1209", f"the field `{text}` cannot be written here: {reason}")


def field_value(text: str) -> str:
    """A header field's value: no control characters, no white space around it."""
    if bad := _UNFIT.search(text):
        raise Fault("FGW1208", f"a header field's value cannot hold the character U+{ord(bad[0]):04X}",
                    expected="a value without line breaks and control characters", offset=bad.start())  # fmt: skip
    if text != text.strip(" \t"):
        raise Fault("FGW1208", "white space around a header field's value would be lost")
    return text


def template_text(text: str) -> str:
    """A template that is well formed and makes a field's value; its variables are checked with the route."""
    field_value(text)
    template.parse(text)
    return text


def query_value(text: str) -> str:
    """A query parameter's decoded value."""
    if len(text.encode("utf-8", "replace")) > QUERY_VALUE_MAX:
        raise Fault("FGW1105", "the value is too long", expected=f"at most {QUERY_VALUE_MAX} bytes")
    return text


def method(text: str) -> str:
    """A method (RFC 9110 section 9.1: a token, case-sensitive)."""
    if not _TOKEN.fullmatch(text) or len(text) > METHOD_MAX:
        raise Fault("FGW1211", f"`{text}` is not a method", expected="a method such as GET")
    if text not in _METHODS and text.upper() in _METHODS:
        raise Fault("FGW1211", f"`{text}` is not a method that clients send", hint=f"did you mean {text.upper()}?")
    return text


def log_target(text: str) -> str:
    """stdout, stderr, or a path."""
    if text in ("stdout", "stderr") or ("/" in text and "\0" not in text):
        return text
    if text == "off":
        raise Fault("FGW1104", "a log's target cannot be `off`", expected="stdout, stderr or a path",
                    hint="the access log is switched off by `access: off`")  # fmt: skip
    raise Fault("FGW1104", f"`{text}` is no target of a log", expected="stdout, stderr or a path",
                hint=f"a file is a path with a slash: ./{text}")  # fmt: skip


def account(text: str) -> str:
    """A user's or group's name (as useradd allows it), or its number."""
    if not _ACCOUNT.fullmatch(text) or (text.isdigit() and int(text) >= _NO_ID):
        raise Fault("FGW1220", f"`{text}` is no name of a user or group", expected="a name such as nobody, or a number")
    return text


def server_name(text: str) -> str:
    """A host name as certificates hold it, or an address; without port and brackets."""
    if re.fullmatch(r"[0-9A-Fa-f:.]+", text) and (":" in text or text.replace(".", "").isdigit()):
        parse_cidr(text)
        return text
    host = parse_host_pattern(text)
    if host.startswith("*"):
        raise Fault("FGW1210", "a server's name has no wildcard", expected="a name such as api.example.com")
    return host


def limit_name(text: str) -> str:
    """A limit's name: as those of routes."""
    if not re.fullmatch(NAME_PATTERN, text):
        expected = "at most 64 letters, digits, dots, dashes and underscores, a letter or digit first"
        raise Fault("FGW1108", f"`{text}` is not a name", expected=expected)
    return text


def use(text: str) -> str:
    """A plugin: `module:Class`, the module's name dotted."""
    if not _USE.fullmatch(text):
        hint = f"did you mean {text.rpartition('.')[0]}:{text.rpartition('.')[2]}?" if _DOTTED.fullmatch(text) else ""
        raise Fault("FGW1215", f"`{text}` names no class", expected="module:Class, such as auth:KeyAuth", hint=hint)
    return text


def folder(text: str) -> str:
    """A folder's path."""
    if not text or "\0" in text:
        raise Fault("FGW1215", "this is no path of a folder", expected="a path, such as ./plugins")
    return text


def _same(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Check by parsing; keep the text."""

    def check(text: str) -> str:
        parse(text)
        return text

    return check


CHECKS: dict[str, Callable[[str], str]] = {
    "account": account,
    "address": _same(parse_address),
    "bind": _same(parse_bind),
    "cidr": lambda text: str(parse_cidr(text)),
    "cost": _same(limits.parse_cost),
    "field": field_name,
    "folder": folder,
    "frequency": _same(limits.parse_rate),
    "host": parse_host_pattern,
    "limit_key": _same(limits.parse_key),
    "limit_name": limit_name,
    "log": log_target,
    "method": method,
    "path": check_path,
    "query": query_value,
    "server_name": server_name,
    "pattern": _same(parse_pattern),
    "regex": _same(parse_regex),
    "template": template_text,
    "use": use,
    "value": field_value,
}
