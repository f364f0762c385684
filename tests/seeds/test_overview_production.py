"""The examples of «Overview»: running in production."""

from collections.abc import Callable

from support import Server
from typhoon import web


def test_xheaders(serve: Callable[..., Server]) -> None:
    class AddressHandler(web.RequestHandler):
        def get(self) -> None:
            self.write(f"{self.request.protocol} {self.request.remote_ip}")

    application = web.Application([("/", AddressHandler)])
    headers = {"X-Real-IP": "4.4.4.4", "X-Scheme": "https"}
    assert serve(application, xheaders=True).get("/", headers).text == "https 4.4.4.4"
    assert serve(application).get("/", headers).text == "http 127.0.0.1"
