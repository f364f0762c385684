"""What providers answer when they are asked something, and what they say if they refuse."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from typhoon.auth.errors import AnsweredProviderError, AuthProviderError
from typhoon.httpclient import HTTPClientError

if TYPE_CHECKING:
    from typhoon.httpclient import AsyncHTTPClient, HTTPResponse

_LONGEST_TEXT = 200
"""Characters of what a provider says that are worth a place in a log."""

_LARGEST_ERROR = 1 << 16
"""Bytes of an error's body that are looked at."""

_SHORTEST_SECRET = 4
"""Characters. Those in use have more than ten; codes are whatever the user's browser brings."""

_MOST_FIELDS = 100
"""Fields of a form; those in use have five."""

# RFC 6750 §3; the parameters of `OAuth` challenges are those of OAuth Problem Reporting.
_CHALLENGE = re.compile(r'\b(error|error_description|oauth_problem)="([^"]*)"')


async def ask(
    client: "AsyncHTTPClient",
    url: str,
    secrets: Iterable[str | None],
    kind: type[AuthProviderError] = AnsweredProviderError,
    **options: Any,
) -> "HTTPResponse":
    """Send a request to a provider.

    Args:
        client: Who sends it.
        url: Whom it asks.
        secrets: Those of the request's values that nobody may see: should the provider repeat
            them in what it says, or the client in its own errors, they are hidden.
        kind: What to raise.
        options: Further arguments of `.HTTPRequest`.

    Raises:
        AuthProviderError: It answered with an error, or did not answer.
        Exception: The request makes no sense to the client.
    """
    try:
        return await client.fetch(url, **options)
    except (HTTPClientError, OSError) as error:
        hidden = hide(secrets)
        response = getattr(error, "response", None)
        if response is not None:
            raise _refusal(kind, response, url, hidden) from None
        raise _silence(kind, error, url, hidden) from (None if _tells(error, hidden) else error)
    except Exception as error:  # such as a URL that the client does not understand
        hidden = hide(secrets)
        if not _tells(error, hidden):
            raise
        raise _silence(kind, error, url, hidden) from None


def hide(secrets: Iterable[str | None]) -> list[str]:
    """Secrets as they are and as they look in URLs, the longest first: one may be part of another.

    This is what the functions here take as `hidden`. What is very short is left out: it would be
    found within words.
    """
    known = {text for text in secrets if text and len(text) >= _SHORTEST_SECRET}
    forms = {form for text in known for form in (text, quote(text, ""), quote_plus(text))}
    return sorted(forms, key=len, reverse=True)


def json_object(response: "HTTPResponse") -> Any:
    """The value of a JSON body; `AuthProviderError` if it is none."""
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        raise AnsweredProviderError(
            f"{place(response.request.url)} did not answer with JSON"
        ) from None


def fields(response: "HTTPResponse") -> dict[str, Any]:
    """The fields of a body that is a JSON object or a form; both are in use for tokens."""
    body = response.body.strip()
    if body.startswith(b"{"):
        answer: dict[str, Any] = json_object(response)
        return answer
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=_MOST_FIELDS))
    except ValueError:
        where = place(response.request.url)
        raise AnsweredProviderError(f"{where} answered neither with JSON nor with a form") from None


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


def _refusal(
    kind: type[AuthProviderError], response: "HTTPResponse", url: str, hidden: Iterable[str]
) -> AuthProviderError:
    name, text = what_it_says(_said(response), hidden)
    if not text and response.headers.get("Content-Type", "").startswith("text/plain"):
        text = _clean(response.body[:_LARGEST_ERROR].decode("utf-8", "replace"), hidden)
    message = f"{place(url)} says {text or response.reason or 'nothing more'}"
    return kind(message, response.code, response, name)


def _silence(
    kind: type[AuthProviderError], error: Exception, url: str, hidden: Iterable[str]
) -> AuthProviderError:
    message = f"{place(url)} did not answer: {_clean(error, hidden)}"
    return kind(message, getattr(error, "code", 599))


def _tells(error: Exception, hidden: Iterable[str]) -> bool:
    """Whether an error tells a secret: those that name their URL do, if one is in the query."""
    text = f"{error} {error!r} {getattr(error, '__notes__', ())}"
    return any(secret in text for secret in hidden)


def _said(response: "HTTPResponse") -> Mapping[str, Any]:
    body = response.body
    answer: Any = None
    if len(body) <= _LARGEST_ERROR:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            try:
                answer = dict(parse_qsl(body.decode(), max_num_fields=_MOST_FIELDS))
            except ValueError:
                pass
    if isinstance(answer, dict) and any(what_it_says(answer)):
        return answer
    challenge = response.headers.get("WWW-Authenticate", "")[:_LARGEST_ERROR]
    return dict(_CHALLENGE.findall(challenge))


def _clean(text: Any, hidden: Iterable[str]) -> str:
    """A provider's words for our log: short, in one line, and without our secrets."""
    text = str(text)
    for secret in hidden:
        text = text.replace(secret, "[hidden]")
    line = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_TEXT])
    return line.strip() + ("…" if len(text) > _LONGEST_TEXT else "")
