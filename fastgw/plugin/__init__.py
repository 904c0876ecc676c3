"""What plugins are written with: a class with hooks, run by the engine on requests and replies. See docs/plugins.md.

    from fastgw.plugin import Deny, Plugin, Request, hook

    class KeyAuth(Plugin[Settings]):
        @hook.access
        async def check(self, request: Request) -> Deny | None: ...

Errors

    ExchangeOver        a request or reply was used after its exchange had ended
    PluginError         a plugin cannot be loaded or started; `file` and `line` say where, if that is known
"""

from fastgw._fields import ExchangeOver, Headers, Tags
from fastgw._views import Allow, ClientCertificate, Deny, Reply, Request

from . import hook
from .base import Plugin
from .errors import PluginError

__all__ = [
    "Allow",
    "ClientCertificate",
    "Deny",
    "ExchangeOver",
    "Headers",
    "Plugin",
    "PluginError",
    "Reply",
    "Request",
    "Tags",
    "hook",
]
