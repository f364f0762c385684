"""The settings of a connection."""

from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_SIZE = 10 * 1024 * 1024
"""Bytes of a message, decompressed, that are accepted by default."""


@dataclass(slots=True)
class WebSocketParams:
    """The settings of a connection.

    Attributes:
        ping_interval: Seconds between pings; None or 0 for no pings.
        ping_timeout: Seconds that the peer has to answer a ping; None for `ping_interval`, 0 for
            ever.
        max_message_size: Bytes of a message, decompressed, that are accepted.
        compression_options: Offer or accept compression, with `compression_level` (0 to 9) and
            `mem_level`; None for no compression.
    """

    ping_interval: float | None = None
    ping_timeout: float | None = None
    max_message_size: int = MAX_MESSAGE_SIZE
    compression_options: dict[str, Any] | None = None
