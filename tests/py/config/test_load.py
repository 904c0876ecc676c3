"""Good documents: what they mean, where everything stands, and what is only warned about."""

import itertools
import json

import msgspec
import pytest

from fastgw import _layout, _route
from fastgw.config.load import load, loads
from fastgw.config.model import Config, Endpoint, Static
from fastgw.config.paths import arriving
from fastgw.errors import ConfigErrors

HEAD = 'listeners: {web: {bind: "127.0.0.1:8080"}}\n'
UP = HEAD + 'upstreams: {users: {endpoints: ["127.0.0.1:1"]}}\n'

ISSUE = """\
listeners:
  web: {bind: "127.0.0.1:8080"}
upstreams:
  users: {endpoints: ["127.0.0.1:9001", {address: "users.internal:9002", weight: 3}]}
  orders: {endpoints: ["unix:/run/orders.sock"], pool: {max_idle: 64, idle_timeout: 60s, max_connections: 1024}}
routes:
  users:
    listeners: [web]
    match: {hosts: ["API.example.com.", "*.example.org"], prefix: "/users", methods: [GET, POST],
            headers: {x-version: "2"}, query: {debug: "1"}}
    strip_prefix: true
    timeouts: {request: 30s}
    to: users
  one-order: {match: {pattern: "/orders/{id}"}, chain: [{headers: {set: {x-order: "{id}"}}}], to: orders}
  hello: {match: {exact: "/hello"}, to: {static: {status: 200, body: "hello\\n", headers: {content-type: text/plain}}}}
admin: {bind: "127.0.0.1:9900"}
log: {access: {format: json, to: stdout}, error: {level: info, to: stderr}}
trusted_proxies: ["10.0.0.0/8"]
limits: {}
timeouts:
"""


def codes(problems):
    return [(p.code, p.line, p.column, p.path) for p in problems]


def fail(text, **kwargs):
    with pytest.raises(ConfigErrors) as caught:
        loads(text, "f.yaml", **kwargs)
    return caught.value.problems


def test_the_grammar():
    loaded = loads(ISSUE, "f.yaml")
    config = loaded.config
    assert loaded.warnings == []
    assert config.upstreams["users"].endpoints == (
        Endpoint(address="127.0.0.1:9001"),
        Endpoint(address="users.internal:9002", weight=3),
    )
    assert config.upstreams["orders"].pool.idle_timeout == 60_000
    users = config.routes["users"]
    assert users.match.hosts == ("api.example.com", "*.example.org")
    assert users.match.headers == {"x-version": "2"} and users.match.query == {"debug": "1"}
    assert users.strip_prefix and users.timeouts.request == 30_000 and users.to == "users"
    assert config.routes["one-order"].chain[0].headers.set == {"x-order": "{id}"}
    assert config.routes["hello"].to.static == Static(body="hello\n", headers={"content-type": "text/plain"})
    assert config == msgspec.structs.replace(config, limits=Config(listeners={}).limits)


def test_marks_say_where_values_stand():
    marks = loads(ISSUE, "f.yaml").marks
    assert marks["routes.users.match.hosts[1]"] == (9, 41)
    assert marks["routes.users.match.headers.x-version"] == (10, 34)
    assert marks["upstreams.orders.pool.max_idle"] == (5, 67)
    assert marks[""] == (1, 1)


def test_every_error_at_once_in_order():
    text = (
        HEAD + "upstreams: {u: {endpoints: [a]}}\nworkers: x\nroutes:\n"
        "  r: {to: nobody, match: {prefix: a}}\nlimits: {hed: 1}\n"
    )
    assert codes(fail(text)) == [
        ("FGW1203", 2, 29, "upstreams.u.endpoints[0]"),
        ("FGW1103", 3, 10, "workers"),
        ("FGW1201", 5, 11, "routes.r.to"),
        ("FGW1205", 5, 35, "routes.r.match.prefix"),
        ("FGW1101", 6, 10, "limits.hed"),
    ]


def test_a_bad_upstream_does_not_make_its_name_unknown():
    text = HEAD + "upstreams: {u: {endpoints: []}}\nroutes: {r: {to: u}}\n"
    assert codes(fail(text)) == [("FGW1105", 2, 28, "upstreams.u.endpoints")]


def test_warnings_come_along_with_errors():
    with pytest.raises(ConfigErrors) as caught:
        loads(UP + "workers: 0\n")
    assert codes(caught.value.warnings) == [("FGW1902", 2, 13, "upstreams.users")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("on", "on"), ("yes", "yes"), ("12:30", "12:30"), ("1_000", "1_000"), ("0b1", "0b1"), ("2026-11-23", "2026-11-23"),
     ("'5'", "5"), ('"tab\\tx"', "tab\tx"),
     ("|\n      two\n      lines\n", "two\nlines\n"), (">-\n      a\n      b\n", "a b"),
     ("!!str 5", "5"), ('""', "")],
)  # fmt: skip
def test_text_is_what_yaml_12_calls_text(written, meant):
    text = f"{HEAD}routes:\n  r:\n   to:\n    static:\n     body: {written}\n"
    assert loads(text).config.routes["r"].to.static.body == meant


@pytest.mark.parametrize(("written", "meant"), [("012", 12), ("0x10", 16), ("0o17", 15), ("+7", 7), ("7", 7)])
def test_numbers_are_what_yaml_12_calls_numbers(written, meant):
    assert loads(f"{HEAD}workers: {written}\n").config.workers == meant


@pytest.mark.parametrize("written", ["5", "012", "0x1F", "1.5", "-3e4", ".inf", ".NaN", "true", "~", "null", ""])
def test_what_is_no_text_is_refused_where_text_is_wanted(written):
    problems = fail(f"{HEAD}routes: {{r: {{to: {{static: {{body: {written}}}}}}}}}\n")
    assert [p.code for p in problems] == ["FGW1103"]


def test_nothing_after_a_key_is_an_empty_mapping_or_list():
    config = loads(HEAD + "upstreams:\nroutes:\nlimits:\ntimeouts:\ntrusted_proxies:\nlog:\nadmin:\n").config
    assert config == loads(HEAD).config


def test_one_item_instead_of_a_list():
    text = (
        UP + "routes: {r: {listeners: web, match: {hosts: a.b, methods: GET}, to: users}}\ntrusted_proxies: 10.0.0.1\n"
    )
    config = loads(text).config
    assert config.listeners["web"].bind == ("127.0.0.1:8080",)
    assert config.routes["r"].listeners == ("web",) and config.routes["r"].match.methods == ("GET",)
    assert config.trusted_proxies == ("10.0.0.1/32",)


def test_off_is_zero():
    config = loads(HEAD + "limits: {body: off, memory: 0}\ntimeouts: {request: off}\nlog: {access: off}\n").config
    assert (config.limits.body, config.limits.memory, config.timeouts.request, config.log.access) == (0, 0, 0, "off")


def test_anchors_and_merge_keys():
    text = (
        UP
        + """\
routes:
  a: &a {match: {exact: /a}, to: users, priority: 3}
  b: {<<: *a, match: {exact: /b}}
  c: {match: {exact: /c}, <<: [{priority: 4}, *a]}
"""
    )
    routes = loads(text).config.routes
    assert [(r.match.exact, r.priority, r.to) for r in routes.values()] == [
        ("/a", 3, "users"), ("/b", 3, "users"), ("/c", 4, "users"),
    ]  # fmt: skip


def test_an_alias_is_expanded_once():
    text = (
        HEAD + "routes:\n  a: {match: {exact: /a}, to: &t {static: {body: $$$$}}}\n  b: {match: {exact: /b}, to: *t}\n"
    )
    assert {r.to.static.body for r in loads(text).config.routes.values()} == {"$$"}


def test_an_alias_bomb_is_refused():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (problem,) = fail("\n".join(rows))
    assert problem.code == "FGW1006" and problem.line == 6


def test_a_long_document_of_brackets_is_refused_without_recursion():
    (problem,) = fail("[" * 200_000)
    assert problem.code == "FGW1006"
    with pytest.raises(ConfigErrors) as caught:
        loads("[" * 200_000, "f.json", "json")
    assert codes(caught.value.problems) == [("FGW1006", 1, 65, "")]


def test_lines_end_as_yaml_says():
    for end in ("\n", "\r\n", "\r", "\u2028"):
        (problem,) = fail(HEAD.replace("\n", end) + f"# é{end}workers: 0{end}")
        assert (problem.line, problem.column, problem.excerpt) == (3, 10, "workers: 0"), repr(end)


def test_columns_count_characters():
    (problem,) = fail(HEAD + "routes: {r: {to: {static: {body: 'éé🙂', statu: 1}}}}\n")
    assert (problem.line, problem.column) == (2, 41)
    assert problem.render().splitlines()[2].index("^") - len("    2 | ") == 40


def test_a_byte_order_mark_is_no_part_of_the_document(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode() + b"workers: 0\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert codes(caught.value.problems) == [("FGW1105", 2, 10, "workers")]


@pytest.mark.parametrize(
    ("data", "line", "column", "code"),
    [(b"a: 1\nb: \xff\n", 2, 4, "FGW1002"), ("é: \x00".encode(), 1, 4, "FGW1002"), (None, 0, 0, "FGW1001")],
)
def test_files_that_are_no_documents(tmp_path, data, line, column, code):
    path = tmp_path / "f.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert codes(caught.value.problems) == [(code, line, column, "")]


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path)
    assert "cannot be read" in str(caught.value)


class TestReferences:
    def test_variables_defaults_files_and_dollars(self, tmp_path):
        (tmp_path / "body").write_text("from a file\n")
        text = HEAD + (
            "routes:\n"
            "  a: {match: {exact: /a}, to: {static: {body: '${NAME} ${EMPTY:-d} ${NONE:-e} ${NONE:-} $$ $5 $'}}}\n"
            "  b: {match: {exact: /b}, to: {static: {body: '${file:body}'}}}\n"
            "workers: ${N}\n"
            "limits: {body: '${SIZE}'}\n"
        )
        path = tmp_path / "f.yaml"
        path.write_text(text)
        config = load(path, {"NAME": "n", "EMPTY": "", "N": "3", "SIZE": "1KiB"}).config
        assert config.routes["a"].to.static.body == "n d e  $ $5 $"
        assert config.routes["b"].to.static.body == "from a file"
        assert config.workers == 3 and config.limits.body == 1024

    def test_an_empty_variable_is_set(self):
        text = HEAD + "routes: {r: {to: {static: {body: '<${E}>'}}}}"
        assert loads(text, env={"E": ""}).config.routes["r"].to.static.body == "<>"

    def test_what_a_variable_holds_is_never_structure(self):
        text = HEAD + "routes: {r: {to: {static: {body: '${X}'}}}}"
        for value in ("a: b", "[1]", "'", "${Y}", "$$", "5", "null"):
            assert loads(text, env={"X": value}).config.routes["r"].to.static.body == value

    def test_keys_are_not_expanded(self):
        (problem,) = fail(HEAD + "'${X}': 1", env={"X": "workers"})
        assert problem.code == "FGW1101"

    def test_dumps_keep_references(self):
        text = HEAD + "routes: {r: {to: {static: {body: '${X} and $$'}}}}"
        loaded = loads(text, env={"X": "secret"})
        assert loaded.document()["routes"]["r"]["to"]["static"]["body"] == "${X} and $$"
        assert "secret" not in repr(loaded.document()) and loaded.text == text

    def test_the_hash_follows_what_references_hold(self):
        text = HEAD + "routes: {r: {to: {static: {body: '${X}'}}}}"
        hashes = {loads(text, env={"X": value}).source_hash for value in ("a", "b", "b")}
        assert len(hashes) == 2


class TestJson:
    def test_json_means_the_same(self):
        loaded = loads(ISSUE, "f.yaml")
        text = json.dumps(loaded.document(), indent="\t").replace("{}", "{\t}")
        assert loads(text, "f.json", "json").config == loaded.config

    def test_a_name_in_json_is_read_as_json(self, tmp_path):
        path = tmp_path / "f.JSON"
        path.write_text('{"listeners": {"w": {"bind": "unix:\\/run\\/x"}}, # no comments\n}')
        with pytest.raises(ConfigErrors) as caught:
            load(path)
        assert codes(caught.value.problems) == [("FGW1003", 1, 49, "")]

    @pytest.mark.parametrize(
        ("text", "line", "column", "code", "message"),
        [
            ("", 1, 1, "FGW1003", "ends here"),
            ('{"a": 1,\n\t"a": 2}', 2, 2, "FGW1004", "first is on line 1"),
            ('{"a": 1,}', 1, 9, "FGW1003", "a key is missing"),
            ('{"a" 1}', 1, 6, "FGW1003", "no value"),
            ('{"a": 01}', 1, 7, "FGW1003", "unexpected '0'"),
            ('{"a": NaN}', 1, 7, "FGW1003", "unexpected 'N'"),
            ('{"a": tru}', 1, 7, "FGW1003", "unexpected 't'"),
            ('{"a": "x\n"}', 1, 9, "FGW1003", "control character"),
            ('{"a": "\\x"}', 1, 8, "FGW1003", "escape"),
            ('{"a": "\\ud800"}', 1, 7, "FGW1002", "surrogate"),
            ('{"a": "x', 1, 7, "FGW1003", "unterminated string"),
            ('{"a": [1 2]}', 1, 10, "FGW1003", "unexpected '2'"),
            ("{} {}", 1, 4, "FGW1003", "something follows"),
            ('{\n\t"workers":\t"x"}', 2, 13, "FGW1103", "'x'"),
        ],
    )
    def test_broken_json(self, text, line, column, code, message):
        with pytest.raises(ConfigErrors) as caught:
            loads(text, "f.json", "json")
        problem = next(p for p in caught.value.problems if p.code == code)
        assert (problem.line, problem.column) == (line, column), problem.render()
        assert message in problem.message


WARNINGS = [
    (UP, [("FGW1902", 2, 13, "upstreams.users")]),
    (UP + "routes: {a: {to: users}, b: {match: {prefix: /}, to: users}}", [("FGW1901", 3, 26, "routes.b")]),
    (UP + "routes: {a: {match: {pattern: '/{x}'}, to: users}, b: {match: {pattern: '/{y}'}, to: users}}",
     [("FGW1901", 3, 52, "routes.b")]),
    (UP + "routes: {a: {match: {hosts: [a, b]}, to: users}, b: {match: {hosts: [c, b]}, to: users}}",
     [("FGW1901", 3, 50, "routes.b")]),
    (UP + "routes: {a: {match: {hosts: a}, to: users}, b: {match: {hosts: b}, to: users}}", []),
    (UP + "routes: {a: {priority: 1, to: users}, b: {to: users}}", []),
    (UP + "routes: {a: {match: {methods: GET}, to: users}, b: {to: users}}", []),
    (HEAD + "routes: {a: {chain: [{static: {}}, {headers: {}}]}}", [("FGW1902", 2, 36, "routes.a.chain[1]")]),
    (HEAD + "routes: {a: {chain: [{static: {}}], to: {static: {}}}}", [("FGW1902", 2, 41, "routes.a.to")]),
    (HEAD + "upstreams: {u: {endpoints: [{address: 'a:1', weight: 0}]}}\nroutes: {r: {to: u}}",
     [("FGW1903", 2, 28, "upstreams.u.endpoints")]),
    (HEAD + "upstreams: {u: {endpoints: ['a:1', 'a:1']}}\nroutes: {r: {to: u}}",
     [("FGW1903", 2, 28, "upstreams.u.endpoints")]),
    ("listeners: {a: {bind: '127.0.0.1:1'}, b: {bind: '0.0.0.0:1'}}", [("FGW1903", 1, 49, "listeners.b.bind")]),
    ("listeners: {a: {bind: '127.0.0.1:0'}, b: {bind: '127.0.0.1:0'}}", []),
    ("listeners: {a: {bind: '[::1]:0', proxy_protocol: true}}", [("FGW1903", 1, 50, "listeners.a.proxy_protocol")]),
    ("listeners: {a: {bind: 'unix:/x', proxy_protocol: true}}", []),
    (HEAD + "routes: {a: {match: {headers: {x_id: v}}, to: {static: {}}}}",
     [("FGW1902", 2, 10, "routes.a.match.headers.x_id")]),
    (HEAD + "normalize: {underscores: allow}\nroutes: {a: {match: {headers: {x_id: v}}, to: {static: {}}}}", []),
    (HEAD + "routes: {a: {match: {prefix: /a//b}, to: {static: {}}}}", [("FGW1902", 2, 30, "routes.a.match.prefix")]),
    (HEAD + "routes: {a: {match: {exact: /a%2Fb}, to: {static: {}}}}", [("FGW1902", 2, 29, "routes.a.match.exact")]),
    (HEAD + "routes: {a: {match: {pattern: '/a//{b}'}, to: {static: {}}}}",
     [("FGW1902", 2, 31, "routes.a.match.pattern")]),
    (HEAD + "normalize: {merge_slashes: false}\nroutes: {a: {match: {prefix: /a//b}, to: {static: {}}}}", []),
    (HEAD + "normalize: {slashes: keep}\nroutes: {a: {match: {exact: /a%2Fb}, to: {static: {}}}}", []),
    (HEAD + "normalize: {slashes: decode}\nroutes: {a: {match: {exact: /a%5Cb}, to: {static: {}}}}",
     [("FGW1902", 3, 29, "routes.a.match.exact")]),
    ("listeners: {a: {bind: '[::1]:0'}, b: {bind: '[::1]:0', normalize: {merge_slashes: false}}}\n"
     "routes: {a: {match: {exact: //}, to: {static: {}}}, b: {match: {exact: //b}, listeners: a, to: {static: {}}}}",
     [("FGW1902", 2, 72, "routes.b.match.exact")]),
    (HEAD + "trusted_proxies: [0.0.0.0/0]", [("FGW1903", 2, 18, "trusted_proxies")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "owed"), WARNINGS)
def test_warnings(text, owed):
    assert codes(loads(text, "f.yaml").warnings) == owed


@pytest.mark.parametrize(
    ("normalize", "path", "hint"),
    [
        ("{}", "/a//b", "did you mean /a/b? Otherwise set normalize.merge_slashes to false"),
        ("{}", "/a%2Fb", "set normalize.slashes to keep"),
        ("{slashes: decode}", "/a%2F%5Cb", "did you mean /a/b? Otherwise set normalize.slashes to keep"),
        ("{slashes: decode}", "/a%2F..%2Fb", "set normalize.slashes to keep"),
    ],
)
def test_a_path_that_no_request_has_is_told_with_what_it_would_have_to_be(normalize, path, hint):
    text = HEAD + f"normalize: {normalize}\nroutes: {{a: {{match: {{exact: {path!r}}}, to: {{static: {{}}}}}}}}"
    (warning,) = loads(text, "f.yaml").warnings
    assert warning.hint == hint


@pytest.mark.parametrize(
    "path", ["/", "/a/b", "//", "/a//b", "/a///", "/a%2Fb", "/a%5C", "/a%2F//b", "/a%3Fb", "/a;b//c"]
)
def test_what_arrives_is_what_the_engine_makes_of_it(path):
    for slashes, merge in itertools.product(("reject", "keep", "decode"), (True, False)):
        try:
            made = _route.normal(b"GET", path.encode(), _layout.SLASHES[slashes], merge).path
        except _route.Refused:
            made = None
        assert arriving(path, slashes, merge) == made, (slashes, merge)


def test_problems_as_text_and_as_data():
    (problem,) = fail(HEAD + "limits:\n  # comment\n  hed: 1KiB\n")
    assert problem.render() == (
        "f.yaml:4:3: FGW1101 limits.hed: unknown key `hed`\n"
        "    4 |   hed: 1KiB\n"
        "      |   ^^^\n"
        f"      expected: {problem.expected}\n"
        "      hint: did you mean head?"
    )
    assert problem.to_dict() == {
        "code": "FGW1101", "file": "f.yaml", "line": 4, "column": 3, "path": "limits.hed",
        "message": "unknown key `hed`", "expected": problem.expected, "hint": "did you mean head?",
    }  # fmt: skip


def test_control_characters_of_a_document_do_not_reach_the_terminal():
    (problem,) = fail(HEAD + 'workers: "\\e[31mred"\n')
    assert "\x1b" not in problem.render() and "\\x1b" in problem.message


def test_ten_thousand_routes_load():
    rows = [f"  r{i}: {{match: {{hosts: h{i % 50}.example.com, prefix: /p{i}}}, to: users}}" for i in range(10_000)]
    loaded = loads(UP + "routes:\n" + "\n".join(rows))
    assert len(loaded.config.routes) == 10_000 and loaded.marks["routes.r9999.to"][0] == 10_003
