"""Streams over non-blocking sockets, and what goes wrong with them."""

from typhoon.iostream.errors import StreamClosedError

__all__ = ["StreamClosedError"]
