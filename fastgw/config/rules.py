"""Rules between options: of one object, and of the whole document.

A rule is a function (converter, object, node, path) for one class of the model. It gets the object once its own options
are sound; it looks at nodes where it must say a place, or where entries may be missing because they were bad.
"""

import grp
import pwd
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import checks, rules_grpc, rules_limits, rules_match, rules_tls, template
from .addresses import Address, parse_bind, parse_cidr
from .model import (
    KINDS,
    Answer,
    Certificate,
    ClientAuth,
    Config,
    HeaderEdits,
    Headers,
    Limits,
    Match,
    Pool,
    RateLimit,
    Redirect,
    Route,
    Static,
    Step,
    Tls,
    Upstream,
    UpstreamTls,
)
from .nodes import Node, join
from .paths import arriving
from .problem import Fault
from .rules_match import key_of as _key
from .shape import fields_of

if TYPE_CHECKING:
    from .convert import Converter


def apply(conv: "Converter", value: Any, node: Node, path: str) -> None:
    """Run the rules of one object."""
    for rule in RULES.get(type(value), ()):
        rule(conv, value, node, path)


def one_key(conv: "Converter", value: Step | Answer, node: Node, path: str) -> None:
    """Exactly one known key with something in it. Unknown and bad ones have been told already."""
    fields = [option.name for option in fields_of(type(value)).values()]
    known = KINDS if isinstance(value, Step) else fields
    names = [key.text for key, _ in node.items]
    if not all(name in fields for name in names):
        return
    beside = [name for name in names if name not in known]
    names = [name for name in names if name in known]
    if beside and names != ["use"]:
        fault = Fault("FGW1212", f"`{beside[0]}` without `use`", expected="it belongs to a plugin: `use: module:Class`")
        conv.fail(_key(node, beside[0]), join(path, beside[0]), fault)
        return
    if len(names) == 1 and not (node.get(names[0]) or node).is_empty():
        return
    found = f"{len(names)} keys" if names else "an empty mapping"
    if len(names) == 1:
        found = f"nothing in `{names[0]}`"
    conv.fail(node, path, Fault("FGW1107", f"found {found}", expected="exactly one of " + ", ".join(known)))


def writable_edits(conv: "Converter", value: HeaderEdits, node: Node, path: str) -> None:
    for name in ("remove", "rename", "set", "append"):
        part = node.get(name)
        if part is None:
            continue
        keys = [part] if part.kind == "scalar" else part.items
        for number, item in enumerate(keys):
            key, target = item if isinstance(item, tuple) else (item, None)
            at = f"{path}.{name}" if part.kind == "scalar" else join(f"{path}.{name}", key.text)
            at = f"{path}.{name}[{number}]" if part.kind == "list" else at
            _writable(conv, key, at)
            if name == "rename" and target is not None and target.kind == "scalar":
                _writable(conv, target, at)


def _writable(conv: "Converter", node: Node, path: str) -> None:
    try:
        checks.writable_field(node.text)
    except Fault as fault:
        conv.fail(node, path, fault)


def static_answer(conv: "Converter", value: Static, node: Node, path: str) -> None:
    if value.status in (204, 205, 304) and value.body:
        fault = Fault(
            "FGW1212", f"an answer with status {value.status} has no body", expected="no body, or another status"
        )
        conv.fail(node.get("body") or node, f"{path}.body", fault)
    headers = node.get("headers")
    for key, _ in headers.items if headers is not None and headers.kind == "map" else []:
        _writable(conv, key, join(f"{path}.headers", key.text))


def redirect_target(conv: "Converter", value: Redirect, node: Node, path: str) -> None:
    first = template.parse(value.to)[:1]
    if first and isinstance(first[0], template.Variable):
        return
    if not value.to.startswith(("/", "http://", "https://")):
        fault = Fault("FGW1205", f"`{value.to}` is neither a path nor an http URL",
                      expected="text that begins with /, http://, https:// or a variable")  # fmt: skip
        conv.fail(node.get("to") or node, f"{path}.to", fault)


def limits_order(conv: "Converter", value: Limits, node: Node, path: str) -> None:
    for small, large, strict in (
        ("buffer_low", "buffer_high", True),
        ("request_line", "head", False),
        ("field", "head", False),
        ("chunk_extension", "chunk_extensions", False),
    ):
        low, high = getattr(value, small), getattr(value, large)
        if low > high or (strict and low == high):
            name = small if node.get(small) else large
            what = "less than" if strict else "at most"
            fault = Fault(
                "FGW1212", f"{small} is {low:,} bytes and {large} {high:,}", expected=f"{small} {what} {large}"
            )
            conv.fail(node.get(name) or node, f"{path}.{name}", fault)


def upstream_endpoints(conv: "Converter", value: Upstream, node: Node, path: str) -> None:
    at = node.get("endpoints") or node
    if not any(endpoint.weight for endpoint in value.endpoints):
        conv.warn(at, f"{path}.endpoints", Fault("FGW1903", "every endpoint has weight 0, so none is ever picked"))
    addresses = [endpoint.address for endpoint in value.endpoints]
    for address in sorted({a for a in addresses if addresses.count(a) > 1}):
        conv.warn(at, f"{path}.endpoints", Fault("FGW1903", f"the endpoint {address} stands here twice"))


def pool_times(conv: "Converter", value: Pool, node: Node, path: str) -> None:
    said = node.get("stall_timeout")
    if said is not None and value.stall_timeout >= value.queue_timeout:
        fault = Fault("FGW1903", "whoever waits for a connection has left before anybody loses one for it",
                      hint=f"less than queue_timeout, which is {value.queue_timeout} ms")  # fmt: skip
        conv.warn(said, f"{path}.stall_timeout", fault)


def route_target(conv: "Converter", value: Route, node: Node, path: str) -> None:
    chain = node.get("chain")
    steps = chain.items if chain is not None and chain.kind == "list" else []
    answering = [i for i, step in enumerate(steps) if step.get("redirect") or step.get("static")]
    to = node.get("to")
    if to is None and not answering:
        fault = Fault(
            "FGW1213", "this route leads nowhere", expected="the key `to`, or a step of the chain that answers"
        )
        conv.fail(node, path, fault)
    if answering and answering[0] < len(steps) - 1:
        number = answering[0] + 1
        conv.warn(
            steps[number], f"{path}.chain[{number}]", Fault("FGW1902", "the step before this one answers already")
        )
    if answering and to is not None:
        conv.warn(to, f"{path}.to", Fault("FGW1902", "never reached: the chain answers already"))


def route_strip(conv: "Converter", value: Route, node: Node, path: str) -> None:
    match = node.get("match")
    if value.strip_prefix and (match is None or match.get("prefix") is None):
        fault = Fault("FGW1212", "`strip_prefix` without a prefix", expected="`match.prefix`")
        conv.fail(node.get("strip_prefix") or node, f"{path}.strip_prefix", fault)


def route_templates(conv: "Converter", value: Route, node: Node, path: str) -> None:
    """Every variable of every template of the route is one that exists here."""
    params = rules_match.params(value, node)
    if params is None:
        return  # the pattern itself is bad
    for text, at in _templates(node, path):
        try:
            template.parse(text.text)
        except Fault:
            continue  # told already
        try:
            template.check_variables(text.text, params)
        except Fault as fault:
            conv.fail(text, at, fault)


def _templates(node: Node, path: str) -> Iterator[tuple[Node, str]]:
    """Every scalar of a route that is a template, with its path."""
    to, chain = node.get("to"), node.get("chain")
    if to is not None and (redirect := to.get("redirect")) is not None:
        yield from _redirect(redirect, f"{path}.to.redirect")
    for number, step in enumerate(chain.items if chain is not None and chain.kind == "list" else []):
        at = f"{path}.chain[{number}]"
        if (redirect := step.get("redirect")) is not None:
            yield from _redirect(redirect, f"{at}.redirect")
        if (headers := step.get("headers")) is not None:
            yield from _edits(headers, f"{at}.headers")
            if (reply := headers.get("reply")) is not None:
                yield from _edits(reply, f"{at}.headers.reply")


def _redirect(node: Node, path: str) -> Iterator[tuple[Node, str]]:
    if (to := node.get("to")) is not None and to.kind == "scalar":
        yield to, f"{path}.to"


def _edits(node: Node, path: str) -> Iterator[tuple[Node, str]]:
    for name in ("set", "append"):
        part = node.get(name)
        for key, item in part.items if part is not None and part.kind == "map" else []:
            if item.kind == "scalar":
                yield item, join(f"{path}.{name}", key.text)


def binds(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """No address twice; the wildcard address beside another one with its port is suspicious."""
    seen: dict[Address, str] = {}
    for owner, text, at in _bound(value, node):
        address = parse_bind(text)
        if address.kind != "unix" and address.port == 0:
            continue
        if address in seen:
            conv.fail(at, owner, Fault("FGW1202", f"{text} is taken by {seen[address]} already"))
            continue
        for other, name in seen.items():
            if address.kind != "unix" and other.port == address.port and {address.host, other.host} & {"0.0.0.0", "::"}:
                fault = Fault("FGW1903", f"{text} overlaps with the address of {name}")
                conv.warn(at, owner, fault)
        seen[address] = owner


def _bound(value: Config, node: Node) -> Iterator[tuple[str, str, Node]]:
    """(path, address, node) of everything that is listened on."""
    listeners, admin = node.get("listeners") or node, node.get("admin") or node
    for name, listener in value.listeners.items():
        bind = (listeners.get(name) or listeners).get("bind") or listeners
        items = {item.text: item for item in bind.items} if bind.kind == "list" else {}
        for text in listener.bind:
            yield join("listeners", name) + ".bind", text, items.get(text, bind)
    if value.admin.bind is not None:
        yield "admin.bind", value.admin.bind, admin.get("bind") or admin


def trust(conv: "Converter", value: Config, node: Node, path: str) -> None:
    listeners = node.get("listeners") or node
    for name, listener in value.listeners.items():
        local = all(bind.startswith("unix:") for bind in listener.bind)
        if listener.proxy_protocol and not value.trusted_proxies and not local:
            at = listeners.get(name) or listeners
            fault = Fault("FGW1903", "no peer is trusted, so every connection here will be refused",
                          hint="list the balancers in trusted_proxies")  # fmt: skip
            conv.warn(at.get("proxy_protocol") or at, join("listeners", name) + ".proxy_protocol", fault)
    for text in value.trusted_proxies:
        if parse_cidr(text).prefixlen == 0:
            fault = Fault("FGW1903", f"{text} trusts every client to tell its own address")
            conv.warn(node.get("trusted_proxies") or node, "trusted_proxies", fault)


def unseen_fields(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """A route that asks for a field which normalize.underscores never lets arrive."""
    policies = {name: (each.normalize or value.normalize).underscores for name, each in value.listeners.items()}
    routes = node.get("routes") or node
    for name, route in value.routes.items():
        if "allow" in {policies.get(listener) for listener in route.listeners or policies}:
            continue
        for field in route.match.headers:
            if "_" in field:
                at = f"{join('routes', name)}.match.headers"
                fault = Fault("FGW1902", f"no field `{field}` ever arrives: its name has an underscore",
                              hint="set normalize.underscores to allow")  # fmt: skip
                conv.warn(_key(routes, name), join(at, field), fault)


def unseen_paths(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """A path that is not in the form which normalisation gives to those of requests, on any listener of the route."""
    each = {name: listener.normalize or value.normalize for name, listener in value.listeners.items()}
    routes = node.get("routes") or node
    for name, route in value.routes.items():
        here = [each[listener] for listener in route.listeners or each if listener in each]
        for kind in ("exact", "prefix", "pattern"):
            text = getattr(route.match, kind)
            forms = [arriving(text, normal.slashes, normal.merge_slashes) for normal in here] if text else []
            if not forms or text in forms:
                continue
            match = (routes.get(name) or routes).get("match") or routes
            at = match.get(kind) or _key(routes, name)
            conv.warn(at, f"{join('routes', name)}.match.{kind}", _unseen_path(text, forms[0]))


def _unseen_path(text: str, form: str | None) -> Fault:
    if form is None:
        return Fault("FGW1902", "no request has this path: encoded slashes and backslashes are refused",
                     hint="set normalize.slashes to keep")  # fmt: skip
    why, key = ("`//` is made `/`", "normalize.merge_slashes to false")
    if "%2F" in text or "%5C" in text:
        why, key = "encoded slashes and backslashes are made `/`", "normalize.slashes to keep"
    hint = f"did you mean {form}? Otherwise set {key}" if not re.search(r"/\.\.?(/|$)", form) else f"set {key}"
    return Fault("FGW1902", f"no request has this path: {why} before routes are looked at", hint=hint)


def unused_upstreams(conv: "Converter", value: Config, node: Node, path: str) -> None:
    routes, upstreams = node.get("routes"), node.get("upstreams")
    wanted = [entry.get("to") for _, entry in routes.items] if routes is not None and routes.kind == "map" else []
    used = {to.text for to in wanted if to is not None}
    for name in value.upstreams:
        if name not in used and upstreams is not None:
            conv.warn(
                _key(upstreams, name), join("upstreams", name), Fault("FGW1902", "no route leads to this upstream")
            )


def known_accounts(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """A warning only: what is checked here may be meant for another host."""
    for key, name, look_up in (("user", value.user, pwd.getpwnam), ("group", value.group, grp.getgrnam)):
        if not name or name.isdigit():
            continue
        try:
            look_up(name)
        except KeyError:
            conv.warn(node.get(key) or node, key, Fault("FGW1903", f"this host knows no {key} `{name}`"))


RULES: dict[type, tuple[Any, ...]] = {
    Match: (rules_match.one_path, rules_match.regex_begin),
    Step: (one_key,),
    Answer: (one_key,),
    HeaderEdits: (writable_edits,),
    Headers: (writable_edits,),
    Static: (static_answer,),
    Redirect: (redirect_target,),
    Limits: (limits_order,),
    Pool: (pool_times,),
    Upstream: (upstream_endpoints, rules_tls.upstream),
    RateLimit: (rules_limits.rate_limit,),
    Certificate: (rules_tls.certificate,),
    ClientAuth: (rules_tls.client_auth,),
    Tls: (rules_tls.tls,),
    UpstreamTls: (rules_tls.upstream_tls,),
    Route: (route_target, route_strip, route_templates, rules_limits.route_keys),
    Config: (
        binds, rules_match.same_matches, rules_match.regexes, trust, unseen_fields, unseen_paths, unused_upstreams,
        known_accounts, rules_limits.shared_names, rules_grpc.grpc_routes,
    ),
}
