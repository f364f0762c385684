"""What permessage-deflate works by, and how both sides agree upon it (RFC 7692 §7.1)."""

import re
from dataclasses import dataclass
from typing import Any, Self

from typhoon.websocket.errors import WebSocketError
from typhoon.websocket.handshake import TOKEN

EXTENSION = "permessage-deflate"
MAX_WINDOW_BITS = 15
DEFAULT_LEVEL = 6

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_BITS = ("server_max_window_bits", "client_max_window_bits")
_OPTIONS = ("compression_level", "mem_level")

OFFER = f"{EXTENSION}; client_max_window_bits"
"""What a client offers (RFC 7692 §7.1.2.2): the server may limit its window."""

Parameters = dict[str, str | None]

# A value in quotes is a token, too.
_PARAMETER = re.compile(rf'({TOKEN.pattern})(?:\s*=\s*(?:({TOKEN.pattern})|"({TOKEN.pattern})"))?')


@dataclass(frozen=True, slots=True)
class Deflate:
    """What has been agreed upon. Bits are the binary logarithm of a window's size in bytes."""

    server_keeps_context: bool = True
    client_keeps_context: bool = True
    server_bits: int = MAX_WINDOW_BITS
    client_bits: int = MAX_WINDOW_BITS

    @classmethod
    def accept(cls, header: str) -> "tuple[Self, str] | None":
        """What a server makes of a client's offers, and its answer; None if none of them will do.

        Args:
            header: The client's Sec-WebSocket-Extensions.

        Raises:
            ValueError: It is malformed.
        """
        for name, parameters in parse_extensions(header):
            if name == EXTENSION and parameters is not None:
                accepted = cls._accept(parameters)
                if accepted is not None:
                    return accepted
        return None

    @classmethod
    def _accept(cls, offer: Parameters) -> "tuple[Self, str] | None":
        try:
            flags, bits = _read(offer, may_lack_value=True)
        except ValueError:
            return None
        server_bits = bits.get("server_max_window_bits", MAX_WINDOW_BITS)
        if server_bits < 9:
            return None  # zlib cannot compress with so small a window
        answer = [EXTENSION, *(flag for flag in _FLAGS if flag in flags)]
        if "server_max_window_bits" in bits:
            answer.append(f"server_max_window_bits={server_bits}")
        agreed = cls(
            server_keeps_context="server_no_context_takeover" not in flags,
            client_keeps_context="client_no_context_takeover" not in flags,
            server_bits=server_bits,
            # What the client says of its own window is a hint; it may use all of it.
        )
        return agreed, "; ".join(answer)

    @classmethod
    def agreed(cls, header: str) -> "Self | None":
        """What a server's answer to `OFFER` says; None if it does not want compression.

        Args:
            header: The server's Sec-WebSocket-Extensions.

        Raises:
            WebSocketError: The server answers what has not been offered.
        """
        try:
            extensions = parse_extensions(header)
        except ValueError as error:
            raise WebSocketError(f"the server's extensions are malformed: {error}") from None
        if not extensions:
            return None
        name, parameters = extensions[0]
        if len(extensions) > 1 or name != EXTENSION or parameters is None:
            raise WebSocketError(f"the server answers with extensions not offered: {header!r}")
        try:
            flags, bits = _read(parameters, may_lack_value=False)
        except ValueError as error:
            raise WebSocketError(f"the server's {EXTENSION} is invalid: {error}") from None
        client_bits = bits.get("client_max_window_bits", MAX_WINDOW_BITS)
        if client_bits < 9:
            raise WebSocketError("the server wants a window of 2**8 bytes, which zlib has not")
        return cls(
            server_keeps_context="server_no_context_takeover" not in flags,
            client_keeps_context="client_no_context_takeover" not in flags,
            server_bits=bits.get("server_max_window_bits", MAX_WINDOW_BITS),
            client_bits=client_bits,
        )

    def settings(self, is_client: bool, options: dict[str, Any]) -> dict[str, Any]:
        """The settings of the native core, for one side of the connection."""
        server = (self.server_bits, self.server_keeps_context)
        client = (self.client_bits, self.client_keeps_context)
        inflate, deflate = (server, client) if is_client else (client, server)
        return {
            "level": options.get("compression_level", DEFAULT_LEVEL),
            "inflate_bits": inflate[0],
            "inflate_context": inflate[1],
            "deflate_bits": deflate[0],
            "deflate_context": deflate[1],
        }


def check_options(options: dict[str, Any]) -> None:
    """Raise `ValueError` if these are no compression options.

    `mem_level` is accepted for compatibility; the native core chooses by itself.
    """
    for name, value in options.items():
        if name not in _OPTIONS:
            raise ValueError(
                f"unknown compression option {name!r}: use {' and '.join(map(repr, _OPTIONS))}"
            )
        if not isinstance(value, int) or not 0 <= value <= 9:
            raise ValueError(f"the compression option {name!r} is 0 to 9, not {value!r}")


def _read(parameters: Parameters, may_lack_value: bool) -> tuple[set[str], dict[str, int]]:
    """The flags that are set, and the sizes of windows. `ValueError` for anything else."""
    flags: set[str] = set()
    bits: dict[str, int] = {}
    for name, value in parameters.items():
        if name in _FLAGS and value is None:
            flags.add(name)
        elif name == "client_max_window_bits" and value is None and may_lack_value:
            continue
        elif name in _BITS and value is not None and value in map(str, range(8, 16)):
            bits[name] = int(value)
        else:
            raise ValueError(f"{name}={value}" if value is not None else name)
    return flags, bits


def parse_extensions(header: str) -> list[tuple[str, Parameters | None]]:
    """The items of a Sec-WebSocket-Extensions header: names, and their parameters.

    None for parameters that repeat one another, which none may (RFC 7692 §7.1).

    Raises:
        ValueError: The header is malformed (RFC 6455 §9.1).
    """
    extensions: list[tuple[str, Parameters | None]] = []
    for item in header.split(","):
        name, *parts = (part.strip() for part in item.split(";"))
        if not name and not parts:
            continue  # lists may have empty items (RFC 9110 §5.6.1)
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an extension")
        parameters: Parameters | None = {}
        for part in parts:
            matched = _PARAMETER.fullmatch(part)
            if matched is None:
                raise ValueError(f"{part!r} is no parameter of an extension")
            key, value, quoted = matched.groups()
            if parameters is not None and key in parameters:
                parameters = None
            if parameters is not None:
                parameters[key] = value if quoted is None else quoted
        extensions.append((name, parameters))
    return extensions
