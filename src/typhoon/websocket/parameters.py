"""The settings of a connection."""

from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_SIZE = 10 * 1024 * 1024
"""Bytes of a message, decompressed, that are accepted by default."""

MAX_WRITE_BUFFER = 4 * 1024 * 1024
"""Bytes that wait by default for a client that reads slowly."""

SLOW_CLIENT_POLICIES = ("close", "skip")
"""What can be done with a client that reads too slowly: the first is the default."""


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
        max_write_buffer: Bytes that may wait for a peer that reads slowly; None for any number.
        slow_client_policy: What becomes of messages over it: "close" the connection or "skip" them.
    """

    ping_interval: float | None = None
    ping_timeout: float | None = None
    max_message_size: int = MAX_MESSAGE_SIZE
    compression_options: dict[str, Any] | None = None
    max_write_buffer: int | None = None
    slow_client_policy: str = SLOW_CLIENT_POLICIES[0]

    def __post_init__(self) -> None:
        if self.slow_client_policy not in SLOW_CLIENT_POLICIES:
            known = " or ".join(map(repr, SLOW_CLIENT_POLICIES))
            raise ValueError(f"slow_client_policy is {known}, not {self.slow_client_policy!r}")
