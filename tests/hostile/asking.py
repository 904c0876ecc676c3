"""A request to the gateway that is asked in a thread of its own, so that many can wait at once."""

import http.client
import threading

from tests.e2e.supervised import PATIENCE, Gateway


class Client(threading.Thread):
    """One HTTP/1.1 request on a connection of its own; its status and body, or that it was cut."""

    def __init__(self, gw: Gateway, path: str, method: str = "GET", body: bytes | None = None) -> None:
        super().__init__(daemon=True)
        self.gw, self.path, self.method, self.sent = gw, path, method, body
        self.status, self.body, self.cut, self.fields = 0, b"", False, http.client.HTTPMessage()
        self.start()

    def run(self) -> None:
        host, _, port = self.gw.address().rpartition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            client.request(self.method, self.path, self.sent)
            answer = client.getresponse()
            self.status, self.fields = answer.status, answer.msg
            self.body = answer.read()
        except (http.client.HTTPException, ConnectionError) as error:
            self.cut = True
            self.body = getattr(error, "partial", b"")
        finally:
            client.close()

    def done(self) -> "Client":
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self.path} hangs"
        return self
