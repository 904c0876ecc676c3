"""A secret that came through a reference is nowhere to be read: no command, no page, no log, no file that is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tls_files import make

from .supervised import gateway

SECRETS = {
    "TOKEN": "tok-5e2f9a", "PLACE": "/plc-77c1", "NAME": "hst-3b.example", "WANTED": "wnt-9d04", "BODY": "bdy-1a6e",
}  # fmt: skip
IN_FILE = "fil-c0ffee"
CONFIG = """
listeners: {web: {bind: "127.0.0.1:0"}}
upstreams: {up: {endpoints: ["127.0.0.1:9"]}}
routes:
  a: {match: {hosts: "${NAME}", prefix: "${PLACE}", headers: {x-key: "${WANTED}"}}, chain: [{headers: {set: {authorization: "Bearer ${TOKEN}"}}}], to: up}
  b: {match: {exact: /moved}, to: {redirect: {to: "/x?${TOKEN}"}}}
  c: {match: {regex: "${PLACE}/re.*"}, priority: -1, to: {static: {body: "${BODY} ${file:secret.txt}"}}}
log: {access: {to: FOLDER/access.log}}
admin: {bind: "127.0.0.1:0"}
workers: 1
"""  # noqa: E501


def clean(text: str, where: str) -> None:
    for secret in (*SECRETS.values(), IN_FILE):
        assert secret not in text, f"{where}: {secret}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text(IN_FILE + "\n")
    (tmp_path / "fastgw.yaml").write_text(CONFIG.replace("FOLDER", str(tmp_path)))
    return tmp_path


def call(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "fastgw.cli", *arguments, "-c", str(folder / "fastgw.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **SECRETS}, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"], ["check", "--json"], ["check", "--dump"], ["check", "--json", "--dump"],
        ["routes"], ["routes", "--json"],
        ["explain", "GET", "/other"], ["explain", "GET", "/moved"], ["explain", "--json", "GET", "/moved"],
        ["explain", "GET", "http://hst-3b.example/plc-77c1/x", "-H", "x-key: wnt-9d04"],
        ["explain", "GET", "http://hst-3b.example/plc-77c1/x"], ["explain", "GET", "/plc-77c1/re"],
    ],
)  # fmt: skip
def test_no_command_tells(folder: Path, arguments: list[str]) -> None:
    code, text = call(folder, *arguments)
    assert code in (0, 1) and "Traceback" not in text and text
    clean(text, " ".join(arguments))
    if "GET" in arguments and "wnt-9d04" in str(arguments):
        assert "Bearer ${TOKEN}" in text and "route: a" in text


def test_what_is_wrong_is_told_without_it(folder: Path) -> None:
    text = (folder / "fastgw.yaml").read_text()
    text = text.replace("to: up}", 'to: "${TOKEN}"}').replace("exact: /moved", 'exact: "${WANTED}"')
    (folder / "fastgw.yaml").write_text(text)
    for arguments in (["check"], ["check", "--json"], ["run"], ["routes", "--json"]):
        code, text = call(folder, *arguments)
        assert code and "${TOKEN}" in text and "${WANTED}" in text
        clean(text, " ".join(arguments))


def test_a_running_gateway_keeps_it_to_itself(folder: Path) -> None:
    with gateway(folder) as gw:
        gw.start(None, env=SECRETS).ready()
        assert gw.get("/plc-77c1/re")[1] == f"{SECRETS['BODY']} {IN_FILE}", "it is used all the same"
        assert gw.get("/moved")[0] == 302
        text = gw.config.read_text()
        assert not gw.reload(text.replace("to: up}", 'to: "${TOKEN}"}'))["ok"]
        assert gw.reload(text.replace("exact: /moved", "exact: /moved2"))["ok"]
        for page in ("/livez", "/readyz", "/healthz?verbose", "/metrics", "/status", "/config", "/nowhere"):
            clean(gw.admin(page)[1], page)
        shown = json.loads(gw.admin("/config")[1])
        assert shown["routes"]["a"]["match"]["prefix"] == "${PLACE}" and shown["timeouts"]["connect"] == "2s"
        assert shown["routes"]["b"]["match"]["exact"] == "/moved2"
        assert gw.stop() == 0
        clean(gw.stderr.read_text(), "stderr")
        kept = [path for path in (folder / "state").rglob("*") if path.is_file()]
        assert kept
        for path in kept:
            clean(path.read_text(errors="replace"), str(path))
        log = (folder / "access.log").read_text()
        clean(log.replace('"target":"/plc-77c1/re"', ""), "access log")  # but for the client's own words


def test_a_key_that_is_written_out_is_shown_nowhere(folder: Path) -> None:
    files = make(folder, "www", "DNS:www.example.com")
    key = files.key.read_text()
    tls = f"tls: {{certificates: [{{cert: {files.cert}, key: {json.dumps(key)}}}]}}"
    config = f'listeners: {{web: {{bind: "127.0.0.1:0", {tls}}}}}\nadmin: {{bind: "127.0.0.1:0"}}\nworkers: 1\n'

    def told(text: str) -> None:
        assert "(a private key, not shown)" in text
        assert not any(line in text for line in key.splitlines() if "-----" not in line)

    with gateway(folder) as gw:
        gw.start(config).ready()
        told(gw.admin("/config")[1])
        code, text = call(folder, "check", "--dump")
        assert code == 0
        told(text)
