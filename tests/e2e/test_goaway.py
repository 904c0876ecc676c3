"""How often a request is tried again that HTTP/2 upstreams leave out of their GOAWAYs."""

import struct
from pathlib import Path

import pytest

from tests.hostile.asking import Client
from tests.hostile.h2_origin import HostileOrigin
from tests.hostile.h2_wire import GOAWAY, frame

from .supervised import gateway

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["{address}"], protocol: h2, balance: {{goaway_retries: {retries}}}}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
log: {{access: off}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""


@pytest.mark.parametrize("retries", [0, 2, 16])
def test_as_often_as_is_configured(tmp_path: Path, retries: int) -> None:
    origin = HostileOrigin()
    origin.scripts["/"] = lambda _: frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))
    try:
        with gateway(tmp_path) as gw:
            gw.start(CONFIG.format(address=origin.address, retries=retries)).ready()
            client = Client(gw, "/", "POST", b"abc").done()
            assert client.status == 502 and b"upstream_goaway" in client.body
            assert len(origin.by_path["/"]) == 1 + retries
    finally:
        origin.close()
