"""A small FriendFeed: sign in with a nickname, post, see everybody's messages arrive live.

python examples/feed/feed.py --port=8888
"""

import argparse
from pathlib import Path

from handlers import (
    HomeHandler,
    LiveHandler,
    MessagesHandler,
    NotFoundHandler,
    OlderHandler,
    PictureHandler,
    SignInHandler,
    SignOutHandler,
)
from live import LiveFeed
from rules import BODY_BYTES
from storage import Storage
from typhoon.ioloop import IOLoop
from typhoon.web import Application

HERE = Path(__file__).resolve().parent


def make_app(storage: Storage, live: LiveFeed) -> Application:
    return Application(
        [
            (r"/", HomeHandler),
            (r"/signin", SignInHandler),
            (r"/signout", SignOutHandler),
            (r"/messages", MessagesHandler),
            (r"/messages/live", LiveHandler),
            (r"/messages/older", OlderHandler),
            (r"/pictures/(.*)", PictureHandler, {"path": str(storage.pictures)}),
        ],
        default_handler_class=NotFoundHandler,
        static_path=str(HERE / "static"),
        storage=storage,
        live=live,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="A small FriendFeed on Typhoon.")
    parser.add_argument("--port", type=int, default=8888, help="TCP port (default: 8888)")
    parser.add_argument("--address", default="", help="IP address (default: all of them)")
    parser.add_argument(
        "--data",
        type=Path,
        default=HERE / "data",
        metavar="DIR",
        help="folder for the database and the pictures (default: data, beside this program)",
    )
    options = parser.parse_args()

    storage = Storage(options.data)
    live = LiveFeed(storage.latest_id())
    app = make_app(storage, live)
    try:
        app.listen(options.port, options.address, max_body_size=BODY_BYTES)
        print(f"The feed is on http://localhost:{options.port}", flush=True)
        IOLoop.current().start()
    except KeyboardInterrupt:
        print("\nGoodbye.")
    finally:
        storage.close()


if __name__ == "__main__":
    main()
