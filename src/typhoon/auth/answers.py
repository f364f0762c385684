"""What providers answer when they are asked something, and what they say if they refuse."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from typhoon.auth.errors import AuthError, ProviderError
from typhoon.httpclient import HTTPClientError, HTTPRequest

if TYPE_CHECKING:
    from typhoon.httpclient import AsyncHTTPClient, HTTPResponse

_LONGEST_TEXT = 200
"""Characters of what a provider says that are worth a place in a log."""

_LARGEST_ERROR = 1 << 16
"""Bytes of an error's body that are looked at."""

# RFC 6750 §3; the parameters of `OAuth` challenges are those of OAuth Problem Reporting.
_CHALLENGE = re.compile(r'\b(error|error_description|oauth_problem)="([^"]*)"')


async def ask(
    client: "AsyncHTTPClient", request: HTTPRequest, secrets: Iterable[str | None]
) -> "HTTPResponse":
    """Send a request to a provider.

    Args:
        client: Who sends it.
        request: What to send.
        secrets: Those of the request's values that nobody may see: should the provider repeat
            them in what it says, or the client in its own errors, they are hidden.

    Raises:
        ProviderError: It answered with an error.
        Exception: What the client raises if no answer came.
    """
    hidden = {form for secret in secrets if secret for form in _forms(secret)}
    try:
        return await client.fetch(request)
    except HTTPClientError as error:
        if error.response is not None:
            raise _refusal(error.response, request.url, hidden) from None
        if not _names_any(error, hidden):
            raise
        problem: Exception = error
    except Exception as error:
        if not _names_any(error, hidden):
            raise
        problem = error
    # The error has the URL in its text, and so the secret. Its type tells enough.
    message = f"{place(request.url)} did not answer ({type(problem).__name__})"
    raise ProviderError(getattr(problem, "code", 599), message) from None


def json_object(response: "HTTPResponse") -> Any:
    """The value of a JSON body; `AuthError` if it is none."""
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        raise AuthError(f"{place(response.request.url)} did not answer with JSON") from None


def fields(response: "HTTPResponse") -> dict[str, Any]:
    """The fields of a body that is a JSON object or a form; both are in use for tokens."""
    body = response.body.strip()
    if body.startswith(b"{"):
        answer: dict[str, Any] = json_object(response)
        return answer
    try:
        return dict(parse_qsl(body.decode()))
    except ValueError:
        where = place(response.request.url)
        raise AuthError(f"{where} answered neither with JSON nor with a form") from None


def place(url: str) -> str:
    """A URL without what may be secret in it: user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def what_it_says(answer: Mapping[str, Any], hidden: Iterable[str] = ()) -> tuple[str | None, str]:
    """The error's name and a text about it, out of the forms that providers give an error in."""
    error = answer.get("error") or answer.get("oauth_problem")
    text = answer.get("error_description") or answer.get("oauth_problem_advice")
    errors = answer.get("errors")
    if isinstance(errors, list) and errors:  # Twitter's
        error = errors[0]
    if isinstance(error, dict):  # Facebook's, and that of Google's APIs
        text = error.get("message")
        error = error.get("type") or error.get("status") or error.get("code")
    name = _clean(error, hidden) if error else None
    return name, ": ".join(part for part in (name, _clean(text, hidden) if text else "") if part)


def _refusal(response: "HTTPResponse", url: str, hidden: set[str]) -> ProviderError:
    name, text = what_it_says(_said(response), hidden)
    if not text and response.headers.get("Content-Type", "").startswith("text/plain"):
        text = _clean(response.body[:_LARGEST_ERROR].decode("utf-8", "replace"), hidden)
    message = f"{place(url)} says {text or response.reason or 'nothing more'}"
    return ProviderError(response.code, message, response, name)


def _said(response: "HTTPResponse") -> Mapping[str, Any]:
    body = response.body
    answer: Any = None
    if len(body) <= _LARGEST_ERROR:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            try:
                answer = dict(parse_qsl(body.decode(), max_num_fields=100))
            except ValueError:
                pass
    if isinstance(answer, dict) and any(what_it_says(answer)):
        return answer
    challenge = response.headers.get("WWW-Authenticate", "")[:_LARGEST_ERROR]
    return dict(_CHALLENGE.findall(challenge))


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, and as it looks in URLs."""
    return secret, quote(secret, safe=""), quote_plus(secret)


def _names_any(error: Exception, hidden: set[str]) -> bool:
    text = f"{error} {error!r}"
    return any(secret in text for secret in hidden)


def _clean(text: Any, hidden: Iterable[str]) -> str:
    """A provider's words for our log: short, in one line, and without our secrets."""
    text = str(text)
    for secret in hidden:
        text = text.replace(secret, "[hidden]")
    line = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_TEXT])
    return line.strip() + ("…" if len(text) > _LONGEST_TEXT else "")
