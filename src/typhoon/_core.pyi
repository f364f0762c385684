"""The typed face of the native core (`rust/src/python`)."""

__version__: str

class RouteTable:
    """Tells which rules of an ordered list can match a path, by the literal text of their patterns."""

    def __init__(self, literals: list[tuple[str, bool]], /) -> None:
        """Index rules by (the literal text the pattern starts with, whether it is all of it)."""

    def candidates(self, path: str, /) -> tuple[int, ...]:
        """The indices of the rules that can match this path, in ascending order."""

def xhtml_escape(value: str | bytes) -> str:
    """Escape a string so that it is valid within HTML or XML, also between quotes.

    Replaces ``&``, ``<``, ``>``, ``"`` and ``'``. Bytes are decoded as UTF-8. The result is
    always a str: the argument itself if there is nothing to escape in it. Does the same as
    `html.escape` for a str.
    """

def unquote_to_bytes(value: str | bytes, plus: bool) -> bytes:
    """Decode ``%XX`` (RFC 3986, section 2.1), and ``+`` as a space if `plus` is true.

    A str is encoded as UTF-8 first. A ``%`` that no two hexadecimal digits follow is kept.
    """

def parse_urlencoded(
    data: str | bytes | bytearray,
    max_fields: int | None,
    keep_blank_values: bool = True,
    strict_parsing: bool = False,
) -> dict[str, list[bytes]]:
    """Parse a query string or an ``application/x-www-form-urlencoded`` body.

    Names are decoded from percent-encoding and as ISO 8859-1, values from percent-encoding only.
    A str stands for its ISO 8859-1 bytes.

    Raises `ValueError` if there are more than `max_fields` fields (None for no limit), and with
    `strict_parsing` if one is empty or has no ``=``.
    """

def parse_multipart(
    boundary: bytes, data: bytes | bytearray, max_parts: int, max_part_header_size: int
) -> list[tuple[str, str | None, str | None, bytes]]:
    """Parse a ``multipart/form-data`` body (RFC 7578) into name, file name, content type and body.

    A name is never empty. A file name is None if there is none and empty if no file was chosen;
    it is what the client says and may look like a path. A content type is None if there is none.
    Quotes around `boundary` are taken off.

    Raises `ValueError` for a malformed body, more than `max_parts` parts, or more than
    `max_part_header_size` bytes of header fields in one of them.
    """
