"""One message to many connections."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from typhoon import _core
from typhoon.escape import json_encode

if TYPE_CHECKING:
    from typhoon.websocket.client import WebSocketClientConnection
    from typhoon.websocket.handler import WebSocketHandler


def broadcast(
    connections: "Iterable[WebSocketHandler | WebSocketClientConnection]",
    message: str | bytes | dict[str, Any],
    binary: bool = False,
) -> int:
    """Send a message to many clients: made ready once, and sent natively.

        class Chat(WebSocketHandler):
            clients = set()

            def open(self):
                self.clients.add(self)

            def on_message(self, message):
                broadcast(self.clients, message)

            def on_close(self):
                self.clients.discard(self)

    It never waits. Clients whose connection is closed, or about to be, are left out, and nothing
    that goes wrong with one keeps the message from another. What becomes of those that read too
    slowly is said by the handler's `slow_client_policy`. The handlers' `write_message` is not
    called.

    If the clients have agreed to compression, the message is compressed once, too: it then stands
    for itself and does not refer to earlier ones, as RFC 7692 (§7.1.1) allows, and so it can be
    sent to all of them. What a connection has sent before is forgotten for the next message of its
    own. Short messages that are much like one another get smaller with `write_message`, which
    takes time and memory for each connection.

    Args:
        connections: The handlers, as a set or a list for instance; iterated over once, before
            anything is sent.
        message: A str; bytes; or a dict, which is sent as JSON.
        binary: Whether the clients shall get bytes. Bytes that are sent without it have to be
            UTF-8, and arrive as a text.

    Returns:
        How many clients it was sent to, though it may be on its way yet.

    Raises:
        TypeError: That is no message, or there is something else among the connections. Nothing
            has been sent then.
        ValueError: Bytes that are sent as a text are not UTF-8.
        RuntimeError: This is not the thread of the event loop: there, use
            `loop.call_soon_threadsafe(broadcast, connections, message)`.
    """
    if isinstance(message, dict):
        message = json_encode(message)
    return _core.websocket_broadcast(connections, message, binary)
