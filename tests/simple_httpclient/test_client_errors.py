"""What errors say, and to whom they can be handed."""

import pickle
import socket
import ssl
from io import BytesIO

import pytest

from typhoon.httpclient import HTTPClientError, HTTPRequest, HTTPResponse, Stage
from typhoon.httpclient.failures import located, mask_url
from typhoon.iostream import UnsatisfiableReadError
from typhoon.simple_httpclient import (
    HTTPBodyTooLargeError,
    HTTPContentCodingError,
    HTTPHeaderTooLargeError,
    HTTPIncompleteResponseError,
    HTTPMalformedResponseError,
    HTTPProxyError,
    HTTPRedirectError,
    HTTPStreamClosedError,
    HTTPTimeoutError,
)
from typhoon.simple_httpclient.errors import refused

URL = "http://me:secret@example.com:8080/path?a=b"
SHOWN = "http://***@example.com:8080/path?a=b"
PLACE = "example.com:8080"

ERRORS = [
    HTTPTimeoutError("Timeout while connecting to example.com:8080"),
    HTTPStreamClosedError("Connection closed"),
    HTTPIncompleteResponseError("Connection closed in the middle"),
    HTTPMalformedResponseError("invalid chunk size"),
    HTTPHeaderTooLargeError("too large"),
    HTTPBodyTooLargeError("too large"),
    HTTPContentCodingError("invalid gzip data"),
    HTTPRedirectError("Unsupported url scheme: ftp"),
    HTTPProxyError("the proxy wants a password", 407),
    HTTPClientError(599, "something else"),
    ConnectionRefusedError(111, "Connection refused"),
    ConnectionResetError("Connection lost"),
    OSError(),
    FileNotFoundError(2, "No such file or directory", "ca.pem"),
    socket.gaierror(-2, "Name or service not known"),
    ssl.SSLCertVerificationError(1, "certificate verify failed"),
    ssl.SSLError("handshake failure"),
    UnicodeError("label empty or too long"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_names_the_request_and_the_stage(error: Exception) -> None:
    told = located(error, "GET", URL, Stage.CONNECTING, PLACE)
    assert type(told) is type(error)
    stage = getattr(error, "stage", Stage.CONNECTING)
    assert (told.method, told.url, told.stage) == ("GET", SHOWN, stage)
    said = str(told) + "".join(getattr(told, "__notes__", []))
    assert said.count(f"GET {SHOWN}") == 1
    assert stage.phrase(PLACE) in said
    assert "secret" not in said + repr(told)
    other = pickle.loads(pickle.dumps(told))
    assert type(other) is type(told)
    assert (str(other), vars(other)) == (str(told), vars(told))


def test_an_error_of_the_network_stays_what_it_is() -> None:
    error = ConnectionRefusedError(111, "Connection refused")
    error.__cause__ = cause = ValueError("for this reason")
    told = located(error, "GET", URL, Stage.CONNECTING, PLACE)
    # One object may have been raised for several requests.
    assert str(error) == "[Errno 111] Connection refused"
    assert not hasattr(error, "url")
    assert isinstance(told, ConnectionRefusedError)
    assert told.errno == 111
    assert str(told) == (
        f"[Errno 111] Connection refused (GET {SHOWN}, while connecting to {PLACE})"
    )
    assert told.__cause__ is cause


def test_an_error_of_the_application_is_the_same_object() -> None:
    class TheirsError(OSError):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("both")

    class FixedError(Exception):
        @property
        def url(self) -> str:
            return "their own"

    for error in (TheirsError(1, 2), FixedError()):
        assert located(error, "PUT", URL, Stage.SENDING, PLACE) is error
        assert error.__notes__ == [f"PUT {SHOWN}, while sending the request to {PLACE}"]
        assert error.stage == "sending the request"


def test_a_cancelled_request_is_no_failure() -> None:
    error = KeyboardInterrupt()
    assert located(error, "GET", URL, Stage.WAITING, PLACE) is error
    assert vars(error) == {}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Stage.QUEUE, "Timeout in request queue"),
        (Stage.RESOLVING, "Timeout while resolving example.com"),
        (Stage.TLS_HANDSHAKE, "Timeout during TLS handshake with example.com"),
    ],
)
def test_the_timeouts_that_are_worded_as_everywhere(stage: Stage, message: str) -> None:
    error = HTTPTimeoutError(f"Timeout {stage.phrase('example.com')}")
    told = located(error, "GET", URL, stage, "example.com")
    assert str(told) == message
    assert told.__notes__ == [f"GET {SHOWN}, {stage.phrase('example.com')}"]


def test_without_a_request_the_message_stands_alone() -> None:
    assert str(HTTPTimeoutError("Timeout in request queue")) == "Timeout in request queue"
    assert str(HTTPStreamClosedError("Stream closed")) == "Stream closed"
    assert HTTPTimeoutError("x").code == HTTPStreamClosedError("x").code == 599
    assert repr(HTTPStreamClosedError("x")) == "HTTPStreamClosedError('x')"


def test_the_error_of_a_status_can_be_pickled_with_its_response() -> None:
    response = HTTPResponse(HTTPRequest(URL), 404, buffer=BytesIO(b"not here"))
    with pytest.raises(HTTPClientError) as caught:
        response.rethrow()
    other = pickle.loads(pickle.dumps(caught.value))
    assert str(other) == "HTTP 404: Not Found"
    assert (other.response.code, other.response.body) == (404, b"not here")
    assert str(other.response.error) == str(other)


def test_what_is_refused() -> None:
    assert type(refused(431, "x")) is HTTPHeaderTooLargeError
    assert isinstance(refused(431, "x"), UnsatisfiableReadError)
    assert type(refused(413, "x")) is HTTPBodyTooLargeError
    assert type(refused(400, "x")) is HTTPMalformedResponseError
    assert str(refused(501, "Unsupported Transfer-Encoding")) == "Unsupported Transfer-Encoding"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/a@b", "http://host/a@b"),
        ("http://host:80/a:b@c?d@e", "http://host:80/a:b@c?d@e"),
        ("https://me@host/", "https://***@host/"),
        ("https://me:pass@word@host/", "https://***@host/"),
        ("//me:it@host", "//***@host"),
        ("http://me:pass/word@host/", "http://***@host/"),  # should have been quoted
        ("http://me:12/word@host/", "http://me:12/word@host/"),  # a host called me
        ("http://[::1]:80/@", "http://[::1]:80/@"),
        ("http://[::1/@", "http://[::1/@"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_what_is_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_messages_stay_short_and_on_one_line() -> None:
    told = located(
        HTTPStreamClosedError("Connection closed"),
        "GET",
        "http://x/\r\n" + "a" * 10_000,
        Stage.WAITING,
    )
    assert told.url.endswith("a" * 10_000)
    assert len(str(told)) < 700
    assert str(told).isprintable()
