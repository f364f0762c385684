"""The health check of «API Documentation» (sprockets.http), which waits for `locks.Event`."""

import json
from collections.abc import Callable

from support import Server
from typhoon import concurrent, gen, locks, web

STATUS = """
class StatusHandler(web.RequestHandler):
    @gen.coroutine
    def prepare(self):
        maybe_future = super(StatusHandler, self).prepare()
        if concurrent.is_future(maybe_future):
            yield maybe_future
        if not self._finished and not self.application.ready_to_serve.is_set():
            self.set_header('Retry-After', '5')
            self.set_status(503, 'Not Ready')
            self.finish()

    def get(self):
        self.set_status(200)
        self.write(json.dumps({'status': 'ok'}))
"""  # (with the parenthesis that the document forgets at its end)


def test_health_check(example: Callable[..., Server]) -> None:
    class Application(web.Application):
        def __init__(self, names: dict[str, type[web.RequestHandler]]) -> None:
            super().__init__([("/status", names["StatusHandler"])])
            self.ready_to_serve = locks.Event()

    server = example(
        STATUS,
        web=web,
        gen=gen,
        concurrent=concurrent,
        json=json,
        application=Application,
    )
    application = server.http_server.request_callback
    answer = server.get("/status")
    assert (answer.status, answer.reason) == (503, "Not Ready")
    assert answer.header("Retry-After") == "5"
    server.call(application.ready_to_serve.set)
    answer = server.get("/status")
    assert (answer.status, answer.text) == (200, '{"status": "ok"}')
