"""The header work of the comparison: one request field read, one set for the upstream, one set on the reply."""

from fastgw.plugin import Plugin, Reply, Request, hook


class HeaderWork(Plugin[None]):
    @hook.access
    def access(self, request: Request) -> None:
        request.headers["x-asked-for"] = request.headers.get("host", "")

    @hook.reply
    def reply(self, request: Request, reply: Reply) -> None:
        reply.headers["x-served-by"] = "gateway"
