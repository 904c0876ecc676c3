"""Who may come in: a key in a header field, known from the settings. The upstream learns whose it is."""

import hashlib

import msgspec

from fastgw.plugin import Deny, Plugin, Request, hook


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    users: dict[str, str]  # user: SHA-256 of the key, in hex
    header: str = "x-api-key"


class KeyAuth(Plugin[Settings]):
    def __init__(self) -> None:
        self.user_of = {digest: user for user, digest in self.settings.users.items()}

    @hook.access
    def check(self, request: Request) -> Deny | None:
        key = request.headers.get(self.settings.header)
        user = self.user_of.get(hashlib.sha256(key.encode()).hexdigest()) if key else None
        if user is None:
            return Deny(401, "a key, please\n", headers={"www-authenticate": "Key"})
        request.headers.remove(self.settings.header)
        request.headers["x-user"] = user
        request.tags["user"] = user
        return None
