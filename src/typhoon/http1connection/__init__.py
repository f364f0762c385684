"""HTTP/1.1 over an `typhoon.iostream.IOStream`, as client or server.

Most programs use `typhoon.httpclient` and `typhoon.httpserver` and never see it. Otherwise:

    stream = await TCPClient().connect("example.com", 80)
    connection = HTTP1Connection(stream, is_client=True)
    connection.write_headers(RequestStartLine("GET", "/", ""), HTTPHeaders({"Host": "example.com"}))
    connection.finish()
    await connection.read_response(delegate)

`delegate` is an `typhoon.httputil.HTTPMessageDelegate`, which is told of the response's parts.
"""

from typhoon.http1connection.connection import HTTP1Connection
from typhoon.http1connection.numerals import (
    CR_OR_LF_RE,
    DIGITS,
    HEXDIGITS,
    is_transfer_encoding_chunked,
    parse_hex_int,
    parse_int,
)
from typhoon.http1connection.parameters import HTTP1ConnectionParameters
from typhoon.http1connection.serving import HTTP1ServerConnection

__all__ = [
    "CR_OR_LF_RE",
    "DIGITS",
    "HEXDIGITS",
    "HTTP1Connection",
    "HTTP1ConnectionParameters",
    "HTTP1ServerConnection",
    "is_transfer_encoding_chunked",
    "parse_hex_int",
    "parse_int",
]
