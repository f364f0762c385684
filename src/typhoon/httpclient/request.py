"""What is asked of an HTTP client."""

import datetime
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from typhoon.escape import utf8
from typhoon.httputil import HTTPHeaders, format_timestamp

BodyProducer = Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None] | None]


class HTTPRequest:
    """A request for an HTTP client.

    Every argument becomes an attribute. Those that are None take their value from the client's
    ``defaults``, and else from the defaults given here.

    Args:
        url: The URL to fetch.
        method: The method, in capitals.
        headers: More headers: an `.HTTPHeaders`, or a dictionary. Values are str, or the bytes
            that go over the wire.
        body: The body, as bytes or as a str, which is sent in UTF-8.
        auth_username: The user name to authenticate with.
        auth_password: The password.
        auth_mode: The kind of authentication: ``"basic"``, which is the default, or ``"digest"``.
            For a digest the server is asked first, and the request sent again with its body.
        connect_timeout: Seconds for a connection to be made (name, socket, proxy, TLS), 20 by
            default; also for the wait in the client's queue. 0 for no limit.
        request_timeout: Seconds for all of the request, from when it leaves the queue, with its
            redirects and its body; 20 by default, 0 for no limit.
        if_modified_since: Sent as If-Modified-Since: a `datetime.datetime`, or seconds since the
            epoch (RFC 9110 §13.1.3).
        follow_redirects: Whether redirects are followed; by default they are.
        max_redirects: How many redirects are followed, 5 by default; the next one is the response.
        user_agent: Sent as User-Agent; ``Typhoon/`` and the version by default.
        decompress_response: Whether to ask for a compressed response and to decompress it; by
            default that is done.
        use_gzip: An older name of `decompress_response`.
        network_interface: The interface, or the IP address, to send the request from.
        streaming_callback: Called with each piece of the response's body, decompressed, which the
            response then lacks. A coroutine function holds up the next piece while it runs.
        header_callback: Called with each line of the response's head: the status line, the
            headers, and an empty line, each with its line end.
        prepare_curl_callback: Called with the ``pycurl.Curl`` object, for options of one's own.
            Only for the curl client.
        proxy_host: The proxy to use: a name or an address, or one of them behind ``https://`` for
            TLS with the proxy.
        proxy_port: The port of the proxy; needed with `proxy_host`.
        proxy_username: The user name for the proxy.
        proxy_password: The password for the proxy.
        proxy_auth_mode: The kind of authentication with the proxy: ``"basic"``, which is the
            default, or ``"digest"``.
        allow_nonstandard_methods: Whether other methods than the usual ones may be sent, and
            bodies, or none, where the method has it otherwise; by default not.
        validate_cert: Whether the server's certificate is checked; by default it is.
        ca_certs: The file of the authorities to trust, in PEM; the system's by default.
        allow_ipv6: Whether IPv6 is used; by default it is.
        client_key: The file of the client certificate's key, if it is another.
        client_cert: The file of the client certificate, in PEM.
        body_producer: Sends the body piece by piece, in place of `body`: a function, or coroutine
            function, that is called with a function ``write``, which returns an awaitable. The
            body is chunked unless the headers have a Content-Length. It is called again where the
            request has to be sent again: after a redirect that keeps the method, and for a digest.
        expect_100_continue: Whether to send Expect, and the body only when the server wants it, or
            says nothing for a second (RFC 9110 §10.1.1).
        ssl_options: An `ssl.SSLContext`, or a dictionary as for `.ssl_options_to_context`, in
            place of `validate_cert`, `ca_certs`, `client_key` and `client_cert`. Not every client
            can.

    Attributes:
        start_time: When the request was made, in seconds since the epoch.
        unix_socket: The path of a UNIX domain socket to connect to in place of the host and port
            of the URL, which still says what the Host header is and whether TLS is used:
            ``fetch("http://localhost/info", unix_socket="/run/docker.sock")``. No argument here,
            since Tornado's requests do not have it, but one of `AsyncHTTPClient.fetch`.
    """

    _DEFAULTS: Final[dict[str, Any]] = {
        "connect_timeout": 20.0,
        "request_timeout": 20.0,
        "follow_redirects": True,
        "max_redirects": 5,
        "decompress_response": True,
        "proxy_password": "",
        "allow_nonstandard_methods": False,
        "validate_cert": True,
    }

    _headers: HTTPHeaders | None = None
    _body: bytes | None = None
    auth_username: str | None = None
    auth_password: str | None = None
    auth_mode: str | None = None
    network_interface: str | None = None
    prepare_curl_callback: Callable[[Any], None] | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None
    proxy_username: str | None = None
    proxy_password: str | None = None
    proxy_auth_mode: str | None = None
    ca_certs: str | None = None
    client_key: str | None = None
    client_cert: str | None = None
    ssl_options: dict[str, Any] | ssl.SSLContext | None = None
    unix_socket: str | None = None
    connect_timeout: float | None = None
    request_timeout: float | None = None
    follow_redirects: bool | None = None
    max_redirects: int | None = None
    user_agent: str | None = None
    streaming_callback: Callable[[bytes], Awaitable[None] | None] | None = None
    header_callback: Callable[[str], None] | None = None
    allow_nonstandard_methods: bool | None = None
    validate_cert: bool | None = None
    allow_ipv6: bool | None = None
    body_producer: BodyProducer | None = None
    expect_100_continue: bool = False
    decompress_response: bool | None = None
    _original: "HTTPRequest | None" = None
    """The application's request, of which this is the client's copy."""

    def __init__(
        self,
        url: str,
        method: str = "GET",
        headers: HTTPHeaders | dict[str, str] | None = None,
        body: bytes | str | None = None,
        auth_username: str | None = None,
        auth_password: str | None = None,
        auth_mode: str | None = None,
        connect_timeout: float | None = None,
        request_timeout: float | None = None,
        if_modified_since: float | datetime.datetime | None = None,
        follow_redirects: bool | None = None,
        max_redirects: int | None = None,
        user_agent: str | None = None,
        use_gzip: bool | None = None,
        network_interface: str | None = None,
        streaming_callback: Callable[[bytes], Awaitable[None] | None] | None = None,
        header_callback: Callable[[str], None] | None = None,
        prepare_curl_callback: Callable[[Any], None] | None = None,
        proxy_host: str | None = None,
        proxy_port: int | None = None,
        proxy_username: str | None = None,
        proxy_password: str | None = None,
        proxy_auth_mode: str | None = None,
        allow_nonstandard_methods: bool | None = None,
        validate_cert: bool | None = None,
        ca_certs: str | None = None,
        allow_ipv6: bool | None = None,
        client_key: str | None = None,
        client_cert: str | None = None,
        body_producer: BodyProducer | None = None,
        expect_100_continue: bool = False,
        decompress_response: bool | None = None,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self.method = method
        if headers is not None:
            self.headers = headers
        if body is not None:
            self.body = body
        self.start_time = time.time()
        # An object with few attributes is made, and copied, much faster.
        if connect_timeout is not None:
            self.connect_timeout = connect_timeout
        if request_timeout is not None:
            self.request_timeout = request_timeout
        if follow_redirects is not None:
            self.follow_redirects = follow_redirects
        if max_redirects is not None:
            self.max_redirects = max_redirects
        if user_agent is not None:
            self.user_agent = user_agent
        if streaming_callback is not None:
            self.streaming_callback = streaming_callback
        if header_callback is not None:
            self.header_callback = header_callback
        if allow_nonstandard_methods is not None:
            self.allow_nonstandard_methods = allow_nonstandard_methods
        if validate_cert is not None:
            self.validate_cert = validate_cert
        if allow_ipv6 is not None:
            self.allow_ipv6 = allow_ipv6
        if body_producer is not None:
            self.body_producer = body_producer
        if expect_100_continue:
            self.expect_100_continue = True
        if decompress_response is None:
            decompress_response = use_gzip
        if decompress_response is not None:
            self.decompress_response = decompress_response
        if auth_username is not None:
            self.auth_username = auth_username
        if auth_password is not None:
            self.auth_password = auth_password
        if auth_mode is not None:
            self.auth_mode = auth_mode
        if network_interface is not None:
            self.network_interface = network_interface
        if prepare_curl_callback is not None:
            self.prepare_curl_callback = prepare_curl_callback
        if proxy_host is not None:
            self.proxy_host = proxy_host
        if proxy_port is not None:
            self.proxy_port = proxy_port
        if proxy_username is not None:
            self.proxy_username = proxy_username
        if proxy_password is not None:
            self.proxy_password = proxy_password
        if proxy_auth_mode is not None:
            self.proxy_auth_mode = proxy_auth_mode
        if ca_certs is not None:
            self.ca_certs = ca_certs
        if client_key is not None:
            self.client_key = client_key
        if client_cert is not None:
            self.client_cert = client_cert
        if ssl_options is not None:
            self.ssl_options = ssl_options
        if if_modified_since is not None:
            self._headers = HTTPHeaders(self._headers)  # leave the caller's as they are
            self._headers["If-Modified-Since"] = format_timestamp(if_modified_since)

    @property
    def headers(self) -> HTTPHeaders:
        """The headers, as they were given; an `.HTTPHeaders` if they were not."""
        if self._headers is None:
            self._headers = HTTPHeaders()
        return self._headers

    @headers.setter
    def headers(self, value: HTTPHeaders | dict[str, str] | None) -> None:
        self._headers = value  # type: ignore[assignment]

    @property
    def body(self) -> bytes | None:
        """The body as bytes; it may be set to a str."""
        return self._body

    @body.setter
    def body(self, value: bytes | str | None) -> None:
        self._body = utf8(value)

    def _with_defaults(self, defaults: dict[str, Any]) -> "HTTPRequest":
        """A copy for a client to work with, headers included, in which defaults are filled in."""
        request: HTTPRequest = object.__new__(type(self))
        request.__dict__.update(self.__dict__)
        request._original = self._original or self
        if self._headers is not None:
            request._headers = HTTPHeaders(self._headers)
        request._fill_in(defaults)
        return request

    def _complete(self, defaults: dict[str, Any]) -> None:
        """Fill in the defaults: what `_with_defaults` does, for a new request of the client's."""
        if defaults.keys() <= _OPTIONAL:
            self.__dict__ = {**defaults, **self.__dict__}  # where nothing is None
        else:
            self._fill_in(defaults)
        if self._headers is not None:
            self._headers = HTTPHeaders(self._headers)

    def _fill_in(self, defaults: dict[str, Any]) -> None:
        """Take defaults for what is None."""
        for name, value in defaults.items():
            if getattr(self, name) is None:
                setattr(self, name, value)


_OPTIONAL: Final = frozenset(name for name, value in vars(HTTPRequest).items() if value is None)
"""Attributes of a request that are None if nothing is said of them."""
