"""The smallest Typhoon application: `python examples/hello.py`, then http://localhost:8888."""

from typhoon.ioloop import IOLoop
from typhoon.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self) -> None:
        self.write("Hello, world")


if __name__ == "__main__":
    app = Application([(r"/", MainHandler)])
    app.listen(8888)
    try:
        IOLoop.current().start()
    except KeyboardInterrupt:
        pass
