"""Says on every reply which gateway it came through, and hides what the upstream runs on."""

from fastgw.plugin import Plugin, Reply, Request, hook


class Stamp(Plugin[None]):
    @hook.reply
    def stamp(self, request: Request, reply: Reply) -> None:
        reply.headers["x-request-id"] = request.request_id
        reply.headers.remove("x-powered-by")
        if reply.status >= 500:
            self.log.warning("%s answered %d", request.route, reply.status)
