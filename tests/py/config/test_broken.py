# ruff: noqa: E501  (a row of a table is one line)
"""Broken documents: each case says the one place, code and words that are owed, exactly."""

import pytest

from fastgw.config.load import loads
from fastgw.errors import ConfigErrors

HEAD = 'listeners: {web: {bind: "127.0.0.1:8080"}}\n'
UP = HEAD + 'upstreams: {users: {endpoints: ["127.0.0.1:1"]}}\n'
ROUTE = UP + "routes:\n  r:\n    to: users\n"

# (document, line, column, code, path, message, expected, hint); of the last three a part is enough, "" is any
SYNTAX = [
    ("a: [1, 2\nb: 3\n", 2, 2, "FGW1003", "", "did not find expected ',' or ']'", "", ""),
    ("a:\n\tb: 1\n", 2, 1, "FGW1003", "", "cannot start any token", "", "spaces, not tabs"),
    (HEAD + "limits: {head: ${X}}\n", 2, 17, "FGW1003", "", "", "", "must stand in quotes"),
    (HEAD + "---\nlisteners: {}\n", 2, 1, "FGW1005", "", "second document", "one document", ""),
    ("listeners: !!python/object:os.system {}\n", 1, 12, "FGW1005", "", "python/object", "without a tag", ""),
    ("? [a, b]\n: 1\n", 1, 3, "FGW1005", "", "a list as a key", "", ""),
    ("a: *nowhere\n", 1, 4, "FGW1007", "", "*nowhere has no anchor", "", ""),
    ("a: &x [1, *x]\n", 1, 11, "FGW1007", "", "inside its own anchor", "", ""),
    (HEAD + "limits: {<<: 3}\n", 2, 10, "FGW1007", "", "`<<` without a mapping", "alias of a mapping", ""),
    (HEAD + "workers: 1\nworkers: 2\n", 3, 1, "FGW1004", "", "`workers` stands here twice; the first is on line 2", "", ""),
    (HEAD + "limits:\n  head: 1KiB\n  'head': 2KiB\n", 4, 3, "FGW1004", "", "the first is on line 3", "", ""),
    ("listeners: \x07\n", 1, 12, "FGW1002", "", "U+0007", "", ""),
    ("a: " + "[" * 70 + "]" * 70 + "\n", 1, 67, "FGW1006", "", "nested more than 64 deep", "", ""),
]

STRUCTURE = [
    ("", 1, 1, "FGW1102", "", "the key `listeners` is missing", "Where clients connect", ""),
    ("[]", 1, 1, "FGW1103", "", "found a list", "a mapping", ""),
    ("listeners: {}\n", 1, 12, "FGW1105", "listeners", "nothing stands here", "at least one entry", ""),
    ("listeners:\n", 1, 11, "FGW1105", "listeners", "nothing stands here", "at least one entry", ""),
    ("listeners: 5\n", 1, 12, "FGW1103", "listeners", "found the number 5", "a mapping", ""),
    ("listeners: {web: {}}\n", 1, 18, "FGW1102", "listeners.web", "the key `bind` is missing", "", ""),
    ("listeners: {web: {bnd: 1}}\n", 1, 19, "FGW1101", "listeners.web.bnd", "unknown key `bnd`", "bind, proxy", "mean bind?"),
    (HEAD + "route: {}\n", 2, 1, "FGW1101", "route", "unknown key `route`", "listeners, upstreams, routes", "did you mean routes?"),
    (HEAD + "limits: {heads: 1KiB}\n", 2, 10, "FGW1101", "limits.heads", "", "request_line, field", "did you mean head?"),
    (HEAD + "zzz: 1\n", 2, 1, "FGW1101", "zzz", "unknown key `zzz`", "", ""),
    ('listeners: {"a b": {bind: "127.0.0.1:1"}}\n', 1, 13, "FGW1108", 'listeners["a b"]', "`a b` is not a name", "letters", ""),
    (HEAD + "upstreams: {u: {endpoints: []}}\n", 2, 28, "FGW1105", "upstreams.u.endpoints", "nothing stands here", "", ""),
    (HEAD + 'upstreams: {u: {endpoints: "a:1"}}\n', 2, 28, "FGW1103", "upstreams.u.endpoints", "'a:1'", "a list", ""),
    (HEAD + "upstreams: {u: {endpoints: [{weight: 1}]}}\n", 2, 29, "FGW1102", "upstreams.u.endpoints[0]", "`address`", "", ""),
    (ROUTE + "    chain: [{}]\n", 6, 13, "FGW1107", "routes.r.chain[0]", "an empty mapping", "one of headers, redirect, static", ""),
    (ROUTE + "    chain: [{headers: {}, static: {}}]\n", 6, 13, "FGW1107", "routes.r.chain[0]", "found 2 keys", "", ""),
    (ROUTE + "    chain: [{headers: }]\n", 6, 13, "FGW1107", "routes.r.chain[0]", "nothing in `headers`", "", ""),
    (ROUTE + '    chain: [{use: "a.B"}]\n', 6, 19, "FGW1215", "routes.r.chain[0].use", "names no class", "auth:KeyAuth", "did you mean a:B?"),
    (ROUTE + '    chain: [{use: "a:B", headers: {}}]\n', 6, 13, "FGW1107", "routes.r.chain[0]", "found 2 keys", "exactly one of", ""),
    (ROUTE + '    chain: [{headers: {remove: x}, fail: open}]\n', 6, 36, "FGW1212", "routes.r.chain[0].fail", "without `use`", "use: module:Class", ""),
    (ROUTE + "    chain: [{rate: 5}]\n", 6, 14, "FGW1101", "routes.r.chain[0].rate", "unknown key `rate`", "headers", ""),
    (UP + "routes: {r: {to: {}}}\n", 3, 18, "FGW1107", "routes.r.to", "an empty mapping", "static, redirect", ""),
    (UP + "routes: {r: {to: [users]}}\n", 3, 18, "FGW1103", "routes.r.to", "found a list", "upstream's name or a mapping", ""),
    (UP + "routes: {r: {match: {exact: /}}}\n", 3, 13, "FGW1213", "routes.r", "leads nowhere", "the key `to`", ""),
]

REGEX = UP + "routes:\n  r:\n    match: {regex: %s}\n    to: users\n"

SCALARS = [
    (REGEX % "/a(b", 5, 23, "FGW1218", "routes.r.match.regex", "missing closing parenthesis, at offset 4", "PCRE2", ""),
    (REGEX % "'/\u00e9[z-a]'", 5, 26, "FGW1218", "routes.r.match.regex", "range out of order in character class, at offset 5", "", ""),
    (REGEX % "'/(?<a>x)(?J)(?<a>y)'", 5, 21, "FGW1218", "routes.r.match.regex", "two groups have one name", "", ""),
    (REGEX % ("/" + "a" * 1024), 5, 20, "FGW1218", "routes.r.match.regex", "too long", "at most 1024 bytes", ""),
    (REGEX % "''", 5, 20, "FGW1218", "routes.r.match.regex", "the regex is empty", "", ""),
    (REGEX % "/a, prefix: /b", 5, 24, "FGW1212", "routes.r.match.prefix", "`prefix` beside `regex`", "exact, prefix, pattern and regex", ""),
    (REGEX.replace("users\n", "{redirect: {to: '/{y}'}}\n") % "'/(?<x>.)'", 6, 27, "FGW1207", "routes.r.to.redirect.to", "variable `y` is unknown", "one of x,", ""),
    (REGEX % "'/(?<x>.)'" + "    chain: [{rate_limit: {rate: 1/s, by: 'path:y'}}]\n", 7, 42, "FGW1214", "routes.r.chain[0].rate_limit.by", "no path parameter `y`", "one of x", ""),
    (HEAD + "workers: 0\n", 2, 10, "FGW1105", "workers", "`0` is out of range", "from 1 to 256 or auto", ""),
    (HEAD + "workers: atuo\n", 2, 10, "FGW1103", "workers", "'atuo'", "whole number", "did you mean auto?"),
    (UP + "routes: {r: {chain: [{rate_limit: {rate: 1/s, by: ip}}], to: users}}\n", 3, 51, "FGW1214",
     "routes.r.chain[0].rate_limit.by", "nothing that a limit can count by", "client_ip", ""),
    (HEAD + "user: No One\n", 2, 7, "FGW1220", "user", "`No One` is no name", "such as nobody", ""),
    (HEAD + 'group: "4294967295"\n', 2, 8, "FGW1220", "group", "no name", "or a number", ""),
    (HEAD + "workers: 1.5\n", 2, 10, "FGW1103", "workers", "the number 1.5", "whole number", ""),
    (HEAD + 'workers: "4"\n', 2, 10, "FGW1103", "workers", "the text '4'", "", ""),
    (HEAD + "workers: " + "9" * 50 + "\n", 2, 10, "FGW1103", "workers", "", "whole number", ""),
    (HEAD + "limits: {fields: true}\n", 2, 18, "FGW1103", "limits.fields", "the truth value true", "from 1 to 4096", ""),
    (HEAD + 'limits: {fields: "9"}\n', 2, 18, "FGW1103", "limits.fields", "'9'", "", "without quotes"),
    (HEAD + "limits: {head: 10}\n", 2, 16, "FGW1105", "limits.head", "`10` is out of range", "from 256B to 1MiB", ""),
    (HEAD + "limits: {head: off}\n", 2, 16, "FGW1106", "limits.head", "'off'", "a size such as", ""),
    (HEAD + "limits: {body: 10 MiB}\n", 2, 16, "FGW1106", "limits.body", "'10 MiB'", "or off", "did you mean 10MiB?"),
    (HEAD + "limits: {body: 5mb}\n", 2, 16, "FGW1106", "limits.body", "'5mb'", "", "did you mean 5MB?"),
    (HEAD + "limits: {body_rate: 5s}\n", 2, 21, "FGW1106", "limits.body_rate", "'5s'", "500B/s", ""),
    (HEAD + "limits: {head: 0.3B}\n", 2, 16, "FGW1106", "limits.head", "'0.3B'", "", ""),
    (HEAD + "limits: {memory: 1KiB}\n", 2, 18, "FGW1105", "limits.memory", "`1KiB`", "from 1MiB to 1TiB, or off", ""),
    (HEAD + "limits: {head: }\n", 2, 16, "FGW1103", "limits.head", "found nothing", "a size", ""),
    (HEAD + "timeouts: {head: 10}\n", 2, 18, "FGW1106", "timeouts.head", "the number 10", "a duration", "a unit is missing: 10s?"),
    (HEAD + "timeouts: {head: 10 sec}\n", 2, 18, "FGW1106", "timeouts.head", "'10 sec'", "", "did you mean 10s?"),
    (HEAD + "timeouts: {head: -5s}\n", 2, 18, "FGW1106", "timeouts.head", "'-5s'", "", ""),
    (HEAD + "timeouts: {head: 0}\n", 2, 18, "FGW1105", "timeouts.head", "`0`", "from 1ms to 7d", ""),
    (HEAD + "timeouts: {head: 8d}\n", 2, 18, "FGW1105", "timeouts.head", "`8d`", "from 1ms to 7d", ""),
    (HEAD + "timeouts: {head: [1s]}\n", 2, 18, "FGW1103", "timeouts.head", "found a list", "a duration", ""),
    (HEAD + "normalize: {merge_slashes: yes}\n", 2, 28, "FGW1103", "normalize.merge_slashes", "'yes'", "true or false", "mean true?"),
    (HEAD + "normalize: {merge_slashes: on}\n", 2, 28, "FGW1103", "normalize.merge_slashes", "'on'", "true or false", "mean true?"),
    (HEAD + "normalize: {slashes: rejct}\n", 2, 22, "FGW1104", "normalize.slashes", "'rejct'", "decode, keep, reject", "mean reject?"),
    (HEAD + "log: {access: none}\n", 2, 15, "FGW1103", "log.access", "'none'", "a mapping or off", ""),
    (HEAD + "log: {access: {to: access.log}}\n", 2, 20, "FGW1104", "log.access.to", "no target", "a path", "./access.log"),
    (HEAD + "log: {error: off}\n", 2, 14, "FGW1103", "log.error", "'off'", "a mapping", ""),
    (UP + "routes: {r: {to: {redirect: {to: /a, status: 200}}}}\n", 3, 46, "FGW1104", "routes.r.to.redirect.status",
     "the number 200", "301, 302, 303, 307, 308", ""),
    (UP + 'routes: {r: {to: {redirect: {to: /a, status: "301"}}}}\n', 3, 46, "FGW1104", "routes.r.to.redirect.status",
     "'301'", "", "without quotes: 301"),
    (UP + "routes: {r: {to: {static: {status: 199}}}}\n", 3, 36, "FGW1105", "routes.r.to.static.status", "`199`", "200 to 599", ""),
    (UP + "routes: {r: {to: {static: {body: 5}}}}\n", 3, 34, "FGW1103", "routes.r.to.static.body", "the number 5", "text", '"5"'),
]  # fmt: skip

ADDRESSES = [
    ("listeners: {w: {bind: localhost:80}}", 1, 23, "FGW1203", "listeners.w.bind", "has a name", "", "mean 127.0.0.1:80?"),
    ('listeners: {w: {bind: "*:80"}}', 1, 23, "FGW1203", "listeners.w.bind", "", "", "mean 0.0.0.0:80?"),
    ('listeners: {w: {bind: ":80"}}', 1, 23, "FGW1203", "listeners.w.bind", "has no host", "", "mean 0.0.0.0:80?"),
    ("listeners: {w: {bind: 127.0.0.1}}", 1, 23, "FGW1203", "listeners.w.bind", "no port", "127.0.0.1:8080", ""),
    ("listeners: {w: {bind: 127.0.0.1:70000}}", 1, 23, "FGW1203", "listeners.w.bind", "70000", "from 0 to 65535", ""),
    ("listeners: {w: {bind: 127.0.0.256:80}}", 1, 23, "FGW1203", "listeners.w.bind", "not an IPv4", "", ""),
    ('listeners: {w: {bind: "::1:80"}}', 1, 23, "FGW1203", "listeners.w.bind", "not an address", "", "mean [::1]:80?"),
    ('listeners: {w: {bind: "[::g]:80"}}', 1, 23, "FGW1203", "listeners.w.bind", "not an IPv6", "", ""),
    ('listeners: {w: {bind: "unix:x.sock"}}', 1, 23, "FGW1203", "listeners.w.bind", "not the path", "", "begin with a slash"),
    ('listeners: {w: {bind: "unix:///x.sock"}}', 1, 23, "FGW1203", "listeners.w.bind", "not the path", "", "mean unix:/x.sock?"),
    ("listeners: {w: {bind: /run/x.sock}}", 1, 23, "FGW1203", "listeners.w.bind", "", "", "mean unix:/run/x.sock?"),
    (f"listeners: {{w: {{bind: unix:/{'x' * 108}}}}}", 1, 23, "FGW1203", "listeners.w.bind", "too long", "107 bytes", ""),
    ("listeners: {w: {bind: 8080}}", 1, 23, "FGW1103", "listeners.w.bind", "the number 8080", "an address", ""),
    ('listeners: {w: {bind: "8080"}}', 1, 23, "FGW1203", "listeners.w.bind", "no port", "", "mean 127.0.0.1:8080?"),
    ("listeners: {w: {bind: [127.0.0.1:1, 127.0.0.1:1]}}", 1, 37, "FGW1202", "listeners.w.bind", "taken by listeners.w.bind", "", ""),
    ("listeners:\n  a: {bind: 127.0.0.1:1}\n  b: {bind: 127.0.0.1:1}\n", 3, 13, "FGW1202", "listeners.b.bind",
     "127.0.0.1:1 is taken by listeners.a.bind already", "", ""),
    (HEAD + 'admin: {bind: "127.0.0.1:8080"}', 2, 15, "FGW1202", "admin.bind", "taken by listeners.web.bind", "", ""),
    (HEAD + 'upstreams: {u: {endpoints: ["http://x/"]}}', 2, 29, "FGW1203", "upstreams.u.endpoints[0]", "", "", "not a URL: x:80?"),
    (HEAD + 'upstreams: {u: {endpoints: ["x:0"]}}', 2, 29, "FGW1203", "upstreams.u.endpoints[0]", "port 0", "from 1 to 65535", ""),
    (HEAD + 'upstreams: {u: {endpoints: ["a_b-.c:1"]}}', 2, 29, "FGW1203", "upstreams.u.endpoints[0]", "not a host name", "", ""),
    (HEAD + "trusted_proxies: [10.0.0.1/8]", 2, 19, "FGW1204", "trusted_proxies[0]", "not a network", "", "mean 10.0.0.0/8?"),
    (HEAD + "trusted_proxies: example.com", 2, 18, "FGW1204", "trusted_proxies", "not a network", "10.0.0.0/8", ""),
]  # fmt: skip

MATCHES = [
    ("prefix: users", 25, "FGW1205", "prefix", "does not begin with `/`", "/users", "mean /users?"),
    ("prefix: ''", 25, "FGW1205", "prefix", "does not begin with `/`", "", ""),
    ("exact: /a?b=1", 26, "FGW1205", "exact", "a query is no part", "", "`query`"),
    ('exact: "/a#b"', 27, "FGW1205", "exact", "a fragment", "", ""),
    ('exact: "/a{id}"', 27, "FGW1205", "exact", "braces", "", "`pattern`"),
    ("exact: /a/../b", 27, "FGW1205", "exact", "`.` or `..`", "", ""),
    ("exact: /a/.", 27, "FGW1205", "exact", "`.` or `..`", "", ""),
    ('exact: "/%41"', 24, "FGW1205", "exact", "paths are normalised", "", "did you mean /A?"),
    ('exact: "/%2f"', 24, "FGW1205", "exact", "", "", "did you mean /%2F?"),
    ('exact: "/a%00b"', 27, "FGW1205", "exact", "encoded control", "", ""),
    ('exact: "/%zz"', 26, "FGW1205", "exact", "two hexadecimal digits", "", "%25"),
    ("exact: /é", 25, "FGW1205", "exact", "'é' cannot stand", "", "%C3%A9"),
    ("exact: /a b", 26, "FGW1205", "exact", "' ' cannot stand", "", "%20"),
    ("pattern: users", 26, "FGW1206", "pattern", "does not begin", "/orders/{id}", ""),
    ('pattern: "/a/x{id}"', 30, "FGW1206", "pattern", "only part of the segment `x{id}`", "whole segment", ""),
    ('pattern: "/a/{id"', 30, "FGW1206", "pattern", "`{id` is not a parameter", "", ""),
    ('pattern: "/{1d}"', 28, "FGW1206", "pattern", "not a parameter", "", "begins with no digit"),
    ('pattern: "/{r*}/b"', 28, "FGW1206", "pattern", "`{r*}` must be the last", "", ""),
    ('pattern: "/{a}/{a}"', 32, "FGW1206", "pattern", "`a` stands here twice", "", ""),
    ("methods: [get]", 27, "FGW1211", "methods[0]", "`get`", "", "mean GET?"),
    ('methods: ["G T"]', 27, "FGW1211", "methods[0]", "not a method", "GET", ""),
    ('hosts: ["a:80"]', 25, "FGW1210", "hosts[0]", "`a:80` is not a host", "without a port", "mean a?"),
    ('hosts: ["a.*.b"]', 25, "FGW1210", "hosts[0]", "", "", "whole first label"),
    ('hosts: "*"', 24, "FGW1210", "hosts", "`*` is every host", "", "leave `hosts` out"),
    ("hosts: bücher.example", 24, "FGW1210", "hosts", "", "", "mean xn--bcher-kva.example?"),
    ("headers: {x: 2}", 30, "FGW1103", "headers.x", "the number 2", "text", '"2"'),
    ('headers: {"x y": a}', 27, "FGW1208", 'headers["x y"]', "not a header field's name", "letters", ""),
    ("headers: {a: x, A: y}", 33, "FGW1004", "headers.A", "twice; case makes no difference", "", ""),
    ('headers: {a: "x\\ny"}', 30, "FGW1208", "headers.a", "U+000A", "without line breaks", ""),
    ('headers: {a: " x"}', 30, "FGW1208", "headers.a", "white space", "", ""),
    ("query: {'': x}", 25, "FGW1108", 'query[""]', "without a name", "", ""),
    (f"query: {{a: {'x' * 1025}}}", 28, "FGW1105", "query.a", "too long", "1024 bytes", ""),
    ("exact: /a, prefix: /b", 28, "FGW1212", "prefix", "`prefix` beside `exact`", "only one of", ""),
    ("prefx: /a", 17, "FGW1101", "prefx", "unknown key", "exact", "mean prefix?"),
]  # fmt: skip

STEPS = [
    ("{headers: {set: {x: '{idd}'}}}", 36, "headers.set.x", "FGW1207", "`idd` is unknown", "one of id,", "mean {id}?"),
    ("{headers: {set: {x: 'a {id'}}}", 38, "headers.set.x", "FGW1207", "`{` without its partner", "", "{{"),
    ("{headers: {set: {x: '}'}}}", 36, "headers.set.x", "FGW1207", "`}` without", "", "}}"),
    ("{headers: {append: {x: '{}'}}}", 39, "headers.append.x", "FGW1207", "`{}` is not a variable", "", "doubled"),
    ("{headers: {reply: {set: {x: '{client.adress}'}}}}", 44, "headers.reply.set.x", "FGW1207", "", "", "{client.address}"),
    ("{headers: {set: {Content-Length: '1'}}}", 32, "headers.set.Content-Length", "FGW1209", "it frames the message", "", ""),
    ("{headers: {remove: [Connection]}}", 35, "headers.remove[0]", "FGW1209", "one connection", "", ""),
    ("{headers: {remove: host}}", 34, "headers.remove", "FGW1209", "host: rewrite", "", ""),
    ("{headers: {rename: {a: Transfer-Encoding}}}", 38, "headers.rename.a", "FGW1209", "frames", "", ""),
    ("{headers: {set: {'x:': a}}}", 32, 'headers.set["x:"]', "FGW1208", "not a header field's name", "", "the colon"),
    ('{headers: {set: {x: "a\\0b"}}}', 35, "headers.set.x", "FGW1208", "U+0000", "", ""),
    ("{headers: {set: [x]}}", 31, "headers.set", "FGW1103", "found a list", "a mapping", ""),
]  # fmt: skip

RULES = [
    (UP + "routes: {r: {to: user}}", 3, 18, "FGW1201", "routes.r.to", "there is no upstream `user`", "one of users", "mean users?"),
    (HEAD + "routes: {r: {to: x}}", 2, 18, "FGW1201", "routes.r.to", "no upstream `x`", "a defined upstream", ""),
    (ROUTE + "    listeners: wev", 6, 16, "FGW1201", "routes.r.listeners", "no listener `wev`", "one of web", "mean web?"),
    (HEAD + 'upstreams: {x: {endpoints: ["127.0.0.1:1"], protocol: auto}}', 2, 55, "FGW1212", "upstreams.x.protocol", "plain text", "`tls`", ""),
    (ROUTE + "    strip_prefix: true", 6, 19, "FGW1212", "routes.r.strip_prefix", "without a prefix", "`match.prefix`", ""),
    (UP + "routes: {r: {to: {static: {status: 204, body: x}}}}", 3, 47, "FGW1212", "routes.r.to.static.body", "204 has no body",
     "", ""),
    (UP + "routes: {r: {to: {static: {status: 304, body: x}}}}", 3, 47, "FGW1212", "routes.r.to.static.body", "304", "", ""),
    (UP + "routes: {r: {to: {static: {headers: {content-length: '3'}}}}}", 3, 38, "FGW1209",
     "routes.r.to.static.headers.content-length", "frames the message", "", ""),
    (UP + "routes: {r: {to: {redirect: {to: x}}}}", 3, 34, "FGW1205", "routes.r.to.redirect.to", "neither a path", "http", ""),
    (UP + "routes: {r: {to: {redirect: {to: '/{x}'}}}}", 3, 36, "FGW1207", "routes.r.to.redirect.to", "`x` is unknown", "", ""),
    (HEAD + "limits: {buffer_low: 64KiB}", 2, 22, "FGW1212", "limits.buffer_low", "", "buffer_low less than buffer_high", ""),
    ('listeners: {w: {bind: "127.0.0.1:1", tls: {certificates: [{cert: "-----BEGIN A", key: "-----BEGIN B"}]}}}', 1, 66, "FGW1221",
     "listeners.w.tls.certificates[0].cert", "no certificate can be read", "", ""),
    (HEAD + "limits: {head: 8KiB, field: 4KiB}", 2, 16, "FGW1212", "limits.head", "request_line is", "at most head", ""),
]  # fmt: skip

REFERENCES = [
    (HEAD + "limits:\n  head: ${NOPE}", 3, 9, "FGW1010", "limits.head", "NOPE is not set", "", "${NOPE:-…}"),
    (HEAD + "limits:\n  head: '1${NOPE}'", 3, 11, "FGW1010", "limits.head", "NOPE is not set", "", ""),
    (HEAD + "limits:\n  head: ${1X}", 3, 9, "FGW1012", "limits.head", "`${1X}` is not a reference", "${NAME}", "$$"),
    (HEAD + "limits:\n  head: '${X'", 3, 10, "FGW1012", "limits.head", "without its `}`", "", "$$"),
    (HEAD + "limits:\n  head: ${file:/nowhere/x}", 3, 9, "FGW1011", "limits.head", "No such file", "", ""),
    (HEAD + "limits:\n  head: ${file:/dev/zero}", 3, 9, "FGW1011", "limits.head", "not a regular file", "", ""),
    (HEAD + "limits:\n  head: ${SECRET}", 3, 9, "FGW1106", "limits.head", "what ${SECRET} expands to", "a size", ""),
    (UP + "routes: {r: {to: {redirect: {to: '${SECRET}'}}}}", 3, 34, "FGW1205", "routes.r.to.redirect.to", "what ${SECRET} expands to", "http", ""),
    (HEAD + "admin: {bind: '${BIND}'}", 2, 15, "FGW1202", "admin.bind", "what ${BIND} expands to cannot be used here: Two listeners", "", ""),
    (HEAD + "trusted_proxies: ['${SECRET}']", 2, 19, "FGW1204", "trusted_proxies[0]", "what ${SECRET} expands to", "", ""),
]  # fmt: skip


def case(row):
    return pytest.param(*row, id=f"{row[3]}-{row[4]}-{row[0].splitlines()[-1][:40] if row[0] else 'empty'}")


def expand_matches():
    for text, column, code, path, *rest in MATCHES:
        document = f"{UP}routes: {{r: {{match: {{{text}}}, to: users}}}}\n".replace("routes: {r: {match: ", "routes: {r: {\n match: ")
        yield document, 4, column - 7, code, f"routes.r.match.{path}", *rest


def expand_steps():
    for text, column, path, code, *rest in STEPS:
        document = f"{UP}routes:\n  r:\n    to: users\n    match: {{pattern: '/o/{{id}}'}}\n    chain: [{text}]\n"
        yield document, 7, column - 2, code, f"routes.r.chain[0].{path}", *rest


CASES = [*SYNTAX, *STRUCTURE, *SCALARS, *ADDRESSES, *expand_matches(), *expand_steps(), *RULES, *REFERENCES]


@pytest.mark.parametrize(("text", "line", "column", "code", "path", "message", "expected", "hint"), [case(row) for row in CASES])
def test_one_problem(text, line, column, code, path, message, expected, hint):
    with pytest.raises(ConfigErrors) as caught:
        loads(text, "f.yaml", env={"SECRET": "hunter2", "BIND": "127.0.0.1:8080"})
    problems = caught.value.problems
    assert len(problems) == 1, caught.value
    found = problems[0]
    assert (found.line, found.column, found.code, found.path) == (line, column, code, path), found.render()
    assert message in found.message and expected in found.expected and hint in found.hint, found.render()
    assert "hunter2" not in found.render()
