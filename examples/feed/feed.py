"""A small FriendFeed: sign in with a nickname, post, see everybody's messages arrive live.

python examples/feed/feed.py --port=8888
"""

import argparse
import signal
import sys
from pathlib import Path

import modules
from handlers import (
    DownloadHandler,
    HomeHandler,
    LanguageHandler,
    LiveHandler,
    MessagesHandler,
    NewerHandler,
    NotFoundHandler,
    OlderHandler,
    PictureHandler,
    SignInHandler,
    SignOutHandler,
)
from live import LiveFeed
from rules import BODY_BYTES
from storage import Storage

from typhoon import locale
from typhoon.ioloop import IOLoop
from typhoon.web import Application

HERE = Path(__file__).resolve().parent


def make_app(storage: Storage, live: LiveFeed) -> Application:
    locale.load_translations(str(HERE / "translations"))
    return Application(
        [
            (r"/", HomeHandler),
            (r"/signin", SignInHandler),
            (r"/signout", SignOutHandler),
            (r"/language", LanguageHandler),
            (r"/messages", MessagesHandler),
            (r"/messages/live", LiveHandler),
            (r"/messages/newer", NewerHandler),
            (r"/messages/older", OlderHandler),
            (r"/feed.json", DownloadHandler),
            (r"/pictures/(.*)", PictureHandler, {"path": str(storage.pictures)}),
        ],
        default_handler_class=NotFoundHandler,
        static_path=str(HERE / "static"),
        template_path=str(HERE / "templates"),
        ui_modules=modules,
        compress_response=True,
        cookie_secret=storage.cookie_secret(),
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
        cross_origin_protection=True,
        # Pings keep proxies from closing connections while nobody posts.
        websocket_ping_interval=20,
        login_url="/signin",
        storage=storage,
        live=live,
    )


def serve(storage: Storage, port: int, address: str, behind_proxy: bool) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    loop = IOLoop.current()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.asyncio_loop.call_soon_threadsafe(loop.stop))
    app = make_app(storage, LiveFeed(storage.latest_id()))
    server = app.listen(port, address, max_body_size=BODY_BYTES, xheaders=behind_proxy)
    print(f"The feed is on http://localhost:{port}", flush=True)
    loop.start()
    print("\nGoodbye.")
    server.stop()
    loop.run_sync(server.close_all_connections)


def main() -> None:
    parser = argparse.ArgumentParser(description="A small FriendFeed on Typhoon.")
    parser.add_argument("--port", type=int, default=8888, help="TCP port (default: 8888)")
    parser.add_argument("--address", default="", help="IP address (default: all of them)")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="believe X-Real-IP and X-Forwarded-For"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=HERE / "data",
        metavar="DIR",
        help="folder for the database and the pictures (default: data, beside this program)",
    )
    options = parser.parse_args()

    try:
        storage = Storage(options.data)
        try:
            serve(storage, options.port, options.address, options.behind_proxy)
        finally:
            storage.close()
    except OSError as error:
        sys.exit(f"The feed stopped: {error}")


if __name__ == "__main__":
    main()
