"""Plugins before gRPC."""

from msgspec import Struct

from fastgw.plugin import Deny, Plugin, Reply, Request, hook


class Settings(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is said."""

    status: int = 403
    problem: str | None = None
    body: str = ""


class Refuse(Plugin[Settings]):
    """Refuse every call."""

    @hook.access
    def refuse(self, req: Request) -> Deny:
        said = self.settings
        return Deny(said.status, said.body, problem=said.problem, headers={"x-why": "closed"})


class Raise(Plugin[Settings]):
    """Fail."""

    @hook.access
    async def fail(self, req: Request) -> None:
        raise RuntimeError("no idea")


class RefuseAnswers(Plugin[Settings]):
    """Refuse what an upstream has answered."""

    @hook.reply
    def refuse(self, req: Request, reply: Reply) -> Deny:
        return Deny(self.settings.status, problem="not this one")
