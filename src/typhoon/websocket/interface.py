"""What a version of the WebSocket protocol does for handlers."""

import abc
import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typhoon.iostream import IOStream
    from typhoon.websocket.handler import WebSocketHandler
    from typhoon.websocket.stream import TransportStream


class WebSocketProtocol(abc.ABC):
    """A version of the protocol.

    Attributes:
        handler: What gets the messages; None once the connection is over.
        stream: The connection below; None once it is gone.
        client_terminated: Whether the peer will send nothing more.
        server_terminated: Whether we will send nothing more.
    """

    __slots__ = ()

    handler: Any
    stream: "TransportStream | IOStream | None"
    client_terminated: bool
    server_terminated: bool

    @abc.abstractmethod
    def __init__(self, handler: object) -> None: ...

    @abc.abstractmethod
    def accept_connection(self, handler: "WebSocketHandler") -> None:
        """Answer the opening handshake that the handler's request is."""

    @abc.abstractmethod
    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> "asyncio.Future[None]":
        """Send a message."""

    @property
    @abc.abstractmethod
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that both sides have agreed upon."""

    @abc.abstractmethod
    def write_ping(self, data: bytes) -> None:
        """Send a ping."""

    @abc.abstractmethod
    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Begin the closing handshake."""

    @abc.abstractmethod
    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""

    @abc.abstractmethod
    def start_pinging(self) -> None:
        """Send pings from now on, if the settings say so."""

    @abc.abstractmethod
    def set_nodelay(self, x: bool) -> None:
        """Send small messages at once, or let the system wait for more (the default: at once)."""

    @abc.abstractmethod
    def on_connection_close(self) -> None:
        """The connection is gone."""
