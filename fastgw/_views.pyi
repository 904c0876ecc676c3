from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fastgw._fields import ExchangeOver as ExchangeOver
from fastgw._fields import Headers as Headers
from fastgw._fields import Tags as Tags

class ClientCertificate(NamedTuple):
    subject: str
    cn: str
    fingerprint: str
    uris: tuple[str, ...]
    dns: tuple[str, ...]
    not_after: int

class Request:
    @property
    def method(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def params(self) -> dict[str, str]: ...
    @property
    def route(self) -> str: ...
    @property
    def listener(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def certificate(self) -> ClientCertificate | None: ...
    @property
    def request_id(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def tags(self) -> Tags: ...

class Reply:
    status: int
    @property
    def headers(self) -> Headers: ...

class Allow: ...

class Deny:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    def __init__(
        self,
        status: int,
        body: str | bytes = "",
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        problem: str | None = None,
    ) -> None: ...

def requests_alive() -> int: ...
