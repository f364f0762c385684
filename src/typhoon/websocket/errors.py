"""What goes wrong with WebSockets."""

from typhoon._core import WebSocketClosedError, WebSocketError

__all__ = ["WebSocketClosedError", "WebSocketError"]
