from typing import NamedTuple

from fastgw._shm import Shm
from fastgw.errors import FastgwError

AUTH: dict[str, int]
VERSIONS: dict[str, int]
TICKET_KEY: int
TICKET_KEYS: int
WORDS: tuple[str, ...]

class TlsError(FastgwError): ...

class CertInfo(NamedTuple):
    names: tuple[str, ...]
    kind: str
    chain: int
    not_before: int
    not_after: int

def inspect(cert: bytes, key: bytes = b"") -> CertInfo: ...
def count_ca(pem: bytes) -> int: ...
def try_server(
    pems: list[tuple[bytes, bytes]], ca: bytes, client_auth: str, min_version: str, ciphers: bytes
) -> None: ...
def try_client(cert: bytes, key: bytes, ca: bytes, min_version: str, ciphers: bytes) -> None: ...
def totals(shm: Shm, slot: int) -> dict[str, int]: ...
