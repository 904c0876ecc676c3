"""The commands, called in this process: what they print and how they exit."""

import json
import subprocess
import sys
import types

import msgspec
import pytest
from click.testing import CliRunner

from fastgw import __version__
from fastgw.cli import COMMANDS, main
from fastgw.errors import ConfigErrors

GOOD = """\
listeners: {web: {bind: "127.0.0.1:8080"}, other: {bind: "127.0.0.1:8081"}}
upstreams: {users: {endpoints: ["127.0.0.1:9001"]}}
routes:
  users: {match: {prefix: /users, methods: GET}, chain: [{headers: {set: {x: y}}}], to: users}
  hello: {listeners: web, match: {hosts: a.b, exact: /hello}, to: {static: {status: 204}}}
  one: {priority: 5, match: {pattern: "/users/{id}"}, to: {redirect: {to: /}}}
"""
WARNS = GOOD + "trusted_proxies: 0.0.0.0/0\n"
BAD = GOOD + "workers: 0\nlimits: {hed: 1}\n"


@pytest.fixture
def call(tmp_path):
    """call("check", text=…, "--json") runs a command with `-c` on a file that holds the text."""

    def call(*arguments, text=None, name="f.yaml"):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
            arguments = (*arguments, "-c", str(path))
        return CliRunner().invoke(main, list(arguments))

    return call


def test_help_lists_every_command_without_importing_any():
    code = (
        "import sys\nfrom fastgw.cli import main\n"
        "try: main(['--help'])\nfinally: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert all(name in done.stdout for name in COMMANDS)
    for heavy in ("yaml", "msgspec", "uvloop", "rich", "fastgw.cli.check", "fastgw.config"):
        assert f"'{heavy}'" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_how_it_is_used(call, name):
    done = call(name, "--help")
    assert done.exit_code == 0 and done.output.startswith(f"Usage: main {name}")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_every_command_that_prints_takes_json(call, name):
    assert "--json" in call(name, "--help").output


class TestCheck:
    def test_good(self, call):
        done = call("check", text=GOOD)
        assert (done.exit_code, done.output.splitlines()[-1].split(": ")[-1]) == (0, "no problems")

    def test_bad(self, call):
        done = call("check", text=BAD)
        assert done.exit_code == 1
        assert ":7:10: FGW1105 workers: `0` is out of range" in done.output
        assert ":8:10: FGW1101 limits.hed: unknown key `hed`" in done.output
        assert done.output.endswith(": 2 errors\n")

    def test_json(self, call):
        done = call("check", "--json", text=BAD)
        data = json.loads(done.output)
        assert done.exit_code == 1 and data["ok"] is False and data["source_hash"] is None
        assert [(p["code"], p["line"], p["column"], p["path"]) for p in data["problems"]] == [
            ("FGW1105", 7, 10, "workers"),
            ("FGW1101", 8, 10, "limits.hed"),
        ]
        assert len(json.loads(call("check", "--json", text=GOOD).output)["source_hash"]) == 64

    def test_warnings_are_findings_only_if_asked(self, call):
        done = call("check", text=WARNS)
        assert done.exit_code == 0 and "FGW1903" in done.output and done.output.endswith(": 1 warning\n")
        assert call("check", "--strict", text=WARNS).exit_code == 1

    def test_a_missing_file_is_a_finding(self, call, tmp_path):
        done = call("check", "-c", str(tmp_path / "none"))
        assert done.exit_code == 1 and "FGW1001 cannot be read: No such file" in done.output

    def test_no_file_is_wrong_usage(self, call, monkeypatch):
        monkeypatch.delenv("FASTGW_CONFIG", raising=False)
        assert call("check").exit_code == 2

    def test_what_only_the_snapshot_finds(self, call, monkeypatch):
        from fastgw.errors import FastgwError

        def compile(config, generation, slots, *, plugins):
            raise FastgwError("too deep")

        module = types.SimpleNamespace(Slots=object, compile=compile)
        monkeypatch.setitem(sys.modules, "fastgw.snapshot.compile", module)
        done = call("check", text=GOOD)
        assert done.exit_code == 1 and "FGW1301 too deep" in done.output


class TestRoutes:
    def test_in_order_of_precedence(self, call):
        rows = json.loads(call("routes", "--json", text=GOOD).output)
        assert [row["route"] for row in rows] == ["one", "hello", "users"]
        assert rows[0]["to"] == "redirect 302" and rows[1]["to"] == "static 204"
        assert rows[2] == {
            "route": "users", "priority": 0, "listeners": ["web", "other"], "hosts": [], "kind": "prefix",
            "path": "/users/…", "methods": ["GET"], "headers": {}, "query": {}, "strip_prefix": False,
            "chain": ["headers"], "to": "users",
        }  # fmt: skip

    def test_as_a_table(self, call):
        head, *rows = call("routes", text=GOOD).output.splitlines()
        assert head.split() == ["ROUTE", "PRIORITY", "LISTENERS", "HOSTS", "PATH", "METHODS", "CHAIN", "TO"]
        assert rows[0].split() == ["one", "5", "web,other", "*", "/users/{id}", "*", "-", "redirect", "302"]

    def test_a_bad_configuration(self, call):
        done = call("routes", text=BAD)
        assert done.exit_code == 1 and "FGW1105" in done.stderr and done.stdout == ""
        data = json.loads(call("routes", "--json", text=BAD).stdout)
        assert data["ok"] is False and len(data["problems"]) == 2


class TestExplain:
    class Lost(msgspec.Struct):
        route: str
        why: str

    class Found(msgspec.Struct):
        route: str | None
        lost: list
        chain: list

    @pytest.fixture
    def asked(self, monkeypatch):
        """What the command asked for; the answer depends on the path alone."""
        asked = []

        def explain(config, method, url, headers, listener):
            asked.append((method, url, headers, listener))
            if url == "bad":
                raise ValueError("not a URL")
            return self.Found(None if url == "/no" else "users", [self.Lost("hello", "another host")], [])

        monkeypatch.setitem(sys.modules, "fastgw.snapshot.explain", types.SimpleNamespace(explain=explain))
        return asked

    def test_what_is_asked_and_shown(self, call, asked):
        done = call("explain", "GET", "/users/1", "-H", "x-a: 1", "-H", "x-b:2", "--listener", "web", text=GOOD)
        assert done.exit_code == 0, done.output
        assert asked == [("GET", "/users/1", [("x-a", "1"), ("x-b", "2")], "web")]
        assert done.output == "route: users\nlost:\n  - hello: another host\n"

    def test_json_and_exit_codes(self, call, asked):
        done = call("explain", "GET", "/no", "--json", text=GOOD)
        assert done.exit_code == 1
        assert json.loads(done.output) == {
            "route": None,
            "lost": [{"route": "hello", "why": "another host"}],
            "chain": [],
        }
        assert call("explain", "GET", "bad", text=GOOD).exit_code == 2
        assert call("explain", "GET", "/", "-H", "nonsense", text=GOOD).exit_code == 2
        assert call("explain", "GET", "/", "--listener", "nobody", text=GOOD).exit_code == 2
        assert call("explain", "GET", "/", text=BAD).exit_code == 1


class TestRun:
    @pytest.fixture
    def supervisor(self, monkeypatch):
        import fastgw.control

        module = types.SimpleNamespace(calls=[], result=0)

        def run(*arguments):
            module.calls.append(arguments)
            if isinstance(module.result, Exception):
                raise module.result
            return module.result

        module.run = run
        monkeypatch.setitem(sys.modules, "fastgw.control.supervisor", module)
        monkeypatch.setattr(fastgw.control, "supervisor", module, raising=False)
        return module

    def test_what_the_supervisor_is_given(self, call, supervisor, tmp_path):
        assert call("run", "--workers", "3", "--last-good", text=GOOD).exit_code == 0
        assert supervisor.calls == [(tmp_path / "f.yaml", 3, True)]

    def test_its_exit_code_is_ours(self, call, supervisor):
        supervisor.result = 5
        assert call("run", text=GOOD).exit_code == 5

    def test_a_bad_configuration_is_78(self, call, supervisor):
        from fastgw.config.load import loads

        with pytest.raises(ConfigErrors) as caught:
            loads(BAD, "f.yaml")
        supervisor.result = caught.value
        done = call("run", text=BAD)
        assert done.exit_code == 78
        assert "f.yaml:7:10: FGW1105" in done.stderr and "f.yaml:8:10: FGW1101" in done.stderr

    @pytest.mark.parametrize("arguments", [("--workers", "0"), ("--workers", "x"), ("--nonsense",)])
    def test_wrong_usage(self, call, arguments):
        assert call("run", *arguments, text=GOOD).exit_code == 2


def test_schema(call):
    data = json.loads(call("schema").output)
    assert data["$schema"].endswith("2020-12/schema") and "Route" in data["$defs"]


def test_version(call):
    assert call("version").output == f"fastgw {__version__}\n"
    assert json.loads(call("version", "--json").output) == {"version": __version__}
    data = json.loads(call("version", "--json", "--features").output)
    assert "http/1.1" in data["protocols"] and data["libraries"]["uvloop"]
    assert "protocols: http/1.0, http/1.1" in call("version", "--features").output


def test_an_unknown_command_is_wrong_usage(call):
    assert call("serve").exit_code == 2
