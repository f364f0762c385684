"""OAuth 1.0 and 1.0a (RFC 5849): tokens with secrets, and signed requests.

The handler asks the service for a request token, keeps it in a cookie while the user allows the
access over there, and exchanges it for an access token when he comes back. Sections in comments
are those of the RFC.
"""

import hmac
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from typhoon.auth.answers import fields, hide, json_object, place, what_it_says
from typhoon.auth.base import AuthMixin, form
from typhoon.auth.errors import AuthDeniedError, AuthError, AuthProviderError, AuthStateError
from typhoon.auth.signatures import hmac_sha1, signature_base_string
from typhoon.httputil import url_concat

if TYPE_CHECKING:
    from typhoon.httpclient import AsyncHTTPClient, HTTPResponse

_COOKIE = "_oauth_request_token"


class OAuthMixin(AuthMixin):
    """Sign-in at, and requests to, a service with OAuth 1.0 or 1.0a.

    A class for a service sets its addresses, and defines two methods:

        class ExampleMixin(OAuthMixin):
            _OAUTH_REQUEST_TOKEN_URL = "https://api.example.com/oauth/request_token"
            _OAUTH_AUTHORIZE_URL = "https://api.example.com/oauth/authorize"
            _OAUTH_ACCESS_TOKEN_URL = "https://api.example.com/oauth/access_token"

            def _oauth_consumer_token(self):
                return {"key": CONSUMER_KEY, "secret": CONSUMER_SECRET}

            async def _oauth_get_user_future(self, access_token):
                return {"name": …}

    Attributes:
        _OAUTH_REQUEST_TOKEN_URL: Where request tokens ("temporary credentials") come from.
        _OAUTH_AUTHORIZE_URL: Where the user is sent to.
        _OAUTH_ACCESS_TOKEN_URL: Where access tokens ("token credentials") come from.
        _OAUTH_VERSION: ``"1.0a"``, which is what RFC 5849 describes, or ``"1.0"``, in which the
            callback's address goes with the user and nothing verifies that he came back.
        _OAUTH_NO_CALLBACKS: Whether the service knows only the callback registered with it.
    """

    _OAUTH_REQUEST_TOKEN_URL: str
    _OAUTH_AUTHORIZE_URL: str
    _OAUTH_ACCESS_TOKEN_URL: str
    _OAUTH_VERSION: str = "1.0a"
    _OAUTH_NO_CALLBACKS: bool = False
    _provider_error = AuthProviderError

    async def authorize_redirect(
        self,
        callback_uri: str | None = None,
        extra_params: dict[str, Any] | None = None,
        http_client: "AsyncHTTPClient | None" = None,
    ) -> None:
        """Send the user to the service, where he allows the access.

        This finishes the request. The cookie ``_oauth_request_token`` then says which visit it
        was; `get_authenticated_user` reads and deletes it.

        Args:
            callback_uri: Where the service sends the user back to, which may be relative to this
                page; ``"oob"`` if it shows him a code instead. None for the callback that is
                registered with the service.
            extra_params: More parameters for the request for a request token.
            http_client: The client to use; by default that of `get_auth_http_client`.

        Raises:
            AuthProviderError: The service does not give a request token.
            ValueError: `callback_uri`, where the service knows only the registered one.
        """
        await self._redirect_with_request_token(
            self._endpoint("_OAUTH_AUTHORIZE_URL"), callback_uri, extra_params, http_client
        )

    async def get_authenticated_user(
        self, http_client: "AsyncHTTPClient | None" = None
    ) -> dict[str, Any]:
        """Get the access token and the user, in the handler that the user comes back to.

        Args:
            http_client: The client to use; by default that of `get_auth_http_client`.

        Returns:
            What `_oauth_get_user_future` returns of the user, and ``access_token``: a dict of
            ``key`` and ``secret``, which signs requests in the user's name, and of what else the
            service sent with it.

        Raises:
            AuthDeniedError: The user did not allow the access.
            AuthStateError: This browser did not begin the sign-in.
            AuthProviderError: The service does not give an access token.
            AuthError: There is no user for it.
        """
        request_token = self._returned_request_token()
        consumer = self._oauth_consumer_token()
        url = self._endpoint("_OAUTH_ACCESS_TOKEN_URL")
        parameters = {}
        verifier: str | None = self.get_argument("oauth_verifier", None)
        if verifier is not None:
            parameters["oauth_verifier"] = verifier
        signed = self._signed_parameters(url, consumer, request_token, parameters)
        hidden = (consumer["secret"], request_token["secret"], verifier)
        response = await self._ask(
            url_concat(url, signed),
            secrets=hidden,
            http_client=http_client,
            follow_redirects=False,
        )
        access_token = _token(response, hidden)
        user = await self._oauth_get_user_future(access_token)
        if not user:
            raise AuthError(
                f"{type(self).__name__}._oauth_get_user_future() found no user for the access token"
            )
        user["access_token"] = access_token
        return user

    def _oauth_consumer_token(self) -> dict[str, Any]:
        """Override to return what the service knows this site by: a dict of `key` and `secret`."""
        raise NotImplementedError(
            f"{type(self).__name__} has to define _oauth_consumer_token(), which returns"
            ' {"key": …, "secret": …}, as the service gave them'
        )

    async def _oauth_get_user_future(self, access_token: dict[str, Any]) -> dict[str, Any]:
        """Override to return what is known of the user, for example by a signed request."""
        raise NotImplementedError(
            f"{type(self).__name__} has to define the coroutine"
            " _oauth_get_user_future(access_token), which returns a dict about the user"
        )

    def _oauth_request_parameters(
        self,
        url: str,
        access_token: Mapping[str, Any],
        parameters: Mapping[str, Any] = {},
        method: str = "GET",
    ) -> dict[str, Any]:
        """The protocol's parameters for a request, its signature among them (§3.1).

        Send them with the others, in the query or in the form.

        Args:
            url: The request's URL.
            access_token: A dict of ``key`` and ``secret``, as `get_authenticated_user` gave it.
            parameters: All other parameters that are sent, those of the query and of the form.
                Those in the URL's own query may be among them, or not.
            method: The request's method.
        """
        protocol = self._signed_parameters(
            url, self._oauth_consumer_token(), access_token, parameters, method
        )
        return {name: value for name, value in protocol.items() if name not in parameters}

    async def _oauth_request(
        self,
        url: str,
        access_token: Mapping[str, Any] | None,
        post_args: Mapping[str, Any] | None,
        args: Mapping[str, Any],
    ) -> Any:
        """The JSON that a service answers to a request, which is signed if there is a token."""
        options: dict[str, Any] = {"method": "GET"}
        if post_args is not None:
            options = form(post_args)
        protocol: dict[str, Any] = {}
        hidden: list[str | None] = []
        if access_token:
            parameters = {**args, **(post_args or {})}
            method = options["method"]
            protocol = self._oauth_request_parameters(url, access_token, parameters, method)
            hidden.append(access_token["secret"])
        query = url_concat(url, {**args, **protocol})
        return json_object(await self._ask(query, secrets=hidden, **options))

    def _consumer_of_settings(self, service: str, feature: str) -> dict[str, Any]:
        """What `_oauth_consumer_token` returns if it is in two settings."""
        pair = {"key": f"{service}_consumer_key", "secret": f"{service}_consumer_secret"}
        for setting in pair.values():
            self.require_setting(setting, feature)
        return {part: self.settings[setting] for part, setting in pair.items()}

    def _signed_parameters(
        self,
        url: str,
        consumer: Mapping[str, Any],
        token: Mapping[str, Any] | None,
        parameters: Mapping[str, Any],
        method: str = "GET",
    ) -> dict[str, Any]:
        """`parameters` and those of the protocol (§3.1)."""
        signed = {
            **parameters,
            "oauth_consumer_key": consumer["key"],
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())),
            "oauth_nonce": secrets.token_hex(16),
            "oauth_version": "1.0",
        }
        if token is not None:
            signed["oauth_token"] = token["key"]
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        unnamed = [(name, value) for name, value in query if name not in signed]
        text = signature_base_string(
            method, parts._replace(query="").geturl(), [*unnamed, *signed.items()]
        )
        token_secret = token["secret"] if token is not None else ""
        signed["oauth_signature"] = hmac_sha1(text, consumer["secret"], token_secret)
        return signed

    async def _redirect_with_request_token(
        self,
        authorize_url: str,
        callback_uri: str | None,
        extra_params: dict[str, Any] | None = None,
        http_client: "AsyncHTTPClient | None" = None,
    ) -> None:
        callback = None
        if callback_uri:
            if self._OAUTH_NO_CALLBACKS:
                raise ValueError(
                    "This service calls back only the address that is registered with it:"
                    " leave out callback_uri"
                )
            callback = callback_uri
            if callback_uri != "oob":
                callback = urljoin(self.request.full_url(), callback_uri)
        arguments: dict[str, Any] = {}
        parameters = dict(extra_params or {})
        if callback is not None:
            # In 1.0a the callback is signed, so that nobody can put another one in its place.
            (arguments if self._OAUTH_VERSION == "1.0" else parameters)["oauth_callback"] = callback
        consumer = self._oauth_consumer_token()
        url = self._endpoint("_OAUTH_REQUEST_TOKEN_URL")
        signed = self._signed_parameters(url, consumer, None, parameters)
        hidden = (consumer["secret"],)
        response = await self._ask(
            url_concat(url, signed),
            secrets=hidden,
            http_client=http_client,
            follow_redirects=False,
        )
        token = _token(response, hidden)
        pair = (b64encode(token[part].encode()).decode() for part in ("key", "secret"))
        self._set_auth_cookie(_COOKIE, "|".join(pair))
        self.redirect(url_concat(authorize_url, {"oauth_token": token["key"], **arguments}))

    def _returned_request_token(self) -> dict[str, str]:
        """The request token with which this browser was sent away, if it comes back with it."""
        key: str | None = self.get_argument("oauth_token", None)
        if key is None:
            error, text = what_it_says({"error": self.get_argument("oauth_problem", None)})
            raise AuthDeniedError(
                "The user did not allow the access: there is no oauth_token"
                + (f", and the service says {text}" if text else ""),
                error or "access_denied",
            )
        cookie: str | None = self.get_cookie(_COOKIE)
        if not cookie:
            raise AuthStateError(
                f"The cookie {_COOKIE} is missing: this browser did not begin the sign-in here"
            )
        self.clear_cookie(_COOKIE)
        try:
            known, secret = (b64decode(part, validate=True).decode() for part in cookie.split("|"))
        except ValueError:
            raise AuthStateError(f"The cookie {_COOKIE} is not one that was set here") from None
        if not hmac.compare_digest(known.encode(), key.encode()):
            raise AuthStateError("This is not the request token that this browser was sent with")
        return {"key": known, "secret": secret}


def _token(response: "HTTPResponse", hidden: tuple[str | None, ...]) -> dict[str, Any]:
    """The token in an answer (§2.1, §2.3), and what came with it."""
    answer = fields(response)
    try:
        key, secret = answer.pop("oauth_token"), answer.pop("oauth_token_secret")
    except KeyError:
        _, text = what_it_says(answer, hide(hidden))
        raise AuthProviderError(
            f"{place(response.request.url)} gave no token" + (f": {text}" if text else "")
        ) from None
    return {**answer, "key": key, "secret": secret}
