"""The typed face of the native core (`rust/src/python`)."""

import asyncio
import datetime
import re
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from typing import Any, Generic, Protocol, Self, TypeVar

_T = TypeVar("_T")

__version__: str

class RouteTable:
    """The rules of a router, indexed by the literal text of their patterns."""

    def __init__(
        self,
        literals: list[tuple[str, bool]],
        rules: list[tuple[Any, re.Pattern[str] | None, Callable[..., Any]]] = ...,
    ) -> None:
        """`literals` are (the literal text a pattern starts with, whether it is all of it), and
        `rules` are (rule, pattern or None, function of the request that matches else)."""

    def candidates(self, path: str, /) -> tuple[int, ...]:
        """The indices of the rules that can match this path, in ascending order."""

    def find(self, request: HTTPServerRequest, /) -> tuple[Any, dict[str, Any]] | None:
        """The first rule that accepts the request and what its matcher found, or None."""

def match_path(regex: re.Pattern[str], path: str, by_name: bool, /) -> dict[str, Any] | None:
    """What a pattern's groups matched in a path, unescaped; None if it does not match."""

def json_encode(value: object, /) -> str | None:
    """The value as JSON, or None if it takes the standard library's encoder."""

def xhtml_escape(value: str | bytes) -> str:
    """Escape a string so that it is valid within HTML or XML, also between quotes.

    Replaces ``&``, ``<``, ``>``, ``"`` and ``'``. Bytes are decoded as UTF-8. The result is
    always a str: the argument itself if there is nothing to escape in it. Does the same as
    `html.escape` for a str.
    """

def template_output(
    expected: int, escape: Callable[[bytes], str | bytes] | None, /
) -> tuple[Callable[..., None], Callable[..., None], Callable[[], bytes]]:
    """The functions ``(emit, raw, finish)`` that one rendering of a template writes with.

    ``emit(constant, value, constant, value, ...)`` appends the constants as they are and the
    values escaped: a str or bytes (in UTF-8), and anything else as `str` has it. ``raw`` takes the
    same arguments and escapes nothing. ``finish()`` returns all of it.

    `expected` is the length of the output, about, in bytes. `escape` escapes the values instead of
    `xhtml_escape`, unless it is None.
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
    boundary: bytes,
    data: bytes | bytearray | HTTPServerRequest,
    max_parts: int,
    max_part_header_size: int,
) -> list[tuple[str, str | None, str | None, bytes]]:
    """Parse a ``multipart/form-data`` body (RFC 7578) into name, file name, content type and body.

    A name is never empty. A file name is None if there is none and empty if no file was chosen;
    it is what the client says and may look like a path. A content type is None if there is none.
    Quotes around `boundary` are taken off.

    Raises `ValueError` for a malformed body, more than `max_parts` parts, or more than
    `max_part_header_size` bytes of header fields in one of them.
    """

class HTTPInputError(ValueError):
    """A message from the network, or a part of one, is malformed."""

class HTTPOutputError(Exception):
    """The application tried to send a malformed message."""

class HTTPHeaders(MutableMapping[str, str]):
    """Header fields: an ordered mapping with case-insensitive names and many values per name.

    Values are set as str, or as the bytes that go over the wire; they are read as str.
    """

    def __init__(self, *args: Any, **kwargs: str | bytes) -> None: ...
    def add(self, name: str, value: str | bytes, *, _chars_are_bytes: bool = True) -> None: ...
    def get_list(self, name: str) -> list[str]: ...
    def get_all(self) -> Iterator[tuple[str, str]]: ...
    def parse_line(self, line: str, *, _chars_are_bytes: bool = True) -> None: ...
    @classmethod
    def parse(cls, headers: str, *, _chars_are_bytes: bool = True) -> Self: ...
    def __getitem__(self, name: str) -> str: ...
    def __setitem__(self, name: str, value: str | bytes) -> None: ...
    def __delitem__(self, name: str) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def setdefault(self, name: str, default: str | bytes) -> str: ...
    def copy(self) -> Self: ...
    def __copy__(self) -> Self: ...

def set_default_headers(fields: list[tuple[str, str]], /) -> None:
    """Set the headers that every response begins with, as (name, value) pairs."""

class HTTPServerRequest:
    """A single HTTP request. Attributes are decoded when they are first read, and can be set."""

    method: str
    uri: str
    path: str
    query: str
    version: str
    headers: HTTPHeaders
    body: bytes
    host: str
    host_name: str
    remote_ip: str
    protocol: str
    arguments: dict[str, list[bytes]]
    query_arguments: dict[str, list[bytes]]
    body_arguments: dict[str, list[bytes]]
    files: dict[str, list[Any]]
    cookies: Any
    connection: Any
    server_connection: Any
    _start_time: float
    _body_future: asyncio.Future[None]

    def __init__(
        self,
        method: str | None = None,
        uri: str | None = None,
        version: str = "HTTP/1.0",
        headers: HTTPHeaders | None = None,
        body: bytes | None = None,
        host: str | None = None,
        files: dict[str, list[Any]] | None = None,
        connection: Any = None,
        start_line: Any = None,
        server_connection: object = None,
    ) -> None: ...
    def full_url(self) -> str: ...
    def request_time(self) -> float: ...
    def get_ssl_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None: ...
    def _parse_body(self) -> None: ...
    def _header(self, name: str) -> str | None: ...
    @property
    def _has_body(self) -> bool: ...

def set_request_parsers(
    query: Callable[[str], dict[str, list[bytes]]],
    body: Callable[[HTTPServerRequest], tuple[dict[str, list[bytes]], dict[str, list[Any]]]],
    cookies: Callable[[HTTPHeaders], Any],
) -> None:
    """Give the functions that decode what is above the core. Called once, by `httputil`."""

class ServerSettings:
    """What all connections of a server share."""

    def __init__(
        self,
        *,
        on_request: Callable[[HTTPServerRequest], Any] | None,
        on_head: Callable[[HTTPServerRequest], Any] | None = None,
        every_head: bool = False,
        chunk_size: int,
        max_header_size: int,
        max_body_size: int,
        header_timeout: float,
        body_timeout: float | None = None,
        idle_timeout: float,
        keep_alive: bool = True,
    ) -> None: ...

class ServerConnection(asyncio.Protocol):
    """The asyncio protocol that drives the HTTP/1.1 core for one connection."""

    transport: Any
    is_busy: bool
    max_body_size: int

    def __new__(cls, settings: ServerSettings) -> Self: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None = None) -> None: ...
    def respond(
        self, status: int, reason: str, headers: HTTPHeaders, chunks: list[bytes]
    ) -> None: ...
    def send_head(
        self, status: int, reason: str, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> None: ...
    def send_data(self, chunk: bytes) -> None: ...
    def send_end(self) -> None: ...
    def reject(self, status: int, message: str) -> None: ...
    def set_close_callback(self, callback: Callable[[], None] | None) -> None: ...
    def set_max_body_size(self, max_body_size: int) -> None: ...
    def set_body_timeout(self, timeout: float) -> None: ...
    def close_after_response(self) -> None: ...
    def _pump(self) -> None: ...
    def _set_held(self, held: bool) -> None: ...
    def _set_choked(self, choked: bool) -> None: ...
    def _expire(self) -> float | None: ...
    def _failed(self, error: BaseException) -> None: ...
    def _detach(self) -> bytes: ...
    def _data_elsewhere(self, length: int) -> bool: ...
    def _send_raw(self, data: bytes) -> None: ...

class ExchangeError(Exception):
    """A response did not come, or not whole: its kind, a message, and the network's error.

    The kinds are ``closed``, ``truncated``, ``malformed``, ``header_too_large`` and
    ``body_too_large``.
    """

    args: tuple[str, str, BaseException | None]

class Waiter(Protocol):
    """What a connection tells of the end of an exchange, once: an `asyncio.Future`, for example."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, error: Any, /) -> None: ...

class ClientConnection:
    """The asyncio protocol that drives the HTTP/1.1 core for one connection to a server."""

    transport: Any
    is_reusable: bool
    """Whether another request may be sent: it is open, its last exchange is complete, neither side
    has asked to close, and nothing has come that nobody asked for."""
    exchanges: int
    """How many responses have come whole."""
    received: int
    """How far the last response has come: 0 nothing of it, 1 a part of its head, 2 the head."""
    keep_alive_timeout: int | None
    """Seconds for which the server keeps an idle connection, if it has said so."""
    on_idle_close: Callable[[], object] | None
    """Called once when the connection is closed, or spoiled, while no exchange runs."""
    _is_choked: bool

    def __new__(cls, *, max_header_size: int, max_body_size: int) -> Self: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    @staticmethod
    def get_buffer(hint: int) -> memoryview: ...
    def buffer_updated(self, count: int) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None = None) -> None: ...
    def send_request(
        self,
        method: str,
        target: str,
        headers: HTTPHeaders,
        body: bytes | None,
        waiter: Waiter,
        delegate: object = None,
        streams: bool = False,
        has_more: bool = False,
    ) -> None: ...
    def send_data(self, chunk: bytes) -> None: ...
    def send_end(self) -> None: ...
    def has_input(self) -> bool:
        """Whether something has come, or the end, that the event loop has not seen."""

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def _set_held(self, held: bool) -> None: ...
    def _fail(self, error: BaseException) -> None: ...

class HTTP1Head:
    """The head of a message that has come in."""

    start_line: tuple[Any, Any, Any]
    """Method, target and version of a request; version, status code and reason of a response."""
    headers: HTTPHeaders
    is_informational: bool
    has_body: bool
    keep_alive: bool
    expects_continue: bool

class HTTP1End:
    """The end of a message that has come in."""

    trailers: HTTPHeaders | None

class HTTP1Codec:
    """One HTTP/1.1 connection without its socket: bytes in, events out, and back."""

    error: tuple[int, str] | None
    """Status code and message of what was wrong with the input."""
    has_unread: bool
    keep_alive: bool
    expects_head: bool
    is_sending: bool

    def __init__(self, *, is_client: bool, max_header_size: int, max_body_size: int) -> None: ...
    def receive(self, data: bytes) -> None: ...
    def next_event(self, size: int) -> HTTP1Head | HTTP1End | bytes | None: ...
    def receive_eof(self) -> HTTP1End | None: ...
    def next_message(self) -> None: ...
    def take_unread(self) -> bytes: ...
    def set_max_body_size(self, max_body_size: int) -> None: ...
    def send_response(
        self, status: int, reason: str, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> bytes: ...
    def send_request(
        self, method: str, target: str, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> bytes: ...
    def send_data(self, chunk: bytes) -> bytes: ...
    def send_end(self) -> bytes: ...
    def answer_malformed(self) -> None: ...
    def close_after(self) -> None: ...

class WebSocketError(Exception):
    """Something is wrong with a WebSocket connection."""

class WebSocketClosedError(WebSocketError):
    """Something was to be sent on a WebSocket connection that is closed or about to be closed."""

def websocket_broadcast(connections: Iterable[object], message: str | bytes, binary: bool) -> int:
    """Send a message to each of these connections that is open. How many it was sent to."""

class WebSocketConnection:
    """The asyncio protocol that drives the WebSocket core for one connection."""

    handler: Any
    transport: Any
    client_terminated: bool
    server_terminated: bool
    _is_choked: bool
    _is_dropped: bool

    def __new__(
        cls,
        handler: object,
        *,
        is_client: bool,
        max_message_size: int,
        done: asyncio.Future[None],
        max_write_buffer: int | None = None,
        skips: bool = False,
    ) -> Self: ...
    @property
    def close_code(self) -> int | None: ...
    @property
    def close_reason(self) -> str | None: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None = None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> asyncio.Future[None]: ...
    def is_closing(self) -> bool: ...
    def _compress(
        self,
        *,
        level: int,
        inflate_bits: int,
        inflate_context: bool,
        deflate_bits: int,
        deflate_context: bool,
    ) -> None: ...
    def _send_control(self, opcode: int, data: bytes) -> asyncio.Future[None]: ...
    def _send_close(self, code: int | None, reason: str) -> bool: ...
    def _fail(self, code: int, reason: str) -> None: ...
    def _flush(self) -> None: ...
    def _deafen(self) -> None: ...
    def _pump(self) -> None: ...
    def _set_held(self, held: bool) -> None: ...
    def _was_active(self) -> bool: ...
    def _forget(self) -> None: ...

class Responder:
    """Makes a response, and runs a handler. The base of `typhoon.web.RequestHandler`."""

    application: Any
    request: HTTPServerRequest
    path_args: list[str | None]
    path_kwargs: dict[str, str | None]
    _headers: HTTPHeaders
    _write_buffer: list[bytes]
    _status_code: int
    _reason: str
    _transforms: Any
    _new_cookies: Any
    _headers_written: bool
    _finished: bool
    _auto_finish: bool

    def __init__(self, application: Any, request: HTTPServerRequest, **kwargs: Any) -> None: ...
    def prepare(self) -> Awaitable[None] | None: ...
    def on_finish(self) -> None: ...
    def clear(self) -> None: ...
    def write(self, chunk: str | bytes | dict[Any, Any]) -> None: ...
    def finish(self, chunk: str | bytes | dict[Any, Any] | None = None) -> asyncio.Future[None]: ...
    def compute_etag(self) -> str | None: ...
    def set_etag_header(self) -> None: ...
    def check_etag_header(self) -> bool: ...
    def _run(
        self, path_args: Sequence[bytes | None], path_kwargs: dict[str, bytes | None], /
    ) -> None: ...
    def _begin(
        self, path_args: Sequence[bytes | None], path_kwargs: dict[str, Any], /
    ) -> Coroutine[Any, Any, None] | None: ...
    def _call_method(self) -> Awaitable[None] | None: ...
    def _log(self) -> None: ...

def set_handler_class(handler_class: type[Responder], /) -> None:
    """Say which class the hooks belong to, before any of them has been replaced."""

class Dispatcher:
    """Finds the handler class for a request in an `Application`, and runs a handler."""

    def __init__(self, application: Any, /) -> None: ...
    def find(self, request: HTTPServerRequest, /) -> tuple[Any, dict[str, Any]] | None:
        """The rule for this request and what it found; None if routers have to be asked."""

    def __call__(self, request: HTTPServerRequest, /) -> None:
        """Let the right handler answer a complete request."""

def class_version(class_: type, /) -> int:
    """A number that changes whenever the class or one of its bases does. 0 if there is none."""

DONE: Awaitable[None]
"""What a handler's method returns that is done already, but whose callers may await it."""

class Runner:
    """Drives a generator whose coroutine had to wait. `typhoon.gen.coroutine` makes it.

    The attributes other than `running` and `finished` are None once the generator has ended.
    """

    ctx_run: Callable[..., Any] | None
    gen: Generator[Any, Any, Any] | None
    result_future: asyncio.Future[Any] | None
    future: Any
    io_loop: asyncio.AbstractEventLoop | None
    running: bool
    finished: bool
    at_end: Callable[[], None] | None

    def __init__(
        self,
        ctx_run: Callable[..., Any],
        gen: Generator[Any, Any, Any],
        result_future: asyncio.Future[Any],
        first_yielded: Any,
    ) -> None: ...
    def __call__(self, *_future: Any) -> None: ...
    def run(self) -> None:
        """Go on if what it waits for is done."""

    def handle_yield(self, yielded: Any) -> bool:
        """Wait for `yielded`. True if it is done already: then `run` goes on."""

    def handle_exception(self, typ: Any, value: BaseException, tb: Any) -> bool:
        """Throw an exception into the generator where it waits. False if it runs or has ended."""

def run_coroutine(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], /
) -> asyncio.Future[Any]:
    """Call a function that may be a generator function, and return the future of its result."""

class QueueEmpty(Exception):
    """`Queue.get_nowait` was called on a queue without items."""

class QueueFull(Exception):
    """`Queue.put_nowait` was called on a queue that has as many items as it may."""

class QueueBase(Generic[_T]):
    """What `typhoon.queues.Queue` does for each item."""

    _queue: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def _set_limit(self, limit: int) -> None: ...
    def _counts(self) -> tuple[int, int, int]: ...
    def qsize(self) -> int:
        """How many items there are."""

    def empty(self) -> bool:
        """Whether there are no items."""

    def full(self) -> bool:
        """Whether `put` would wait."""

    def put(
        self, item: _T, timeout: float | datetime.timedelta | None = None
    ) -> asyncio.Future[None]:
        """Put `item` into the queue: at once, or when there is room.

        Returns a future that is done when the item is in the queue. After `timeout` it raises
        `TimeoutError`, and the item is left out.
        """

    def put_nowait(self, item: _T) -> None:
        """Put `item` into the queue at once.

        Raises:
            QueueFull: There is no room.
        """

    def get(self, timeout: float | datetime.timedelta | None = None) -> asyncio.Future[_T]:
        """Take an item: at once, or when there is one.

        Returns a future of the item. After `timeout` it raises `TimeoutError`.
        """

    def get_nowait(self) -> _T:
        """Take an item at once.

        Raises:
            QueueEmpty: There is none.
        """

    def task_done(self) -> None:
        """Say that the work on an item taken from the queue is done.

        Raises:
            ValueError: It was called more often than items were put in.
        """

    def join(self, timeout: float | datetime.timedelta | None = None) -> asyncio.Future[None]:
        """A future that is done when `task_done` was called for each item that was put in.

        After `timeout` it raises `TimeoutError`.
        """
