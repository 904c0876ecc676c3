"""What `check` says of routes that carry gRPC."""

from __future__ import annotations

import pytest

from fastgw.config.load import loads

HEAD = """
listeners: {{web: {{bind: "127.0.0.1:8080"{web}}}, other: {{bind: "127.0.0.1:8081"}}}}
upstreams: {{u: {{endpoints: ["127.0.0.1:1"]{up}}}}}
routes:
  r: {{match: {{prefix: /a.B{match}}}, grpc: {grpc}, {more} to: u}}
"""


def said(web: str = "", match: str = "", more: str = "", grpc: str = "true", up: str = ", protocol: h2") -> list[str]:
    text = HEAD.format(web=web, match=match, more=more, grpc=grpc, up=up)
    return [f"{w.path}: {w.message}" for w in loads(text).warnings]


def test_a_sound_route_is_not_talked_about() -> None:
    assert said() == said(match=", methods: [GET, POST]") == said(web=", http2: false") == []


def test_a_route_without_post() -> None:
    assert said(match=", methods: GET") == ["routes.r.match.methods: no call ever matches: every gRPC call is a POST"]
    assert said(match=", methods: GET", grpc="false") == []


@pytest.mark.parametrize("grpc", ["true", "false"])
def test_a_route_whose_listeners_speak_no_http2(grpc: str) -> None:
    found = said(web=", http2: false", more="listeners: web,", grpc=grpc)
    text = "routes.r.grpc: no call ever arrives: gRPC is spoken over HTTP/2, and no listener here serves it"
    assert found == ([text] if grpc == "true" else [])


def test_a_route_whose_upstream_is_spoken_to_by_http1() -> None:
    text = "routes.r.to: servers of gRPC speak HTTP/2, and to `u` HTTP/1.1 is spoken"
    assert said(up="") == said(up=", protocol: h1") == [text]
    assert said(up=", tls: {}, protocol: auto") == []
    assert said(up="", grpc="false") == []
