"""Where a request failed: what every client puts on the error, whatever its type."""

import copy
import re
from enum import StrEnum
from typing import Final

from typhoon.httpclient.errors import HTTPClientError


class Stage(StrEnum):
    """What a client was doing for a request. Each compares equal to its text."""

    QUEUE = "queue"
    """Waiting until fewer than `max_clients` requests run."""
    PREPARING = "preparing"
    """Reading the URL and the settings: nothing has been sent, and with these nothing can be."""
    RESOLVING = "resolving"
    """Looking up the host name."""
    CONNECTING = "connecting"
    """Connecting to the server, or to the proxy."""
    TLS_HANDSHAKE = "TLS handshake"
    """Agreeing on keys with the server, and checking its certificate."""
    PROXY = "proxy"
    """Asking the proxy for a tunnel to the server."""
    SENDING = "sending the request"
    """Sending the request's body, for which the server did not wait with its response."""
    WAITING = "waiting for the response"
    """The request is sent, and nothing of the response has come."""
    HEAD = "receiving the head"
    """The response has begun, and its head is not complete."""
    BODY = "receiving the body"
    """The head is complete, and the body is not."""
    DECOMPRESSING = "decompressing"
    """Undoing the response's Content-Encoding."""
    REDIRECTING = "following redirects"
    """Making the next request out of a redirect."""

    def phrase(self, place: str) -> str:
        """The stage in a sentence: ``while connecting to 127.0.0.1:80``.

        Args:
            place: The host, and its port where the stage has to do with it; "" if there is none.
        """
        begin, preposition = _PHRASES[self]
        return f"{begin}{preposition}{place}" if place and preposition else begin


_PHRASES: Final = {
    Stage.QUEUE: ("in request queue", ""),
    Stage.PREPARING: ("not sent", ""),
    Stage.RESOLVING: ("while resolving", " "),
    Stage.CONNECTING: ("while connecting", " to "),
    Stage.TLS_HANDSHAKE: ("during TLS handshake", " with "),
    Stage.PROXY: ("while asking for a tunnel", " through "),
    Stage.SENDING: ("while sending the request", " to "),
    Stage.WAITING: ("while waiting for the response", " from "),
    Stage.HEAD: ("while receiving the head", " from "),
    Stage.BODY: ("while receiving the body", " from "),
    Stage.DECOMPRESSING: ("while decompressing the body", " from "),
    Stage.REDIRECTING: ("while following a redirect", " from "),
}

_URL_SHOWN: Final = 500
"""Characters of a URL that a message shows; the attribute has all of them."""

_USER_INFO: Final = re.compile(r"^([^/?#]*//)[^/?#]*@")
_BROKEN_USER_INFO: Final = re.compile(r"^([^/?#]*//)[^/?#:@\[]*:(?![0-9]*(?:[/?#]|$))[^\[\]]*@")
"""A password with an unquoted slash, question mark or hash: the URL is broken, and not told."""


def mask_url(url: str) -> str:
    """The URL as logs may have it: ``***`` in place of the user name and password in it.

    What its query tells is not looked at.
    """
    masked, count = _USER_INFO.subn(r"\1***@", url, count=1)
    return masked if count else _BROKEN_USER_INFO.sub(r"\1***@", url, count=1)


def located(
    error: BaseException, method: str, url: str, stage: Stage, place: str = ""
) -> BaseException:
    """The error, with the request and the stage on it: in its attributes and in its message.

    Each gets the attributes `method`, `url` (see `mask_url`) and `stage`. An error of the network
    is copied, since a resolver may raise one object for several requests, and its message goes on
    with what it was about. Where a message cannot, a note does (PEP 678).

    Args:
        error: What ended the request. Where it is known to come from an earlier stage, its
            `stage` says so already, and stays.
        method: The request's method.
        url: The request's URL: the one that was asked last, where redirects were followed.
        stage: What the client was doing.
        place: With whom: host and port.
    """
    if not isinstance(error, Exception):
        return error  # the request was cancelled
    url = mask_url(url)
    if isinstance(error, HTTPClientError):
        error.method, error.url, error.place = method, url, place
        error.stage = stage = error.stage or stage
    about = f"{method} {shown(url)}, {stage.phrase(place)}"
    if isinstance(error, HTTPClientError):
        if shown(url) not in str(error):
            error.add_note(about)
        return error
    if isinstance(error, OSError) and type(error).__module__ in _NETWORK_MODULES:
        error = _with_message(error, about)
    else:
        error.add_note(about)
    for name, value in (("method", method), ("url", url), ("stage", stage)):
        try:
            setattr(error, name, value)
        except AttributeError:
            pass  # an error of the application's, with an attribute of this name that is fixed
    return error


_NETWORK_MODULES: Final = {"builtins", "socket", "ssl"}
"""Whose errors can be copied: others may take other arguments than they show."""


def _with_message(error: OSError, about: str) -> OSError:
    """A copy whose message says more."""
    copied = copy.copy(error).with_traceback(error.__traceback__)
    copied.__cause__, copied.__context__ = error.__cause__, error.__context__
    copied.__suppress_context__ = error.__suppress_context__
    match error.args:
        case (int() as number, str() as message):
            copied.args = number, f"{message} ({about})"
            copied.strerror = copied.args[1]
        case (str() as message,):
            copied.args = (f"{message} ({about})",)
        case _:
            copied.add_note(about)
    return copied


def shown(url: str) -> str:
    """The URL for a message: on one line, and not too long."""
    if not url.isprintable():
        url = repr(url)[1:-1]
    return url if len(url) <= _URL_SHOWN else f"{url[:_URL_SHOWN]}…"
