"""Examples are run as they are, but for their addresses."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .peers import exchange, origin, tell
from .supervised import Gateway, connect, gateway, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def here(name: str, folder: Path, up: str) -> str:
    """An example's text with ports that are free here, an upstream that answers, and nothing written elsewhere."""
    text = re.sub(r"(127\.0\.0\.1|0\.0\.0\.0):80\d\d", "127.0.0.1:0", (EXAMPLES / name).read_text())
    text = re.sub(r"127\.0\.0\.1:90\d\d", up, text)
    if name.endswith(".toml"):
        return text + f'\n[log.access]\nto = "{folder}/access.log"\n[admin]\nbind = "127.0.0.1:0"\n'
    return text + f'\nlog: {{access: {{to: {folder}/access.log}}}}\nadmin: {{bind: "127.0.0.1:0"}}\nworkers: 1\n'


def ask(gw: Gateway, path: str, listener: str = "web") -> tuple[int, dict[str, str], str]:
    client = connect(gw.address(listener))
    client.request("GET", path, headers={"connection": "close"})
    answer = client.getresponse()
    got = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    client.close()
    return got


def test_regex_routes(tmp_path: Path) -> None:
    with origin(tell) as up, gateway(tmp_path) as gw:
        gw.start(here("regex-routes.yaml", tmp_path, up.address)).ready()
        status, fields, body = ask(gw, "/articles/2024-05/some-title")
        assert status == 200 and json.loads(body)["fields"]["x-article"] == ["2024/05/some-title"]
        assert "ratelimit" in fields
        status, _, body = ask(gw, "/articles/2024-13/some-title")  # no such month: the prefix of less priority
        assert status == 200 and "x-article" not in json.loads(body)["fields"]
        status, fields, _ = ask(gw, "/2024/05/a-b.htm")
        assert (status, fields["location"]) == (301, "/articles/2024-05/a-b")
        assert ask(gw, "/x/y.png")[::2] == (404, "no pictures here\n")
        assert ask(gw, "/nowhere")[0] == 404
        assert "fgw_regex_given_up_total" not in gw.admin("/metrics")[1]
        assert ask(gw, "/" + "a" * 30 + ".html")[0] == 404


def test_a_regex_that_takes_too_long_is_counted_and_told_once(tmp_path: Path) -> None:
    text = """
listeners: {web: {bind: "127.0.0.1:0"}}
routes:
  slow: {match: {regex: "/(a+)+"}, to: {static: {body: slow}}}
  next: {match: {regex: "/a+b"}, to: {static: {body: next}}}
"""
    text += f'log: {{access: {{to: {tmp_path}/access.log}}}}\nadmin: {{bind: "127.0.0.1:0"}}\nworkers: 1\n'
    with gateway(tmp_path) as gw:
        gw.start(text).ready()
        path = "/" + "a" * 4000
        assert ask(gw, path)[2] == "slow"
        for _ in range(3):
            assert ask(gw, path + "b")[2] == "next"
        assert 'fgw_regex_given_up_total{route="slow",listener="web"} 3' in gw.admin("/metrics")[1]
        assert gw.stop() == 0
        assert gw.stderr.read_text().count("route slow: its regex takes too many steps") == 1


def test_proxy_protocol(tmp_path: Path) -> None:
    text = here("proxy-protocol.yaml", tmp_path, "{up}").replace('"192.0.2.7"', '"127.0.0.0/8"')
    with origin(tell) as up, gateway(tmp_path) as gw:
        gw.start(text.replace("{up}", up.address)).ready()
        v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([203, 0, 113, 5, 192, 0, 2, 1, 0, 1, 0, 80])
        request = b"GET /users HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n"
        for before, listener, client in (
            (v2, "behind-balancer", "203.0.113.5"),
            (b"PROXY TCP4 203.0.113.6 192.0.2.1 1 80\r\n", "behind-balancer", "203.0.113.6"),
            (b"", "direct", "203.0.113.9"),
        ):
            got = exchange(gw.address(listener), before + request)
            assert json.loads(got.partition(b"\r\n\r\n")[2])["fields"]["x-real-ip"] == [client]


def test_toml(tmp_path: Path) -> None:
    with origin(tell) as up, gateway(tmp_path) as gw:
        gw.config = tmp_path / "fastgw.toml"
        gw.start(here("routing.toml", tmp_path, up.address)).ready()
        status, fields, _ = ask(gw, "/articles/2024/x")
        assert (status, fields["location"]) == (302, "/archive/2024")
        assert ask(gw, "/admin/x")[::2] == (403, "not from here\n")
        kept = tmp_path / "state" / "fastgw"
        until(lambda: [path.suffix for path in kept.glob("last-good-*")] == [".toml"], "the document is kept")
        assert gw.reload(gw.config.read_text().replace("not from here", "never"))["ok"]
        assert ask(gw, "/admin/x")[2] == "never\n"
        told = gw.reload(gw.config.read_text() + "nonsense = 1\n")
        assert not told["ok"] and "nonsense" in "\n".join(gw.line("reload refused")["reasons"])
