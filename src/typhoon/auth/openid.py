"""OpenID Authentication 2.0, with Attribute Exchange 1.0 for what the user is called.

Sections in comments are those of the first. One provider is set, so nothing is discovered, and its
answers are verified by asking it (§11.4.2), so no keys are kept.
"""

import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, unquote_plus, urljoin, urlsplit

from typhoon.auth.base import AuthMixin, form
from typhoon.auth.errors import AuthDeniedError, AuthStateError
from typhoon.httputil import url_concat

if TYPE_CHECKING:
    from typhoon.httpclient import AsyncHTTPClient
    from typhoon.httputil import HTTPServerRequest

_OPENID = "http://specs.openid.net/auth/2.0"
_SELECT = "http://specs.openid.net/auth/2.0/identifier_select"
_EXCHANGE = "http://openid.net/srv/ax/1.0"

# What callers ask for: the attributes that tell it, by their aliases in our requests.
_ATTRIBUTES = {
    "name": {
        "firstname": "http://axschema.org/namePerson/first",
        "fullname": "http://axschema.org/namePerson",
        "lastname": "http://axschema.org/namePerson/last",
    },
    "email": {"email": "http://axschema.org/contact/email"},
    "language": {"language": "http://axschema.org/pref/language"},
    "username": {"username": "http://axschema.org/namePerson/friendly"},
}
_TYPES = {alias: uri for group in _ATTRIBUTES.values() for alias, uri in group.items()}

_IS_VALID = re.compile(rb"^is_valid:true\r?$", re.MULTILINE)


class OpenIdMixin(AuthMixin):
    """Sign-in at an OpenID 2.0 provider, whose address the class has in `_OPENID_ENDPOINT`.

    Deprecated: providers have gone over to OpenID Connect, which is another protocol.
    """

    _OPENID_ENDPOINT: str

    def authenticate_redirect(
        self,
        callback_uri: str | None = None,
        ax_attrs: Iterable[str] = ("name", "email", "language", "username"),
    ) -> None:
        """Send the user to the provider, who sends him back to `callback_uri`.

        By default, that is the page of this request; it may be relative. The handler there calls
        `get_authenticated_user`. `ax_attrs` are what to ask for besides the identifier.
        `ValueError` if there is no such attribute.
        """
        _warn()
        page = _page(self.request)
        return_to = urljoin(page, callback_uri) if callback_uri else page
        attributes = list(ax_attrs)
        if unknown := [name for name in attributes if name not in _ATTRIBUTES]:
            raise ValueError(f"ax_attrs can be {', '.join(_ATTRIBUTES)}, not {unknown[0]!r}")
        aliases = {alias: uri for name in attributes for alias, uri in _ATTRIBUTES[name].items()}
        arguments = {
            "openid.ns": _OPENID,
            "openid.mode": "checkid_setup",
            "openid.claimed_id": _SELECT,
            "openid.identity": _SELECT,
            "openid.return_to": return_to,
            "openid.realm": urljoin(return_to, "/"),
        }
        if aliases:
            arguments["openid.ns.ax"] = _EXCHANGE
            arguments["openid.ax.mode"] = "fetch_request"
            for alias, uri in aliases.items():
                arguments[f"openid.ax.type.{alias}"] = uri
            arguments["openid.ax.required"] = ",".join(aliases)
        self.redirect(url_concat(self._endpoint("_OPENID_ENDPOINT"), arguments))

    async def get_authenticated_user(
        self, http_client: "AsyncHTTPClient | None" = None
    ) -> dict[str, Any]:
        """Ask the provider whether the user who comes from there has really been there.

        Returns what it says of the user: `claimed_id`, the identifier; and as far as it tells
        them, `email`, `name`, `first_name`, `last_name`, `locale` and `username`.

        `AuthDeniedError` if the user did not sign in; `AuthStateError` if the answer was not meant
        for this page, or if the provider does not know it; `AuthProviderError` if the provider
        answers with an error, or not at all.
        """
        _warn()
        answer = _arguments(self.request)
        mode = answer.get("mode")
        if mode in ("cancel", "setup_needed", "error"):
            raise AuthDeniedError(f"The user did not sign in: the provider says {mode!r}", mode)
        signed = _signed(answer)
        _check_return_to(answer, self.request)
        question = {f"openid.{name}": value for name, value in answer.items()}
        question["openid.mode"] = "check_authentication"
        response = await self._ask(
            self._endpoint("_OPENID_ENDPOINT"),
            http_client=http_client,
            **form(question),
        )
        if not _IS_VALID.search(response.body):
            raise AuthStateError(f"The provider did not sign this: {response.body[:100]!r}")
        return _user(signed)


def _warn() -> None:
    warnings.warn(
        "OpenIdMixin is deprecated: OpenID 2.0 has been replaced by OpenID Connect;"
        " ask the provider for an OAuth 2.0 client",
        DeprecationWarning,
        stacklevel=3,
    )


def _page(request: "HTTPServerRequest") -> str:
    """The URL of the request, without what a provider has put into it."""
    query = "&".join(
        part
        for part in request.query.split("&")
        if not unquote_plus(part.partition("=")[0]).startswith("openid.")
    )
    return f"{request.protocol}://{request.host}{request.path}" + (f"?{query}" if query else "")


def _arguments(request: "HTTPServerRequest") -> dict[str, str]:
    """What the provider says, without the prefix of its names."""
    answer = {}
    for name, values in request.arguments.items():
        if name.startswith("openid."):
            if len(values) > 1:  # §4.1.2
                raise AuthStateError(f"The argument {name} came {len(values)} times")
            try:
                answer[name.removeprefix("openid.")] = values[0].decode()
            except UnicodeDecodeError:
                raise AuthStateError(f"The argument {name} is not UTF-8") from None
    return answer


def _signed(answer: dict[str, str]) -> dict[str, str]:
    """The part of the answer that the provider's signature covers (§10.1).

    Anybody may have added the rest. Without a list of what is signed it is left to the provider to
    refuse the whole.
    """
    if "signed" not in answer:
        return answer
    names = set(answer["signed"].split(","))
    for name in ("return_to", "claimed_id", "identity"):
        if name in answer and name not in names:
            raise AuthStateError(f"The provider did not sign openid.{name}")
    if "return_to" not in answer:
        raise AuthStateError("The provider did not say for whom this answer is")
    return {name: value for name, value in answer.items() if name in names}


def _check_return_to(answer: dict[str, str], request: "HTTPServerRequest") -> None:
    """Another site could have been given this answer, and be passing it on (§11.1).

    The scheme is not compared: behind a proxy that does TLS, it is another one here.
    """
    if "return_to" not in answer:
        return
    try:
        page = urlsplit(answer["return_to"])
        arguments = parse_qsl(page.query, keep_blank_values=True)
    except ValueError:
        raise AuthStateError("openid.return_to is no URL") from None
    known = request.query_arguments
    if (
        page.netloc.lower() != request.host.lower()
        or unquote(page.path or "/") != unquote(request.path)
        or not all(value.encode() in known.get(name, ()) for name, value in arguments)
    ):
        raise AuthStateError(f"This answer is for {answer['return_to']!r}, and not for this page")


def _user(signed: dict[str, str]) -> dict[str, Any]:
    values = _attributes(signed)
    names = [values[alias] for alias in ("firstname", "lastname") if alias in values]
    user = {
        "first_name": values.get("firstname"),
        "last_name": values.get("lastname"),
        "name": values.get("fullname") or " ".join(names) or values.get("email", "").split("@")[0],
        "email": values.get("email"),
        "locale": values.get("language", "").lower(),
        "username": values.get("username"),
        "claimed_id": signed.get("claimed_id"),
    }
    return {key: value for key, value in user.items() if value}


def _attributes(signed: dict[str, str]) -> dict[str, str]:
    """What Attribute Exchange tells, by our aliases; the provider may have chosen others."""
    spaces = [name for name, value in signed.items() if value == _EXCHANGE and name[:3] == "ns."]
    if not spaces:
        return {}
    space = spaces[0].removeprefix("ns.")
    aliases = {
        uri: name.removeprefix(f"{space}.type.")
        for name, uri in signed.items()
        if name.startswith(f"{space}.type.")
    }
    values = {}
    for ours, uri in _TYPES.items():
        if uri in aliases:
            key = f"{space}.value.{aliases[uri]}"
            # With a count, the values are numbered.
            value = signed.get(key) or signed.get(key + ".1")
            if value:
                values[ours] = value
    return values
