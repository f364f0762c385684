"""Streams over non-blocking sockets and pipes: reading and writing by bytes, lines and patterns.

.. code-block:: python

    async def hello(host: str, port: int) -> bytes:
        stream = IOStream(socket.socket())
        await stream.connect((host, port))
        await stream.write(b"hello\\n")
        answer = await stream.read_until(b"\\n", max_bytes=1024)
        stream.close()
        return answer
"""

import doctest
import unittest

from typhoon.iostream.base import BaseIOStream
from typhoon.iostream.errors import (
    StreamBufferFullError,
    StreamClosedError,
    UnsatisfiableReadError,
)
from typhoon.iostream.pipes import PipeIOStream
from typhoon.iostream.sockets import IOStream, SSLIOStream

__all__ = [
    "BaseIOStream",
    "IOStream",
    "PipeIOStream",
    "SSLIOStream",
    "StreamBufferFullError",
    "StreamClosedError",
    "UnsatisfiableReadError",
]


def doctests() -> unittest.TestSuite:
    """The examples in this package's docstrings as a test suite."""
    return doctest.DocTestSuite(__name__)
