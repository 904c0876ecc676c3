"""What is shown of a configuration: everything that is in force, loadable again, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastgw.config.dump import Redactor
from fastgw.config.load import loads
from fastgw.errors import ConfigErrors
from tests.tls_files import make

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted(path for kind in ("yaml", "toml") for path in (ROOT / "examples").glob(f"*.{kind}"))
SECRETS = {
    "KEY": "hunter2-secret", "BIND": "127.0.0.1:18080", "UP": "10.9.8.7:99", "PATHS": "/very/secret",
    "HOST": "Hidden.Example.ORG",
    "SHORT": "xy", "NET": "10.77.0.0/16", "NUM": "7", "TIME": "77s", "REGEX": "/(hidden-regex)+",
}  # fmt: skip
DOCUMENT = """
listeners: {web: {bind: "${BIND}"}}
upstreams: {u: {endpoints: ["${UP}", {address: "127.0.0.1:1", weight: "${NUM}"}], timeouts: {connect: "${TIME}"}}}
routes:
  r:
    match: {hosts: "${HOST}", prefix: "${PATHS}", headers: {x-key: "${KEY}"}, query: {q: "${SHORT}"}}
    chain: [{headers: {set: {x-api: "Bearer ${KEY}", x-money: "$$$$ ${KEY} $5"}}}]
    to: u
  s: {match: {regex: "${REGEX}"}, to: {static: {body: "${KEY}", status: 201}}}
trusted_proxies: ["${NET}"]
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples/tls*.yaml name."""
    folder = tmp_path_factory.mktemp("example")
    for name in ("partners-ca", "internal-ca", "www", "www-rsa", "wildcard", "gateway"):
        make(folder / "certs", name, f"DNS:{name}.example.com", rsa=name == "www-rsa")
    return folder


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_what_is_dumped_is_the_same_configuration(path: Path, certificates: Path) -> None:
    base = certificates if path.stem.startswith("tls") else path.parent
    kind = "toml" if path.suffix == ".toml" else "yaml"
    loaded = loads(path.read_text(), str(path), kind, env={}, base=base)
    text = json.dumps(loaded.effective())
    assert "PRIVATE KEY" not in text and "BEGIN CERTIFICATE" not in text
    again = loads(text, "dump.json", "json", env={}, base=base)
    assert again.config == loaded.config and again.effective() == loaded.effective()


def test_every_default_is_told_in_its_unit() -> None:
    shown = loads('listeners: {w: {bind: "127.0.0.1:1"}}').effective()
    assert shown["timeouts"]["head"] == "10s"
    assert shown["limits"]["head"] == "64KiB" and shown["limits"]["body"] == "off"
    assert shown["listeners"] == {"w": {"bind": ["127.0.0.1:1"], "proxy_protocol": False, "http2": True}}
    assert shown["log"]["error"] == {"level": "info", "to": "stderr"} and shown["workers"] == "auto"


def test_a_dump_has_references_and_they_mean_the_same() -> None:
    loaded = loads(DOCUMENT, env=SECRETS)
    shown = loaded.effective()
    text = json.dumps(shown)
    for secret in SECRETS.values():
        assert f'"{secret}"' not in text and (len(secret) < 4 or secret.lower() not in text.lower()), secret
    assert shown["upstreams"]["u"]["endpoints"][0] == {"address": "${UP}", "weight": 1}
    assert shown["upstreams"]["u"]["endpoints"][1]["weight"] == "${NUM}"
    assert shown["upstreams"]["u"]["timeouts"] == {"connect": "${TIME}"}
    assert shown["routes"]["r"]["match"]["hosts"] == "${HOST}" and shown["listeners"]["web"]["bind"] == "${BIND}"
    assert shown["routes"]["r"]["chain"][0]["headers"]["set"]["x-api"] == "Bearer ${KEY}"
    assert loads(text, "d.json", "json", env=SECRETS).config == loaded.config


def test_dollars_that_are_no_references_stay_none() -> None:
    body = "a $5 b $$$$ c $${X} d $$$${X} e"
    head = f'listeners: {{w: {{bind: "127.0.0.1:1"}}}}\nroutes: {{r: {{to: {{static: {{body: "{body}"}}}}}}}}\n'
    loaded = loads(head, env={})
    assert loaded.config.routes["r"].to.static.body == "a $5 b $$ c ${X} d $${X} e"  # type: ignore[union-attr]
    assert loads(json.dumps(loaded.effective()), "d.json", "json", env={}).config == loaded.config


WRONG = [
    "upstreams: {u: {endpoints: ['${UP}', '${UP}']}}",
    "upstreams: {u: {endpoints: ['${KEY}']}}",
    "trusted_proxies: ['${ALL}']",
    "limits: {head: '${KEY}'}",
    "workers: '${KEY}'",
    "log: {access: {to: '${KEY}'}}",
    "user: '${KEY}'",
    "routes: {r: {to: '${KEY}'}}",
    "routes: {r: {match: {prefix: '${KEY}'}, to: {static: {}}}}",
    "routes: {r: {match: {regex: '/${KEY}('}, to: {static: {}}}}",
    "routes: {r: {match: {pattern: '/{id}/${KEY}/{id}'}, to: {static: {}}}}",
    "routes: {r: {to: {redirect: {to: '${KEY}'}}}}",
    "routes: {r: {to: {redirect: {to: '/{${KEY}}'}}}}",
    "routes: {r: {chain: [{rate_limit: {rate: '${KEY}'}}], to: {static: {}}}}",
    "routes: {r: {chain: [{rate_limit: {rate: 1/d, by: 'path:${KEY}'}}], to: {static: {}}}}",
    "routes: {r: {chain: [{rate_limit: {rate: '${RATE}', burst: 10000000}}], to: {static: {}}}}",
    "routes: {r: {chain: [{headers: {remove: '${KEY}:'}}], to: {static: {}}}}",
    "routes: {r: {match: {methods: '${KEY}?', hosts: '${KEY}!'}, to: {static: {}}}}",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_no_message_quotes_a_value(text: str) -> None:
    env = {"KEY": "hunter2-secret", "UP": "10.9.8.7:99", "ALL": "0.0.0.0/0", "RATE": "12345/d"}
    try:
        told = loads('listeners: {w: {bind: "127.0.0.1:1"}}\n' + text, env=env).warnings
    except ConfigErrors as errors:
        told = [*errors.problems, *errors.warnings]
    assert told
    words = json.dumps([found.to_dict() for found in told]) + "".join(found.render() for found in told)
    for value in env.values():
        assert value not in words and value.upper() not in words


def test_short_values_are_only_whole_texts() -> None:
    redactor = Redactor({"no": "${A}", "secret": "${B}", "secret-longer": "${C}", "": "${D}"})
    assert redactor.text("no") == "${A}" and redactor.text("not now") == "not now" and redactor.text("") == ""
    assert redactor.data({"secret": ["a secret-longer secret", 1, None]}) == {"${B}": ["a ${C} ${B}", 1, None]}
