"""The routing trie of one listener: what src_c/policy/route.c walks. The picture is in route.h.

The tree is built of plain objects, numbered with parents before children, and written with one hash table that holds
all its edges. Which of two routes on one leaf comes first is decided here, and nowhere at run time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fastgw import _layout, _route
from fastgw.config.model import Match, Route
from fastgw.config.paths import parse_pattern
from fastgw.config.rules_match import params_of
from fastgw.errors import FastgwError

from .layout import SegmentWriter, Span

LABELS_MAX = 63
_RUN_MAX = 64


class SnapshotError(FastgwError):
    """A configuration that is well formed but exceeds what a snapshot can hold. The text names the object."""


class Entry(NamedTuple):
    """One route to be put into the trie. `at`: the offset of its record; `order`: its place in the configuration."""

    at: int
    name: str
    route: Route
    order: int


class _Leaf:
    """Routes whose host and path parts are met at one place, with so many path parameters."""

    def __init__(self, nparams: int = 0) -> None:
        self.nparams = nparams
        self.entries: list[Entry] = []
        self.next: _Leaf | None = None
        self.at = 0

    def ordered(self) -> list[Entry]:
        """In order of precedence: exact before pattern, methods named, more headers, more query, name."""
        return sorted(self.entries, key=lambda entry: leaf_order(entry.name, entry.route.match))


def leaf_order(name: str, match: Match) -> tuple[bool, bool, int, int, str]:
    """The sort key of routes whose hosts and paths take part alike; the first wins."""
    return (match.exact is None, not match.methods, -len(match.headers), -len(match.query), name)


class _Node:
    """A list of hosts, a host, the root of a host's paths, or one segment of a path. `text` is None for a parameter."""

    def __init__(self, kind: int, parent: "_Node | None" = None, text: bytes | None = None) -> None:
        self.kind, self.parent, self.text = kind, parent, text
        self.nparams = (parent.nparams if parent else 0) + (kind == _layout.NODE_PARAM)
        self.children: dict[bytes, _Node] = {}
        self.roots: list[_Node] = []
        self.regexes: list[_Regex] = []
        self.param: _Node | None = None
        self.leaf: _Leaf | None = None
        self.rest: _Leaf | None = None
        self.prefix: _Leaf | None = None  # takes the path that ends here, and all below
        self.under: _Leaf | None = None  # takes only what is below
        self.ended: _Leaf | None = None
        self.goes_on: _Leaf | None = None
        self.at = 0

    def child(self, text: bytes, kind: int = _layout.NODE_LITERAL) -> "_Node":
        if text not in self.children:
            self.children[text] = _Node(kind, self, text)
        return self.children[text]

    def parameter(self) -> "_Node":
        if self.param is None:
            self.param = _Node(_layout.NODE_PARAM, self)
        return self.param

    def down(self, texts: Iterable[bytes]) -> "_Node":
        node = self
        for text in texts:
            node = node.child(text)
        return node

    def fanout(self) -> int:
        """How children are found. An only child of a path is compared with; hosts are always looked up."""
        if len(self.children) == 1 and self.kind != _layout.NODE_HOSTS:
            return _layout.FANOUT_ONE
        return _layout.FANOUT_EDGES if self.children else _layout.FANOUT_NONE

    def in_order(self) -> Iterator["_Node"]:
        """This node and all below it, parents first, the same order every time."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            below = [node.children[text] for text in sorted(node.children)]
            stack += reversed(below if node.param is None else [*below, node.param])

    def squeeze(self) -> None:
        """Make every row of segments below without a fork, a parameter or a route between one node."""
        for node in self.in_order():
            below = [child._end_of_row() for child in node.children.values()]
            node.children = {child.text or b"": child for child in below}
            for child in [*below, *([node.param] if node.param else [])]:
                child.parent = node

    def _end_of_row(self) -> "_Node":
        node = self
        while len(node.children) == 1 and not node.param and not any(node.leaves()):
            (child,) = node.children.values()
            child.text = (node.text or b"") + b"/" + (child.text or b"")
            node = child
        return node

    def key(self) -> bytes:
        """What an edge to this node is found by: the host, or the first segment."""
        text = self.text or b""
        return text if self.kind == _layout.NODE_HOST else text.partition(b"/")[0]

    def firsts(self) -> int:
        """Of a root: the filter of the segments that paths below begin with."""
        if self.param or any(self.leaves()):
            return 1 << 63
        bits = 0
        for child in self.children.values():
            bits |= _route.first_bit(_route.path_hash(child.key()))
        return bits

    def inherit(self) -> None:
        """Chain the prefixes that hold here to those of the parent, which has been through this."""
        shorter = self.parent.goes_on if self.parent and self.kind == _layout.NODE_LITERAL else None
        if self.kind == _layout.NODE_PARAM:
            return
        prefixes = shorter
        if self.prefix:
            self.prefix.next, prefixes = shorter, self.prefix
        self.ended = self.goes_on = prefixes
        if self.under:
            self.under.next, self.goes_on = prefixes, self.under
        if self.leaf and not self.nparams:
            self.leaf.next, self.ended = prefixes, self.leaf

    def leaves(self) -> Iterator[_Leaf]:
        """The leaves that hang here, each behind its `next`."""
        for leaf in (self.prefix, self.under, self.leaf, self.rest):
            if leaf:
                yield leaf


class _Regex(NamedTuple):
    """A regex below one root, and its route's leaf there. `number`: of the route's regex in the segment."""

    number: int
    leaf: _Leaf


class _Hosts:
    """The roots of all paths: one for each host pattern ("": any host) and priority."""

    def __init__(self, entries: Sequence[Entry], regexes: Sequence[Entry]) -> None:
        """`regexes`: those of the entries that have one, in the order in which they are tried."""
        self.roots: dict[str, dict[int, _Node]] = {}
        numbers = {entry.name: number for number, entry in enumerate(regexes)}
        for entry in entries:
            for host in dict.fromkeys(entry.route.match.hosts or [""]):
                priorities = self.roots.setdefault(host, {})
                root = priorities.setdefault(entry.route.priority, _Node(_layout.NODE_ROOT))
                if entry.name in numbers:
                    leaf = _Leaf(len(params_of(entry.route.match)))
                    leaf.entries.append(entry)
                    root.regexes.append(_Regex(numbers[entry.name], leaf))
                else:
                    _add_path(root, entry)
        for priorities in self.roots.values():
            for root in priorities.values():
                root.regexes.sort(key=lambda regex: regex.number)

    def tried(self, host: str) -> list[_Node]:
        """The roots that a request under this pattern and no narrower one tries, in order of precedence."""
        wider = [pattern for pattern in covering(host) if pattern in self.roots]
        found = [
            (-priority, rank, root)
            for rank, pattern in enumerate(wider)
            for priority, root in self.roots[pattern].items()
        ]
        return [root for _, _, root in sorted(found, key=lambda item: item[:2])]

    def tops(self) -> tuple[_Node, _Node, _Node]:
        """What hosts are looked up in: the exact ones, those behind "*.", and any."""
        exact, wild, default = _Node(_layout.NODE_HOSTS), _Node(_layout.NODE_HOSTS), _Node(_layout.NODE_HOST)
        for host in self.roots:
            node = default
            if host:
                node = (wild if host.startswith("*.") else exact).child(
                    host.removeprefix("*.").encode(), _layout.NODE_HOST
                )
            node.roots = self.tried(host)
        return exact, wild, default

    def wild_labels(self) -> int:
        """Bit n: some wildcard has n labels behind the star."""
        bits = 0
        for host in self.roots:
            if host.startswith("*."):
                bits |= 1 << host.count(".")
        return bits


def covering(host: str) -> Iterator[str]:
    """This host pattern and every one that takes all its hosts too, the narrowest first; at last "", any host."""
    if host:
        yield host
    at = host.find(".", 2 if host.startswith("*.") else 0)
    while at >= 0:
        yield "*" + host[at:]
        at = host.find(".", at + 1)
    yield ""


def split_path(path: str) -> list[bytes]:
    """What lies between the slashes: "/a/" is "a" and ""; "/" is ""."""
    return path.encode()[1:].split(b"/")


def _add_path(root: _Node, entry: Entry) -> None:
    match, leaf = entry.route.match, _Leaf()
    for host in match.hosts:
        if host.startswith("*.") and host.count(".") > LABELS_MAX:
            raise SnapshotError(f"route {entry.name}: the host {host} has more than {LABELS_MAX} labels")
    if match.exact is not None:
        node = root.down(split_path(match.exact))
        leaf = node.leaf = node.leaf or leaf
    elif match.pattern is not None:
        node, leaf = _add_pattern(root, match.pattern)
    elif match.prefix is None:
        node, leaf = root, root.prefix or leaf
        root.prefix = leaf
    elif match.prefix.endswith("/"):
        node = root.down(split_path(match.prefix)[:-1])
        leaf = node.under = node.under or leaf
    else:
        node = root.down(split_path(match.prefix))
        leaf = node.prefix = node.prefix or leaf
    leaf.entries.append(entry)


def _add_pattern(root: _Node, pattern: str) -> tuple[_Node, _Leaf]:
    node = root
    for segment in parse_pattern(pattern):
        if segment.rest:
            node.rest = node.rest or _Leaf(node.nparams + 1)
            return node, node.rest
        node = node.parameter() if segment.param else node.child(segment.text.encode())
    node.leaf = node.leaf or _Leaf(node.nparams)
    return node, node.leaf


def write_trie(w: SegmentWriter, entries: Sequence[Entry]) -> dict[str, Span]:
    """Write the trie of these routes. Returns the fields of the record `routes` that name it.

    Raises SnapshotError for a route that is too deep."""
    regexes = sorted((entry for entry in entries if entry.route.match.regex is not None), key=lambda entry: entry.order)
    hosts = _Hosts(entries, regexes)
    tops = hosts.tops()
    exact, wild, default = tops
    below = [root for host in sorted(hosts.roots) for _, root in sorted(hosts.roots[host].items())]
    for root in below:
        root.squeeze()
    nodes = [node for top in [*(top for top in tops if top.children or top.roots), *below] for node in top.in_order()]
    edges = [child for node in nodes if node.fanout() == _layout.FANOUT_EDGES for child in node.children.values()]
    roots_children = [child for root in below for child in root.children.values()]
    found = [child for child in [*edges, *roots_children] if child.kind == _layout.NODE_LITERAL]
    leaves = []
    for node in nodes:
        node.inherit()
        leaves += [*node.leaves(), *(regex.leaf for regex in node.regexes)]
    _place(w, nodes, "node")
    _place(w, leaves, "leaf")
    for node in nodes:
        w.fill(node.at, "node", _node_fields(w, node))
    for leaf in leaves:
        w.fill(leaf.at, "leaf", _leaf_fields(w, leaf))
    return {
        "nodes": (nodes[0].at, len(nodes)) if nodes else (0, 0),
        "leaves": (leaves[0].at, len(leaves)) if leaves else (0, 0),
        "regexes": w.array("regex", [{"text": w.text(e.route.match.regex or ""), "route": e.at} for e in regexes]),
        **_edges(w, edges),
        "segment_max": max((len(child.key()) for child in found), default=0),
        "hosts": exact.at, "wilds": wild.at, "any": default.at, "wild_labels": hosts.wild_labels(),
    }  # fmt: skip


def _place(w: SegmentWriter, things: Sequence[_Node] | Sequence[_Leaf], record: str) -> None:
    first, size = w.reserve(record, len(things)), w.size_of(record)
    for i, thing in enumerate(things):
        thing.at = first + i * size


def _at(thing: _Node | _Leaf | None) -> int:
    return thing.at if thing else 0


def _node_fields(w: SegmentWriter, node: _Node) -> dict[str, int | Span]:
    only = next(iter(node.children.values())) if node.fanout() == _layout.FANOUT_ONE else None
    return {
        "kind": node.kind, "nparams": node.nparams, "fanout": node.fanout(),
        "parent": _at(node.parent), "text": w.text(node.text or b""), "only": _at(only), "param": _at(node.param), "leaf": _at(node.leaf),  # noqa: E501
        "rest": _at(node.rest), "ended": _at(node.ended), "goes_on": _at(node.goes_on),
        **_tries(w, node.roots),
    }  # fmt: skip


def _tries(w: SegmentWriter, roots: Sequence[_Node]) -> dict[str, Span]:
    """Of a host: its roots, by another field if there are regexes behind some."""
    rows: list[dict[str, int | Span]] = [{"firsts": root.firsts(), "root": root.at} for root in roots]
    if not any(root.regexes for root in roots):
        return {"roots": w.array("try", rows)}
    for row, root in zip(rows, roots, strict=True):
        row["regexes"] = w.array("rx", [{"regex": regex.number, "leaf": regex.leaf.at} for regex in root.regexes])
    return {"mixed": w.array("mixed", rows)}


def _leaf_fields(w: SegmentWriter, leaf: _Leaf) -> dict[str, int | Span]:
    rows = [_candidate(w, entry) for entry in leaf.ordered()]
    return {"cands": w.array("cand", rows), "next": _at(leaf.next), "nparams": leaf.nparams}


def _candidate(w: SegmentWriter, entry: Entry) -> dict[str, int | Span]:
    match, methods = entry.route.match, 0xFFFF
    others = [method for method in match.methods if method not in _route.METHODS]
    if match.methods:
        methods = 0
        for method in match.methods:
            methods |= _route.method_bit(method.encode())
    return {
        "route": entry.at, "methods": methods, "others": w.texts(others),
        "headers": w.array("cond", [_header(w, *item) for item in sorted(match.headers.items())]),
        "query": w.array("cond", [_query(w, entry.name, *item) for item in sorted(match.query.items())]),
    }  # fmt: skip


def _header(w: SegmentWriter, name: str, value: str) -> dict[str, int | Span]:
    raw = name.lower().encode()
    return {"id": _layout.field_id(raw), "name": w.text(raw), "value": w.text(value)}


def _query(w: SegmentWriter, route: str, name: str, value: str) -> dict[str, int | Span]:
    if len(value.encode()) > _layout.COND_VALUE_MAX:
        raise SnapshotError(f"route {route}: the value of query.{name} has more than {_layout.COND_VALUE_MAX} bytes")
    return {"name": w.text(name), "value": w.text(value)}


def _edges(w: SegmentWriter, children: Sequence[_Node]) -> dict[str, int | Span]:
    """An open-addressed table of all edges, at most half full and without long runs."""
    keys = [(_route.path_hash(child.key()), child) for child in children]
    nslots = 8
    while nslots < 2 * len(keys) or (rows := _filled(keys, nslots)) is None:
        nslots *= 2
    return {"edges": w.array("edge", rows), "edge_mask": nslots - 1}


def _filled(keys: Sequence[tuple[int, _Node]], nslots: int) -> list[dict[str, int]] | None:
    """The table's rows; None if a search could look at more than _RUN_MAX of them, whatever it looks for.

    Behind the last slot there is room for a run to end, so that no search wraps around."""
    rows: list[dict[str, int]] = [{}] * (nslots + _RUN_MAX + 1)
    for digest, child in keys:
        slot, tag = _route.slot(digest, _at(child.parent), nslots)
        while rows[slot]:
            slot += 1
            if slot == len(rows) - 1:
                return None
        rows[slot] = {"tag": tag, "node": child.at}
    taken = "".join("x" if row else " " for row in rows)
    return rows if max(map(len, taken.split()), default=0) <= _RUN_MAX else None
