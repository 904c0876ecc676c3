"""HTTP/2 servers other people wrote behind a live gateway: nginx and h2o, under load and while they end connections."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.programs import find, program
from tests.tls_files import make

from .peers import child, free_port
from .supervised import Gateway, gateway

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams:
  nginx: {{endpoints: ["127.0.0.1:{nginx}"], protocol: h2, pool: {{max_streams: 32}}}}
  nginx-tls: {{endpoints: ["127.0.0.1:{nginx_tls}"], protocol: h2, tls: {{ca: ca.pem}}}}
  nginx-auto: {{endpoints: ["127.0.0.1:{nginx_tls}"], protocol: auto, tls: {{ca: ca.pem}}}}
  h2o: {{endpoints: ["127.0.0.1:{h2o}"], protocol: h2}}
  h2o-tls: {{endpoints: ["127.0.0.1:{h2o_tls}"], protocol: h2, tls: {{ca: ca.pem}}}}
routes:
  nginx: {{match: {{prefix: /nginx}}, strip_prefix: true, to: nginx}}
  nginx-tls: {{match: {{prefix: /nginx-tls}}, strip_prefix: true, to: nginx-tls}}
  nginx-auto: {{match: {{prefix: /nginx-auto}}, strip_prefix: true, to: nginx-auto}}
  h2o: {{match: {{prefix: /h2o}}, strip_prefix: true, to: h2o}}
  h2o-tls: {{match: {{prefix: /h2o-tls}}, strip_prefix: true, to: h2o-tls}}
log: {{access: {{to: {log}}}}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""
# A connection serves 20 requests and then says GOAWAY, with requests on their way: what it leaves out is asked again.
NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off; root {folder}/www; keepalive_requests 20; http2_max_concurrent_streams 8;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} http2; listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {folder}/up.pem; ssl_certificate_key {folder}/up.key;
    location = /protocol {{ return 200 "$server_protocol $http2 $request_method $http_host"; }}
  }}
}}
"""
H2O = """
hosts:
  default:
    paths:
      /:
        file.dir: {folder}/www
listen:
  host: 127.0.0.1
  port: {port}
listen:
  host: 127.0.0.1
  port: {tls}
  ssl:
    certificate-file: {folder}/up.pem
    key-file: {folder}/up.key
num-threads: 1
"""
FILE = bytes(i * i % 251 for i in range(1 << 20))
SERVERS = ("nginx", "nginx-tls", "nginx-auto", "h2o", "h2o-tls")


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("h2origins")
    (folder / "www").mkdir()
    (folder / "www" / "file").write_bytes(FILE)
    (folder / "www" / "small").write_bytes(b"hello\n")
    ca = make(folder, "ca")
    make(folder, "up", "IP:127.0.0.1", ca)
    ports = {name: free_port() for name in ("nginx", "nginx_tls", "h2o", "h2o_tls")}
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=ports["nginx"], tls=ports["nginx_tls"]))
    text = H2O.format(folder=folder, port=ports["h2o"], tls=ports["h2o_tls"])
    text += "user: root\n" if os.geteuid() == 0 else ""  # else it would become nobody, whom the folder is not for
    (folder / "h2o.conf").write_text(text)
    nginx = [program("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "stderr"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(child(nginx, ports["nginx"], folder))
        if find("h2o"):
            stack.enter_context(child(["h2o", "-c", str(folder / "h2o.conf")], ports["h2o"], folder))
        made = stack.enter_context(gateway(folder))
        made.start(CONFIG.format(log=folder / "access.log", **ports)).ready()
        yield made
        assert made.stop() == 0


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    program(request.param.partition("-")[0])
    return str(request.param)


def test_files_ranges_and_validators_pass(gw: Gateway, server: str) -> None:
    with httpx.Client(base_url=f"http://{gw.address()}/{server}") as client:
        whole = client.get("/file")
        assert (whole.status_code, whole.content) == (200, FILE)
        part = client.get("/file", headers={"range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, FILE[1000:2000])
        same = client.get("/file", headers={"if-none-match": whole.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        head = client.head("/file")
        assert (head.headers["content-length"], head.content) == (str(len(FILE)), b"")
        assert client.get("/none").status_code == 404


@pytest.mark.parametrize("server", ["nginx", "nginx-tls", "nginx-auto"])
def test_what_nginx_sees(gw: Gateway, server: str) -> None:
    answer = httpx.get(f"http://{gw.address()}/{server}/protocol", headers={"host": "a.test"})
    assert answer.text == f"HTTP/2.0 {'h2' if 'tls' in server or 'auto' in server else 'h2c'} GET a.test"
    answer = httpx.put(f"http://{gw.address()}/{server}/protocol", content=FILE, headers={"host": "a.test"})
    assert answer.text.endswith(" PUT a.test")


@pytest.mark.parametrize("clients", [("-c", "4", "-m", "16"), ("-c", "16", "--h1")], ids=["h2", "h1"])
def test_no_request_is_lost_under_load(gw: Gateway, server: str, clients: tuple[str, ...]) -> None:
    """nginx ends its connections every 20 requests, and allows 8 at once on one."""
    command = [program("h2load"), "-n", "3000", *clients, f"http://{gw.address()}/{server}/small"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in told, told
    assert "status codes: 3000 2xx" in told
