"""OAuth 2.0 (RFC 6749) with the authorization code, and PKCE (RFC 7636)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from typhoon.auth.answers import fields, hide, json_object, place, what_it_says
from typhoon.auth.base import AuthMixin, form
from typhoon.auth.errors import AnsweredProviderError, AuthStateError
from typhoon.httputil import url_concat

if TYPE_CHECKING:
    from typhoon.httpclient import HTTPResponse

_COOKIE = "_oauth2_request"
_COOKIE_SECONDS = 3600
"""How long a user may take to sign in over there."""


class OAuth2Mixin(AuthMixin):
    """Sign-in at, and requests to, a service with OAuth 2.0.

    `GoogleOAuth2Mixin` and `FacebookGraphMixin` are made of it. A class for another service sets
    its two addresses:

        class GitHubHandler(RequestHandler, OAuth2Mixin):
            _OAUTH_AUTHORIZE_URL = "https://github.com/login/oauth/authorize"
            _OAUTH_ACCESS_TOKEN_URL = "https://github.com/login/oauth/access_token"
            _OAUTH_STATE = _OAUTH_PKCE = True

            async def get(self):
                here = "https://www.example.com/login"
                if self.get_argument("code", None):
                    token = await self.oauth2_token(
                        here, self.get_argument("code"), CLIENT_ID, CLIENT_SECRET
                    )
                    …
                else:
                    self.authorize_redirect(here, CLIENT_ID)

    Attributes:
        _OAUTH_AUTHORIZE_URL: Where the user is sent to.
        _OAUTH_ACCESS_TOKEN_URL: Where access tokens come from.
        _OAUTH_STATE: Whether to send a random ``state`` along, and to refuse users who come back
            without it (§10.12): otherwise others can sign our users in as themselves. A cookie
            keeps it. Off by default, as in Tornado: then the application has to do it.
        _OAUTH_PKCE: Whether to prove, with the code, that it was asked for here (RFC 7636).
        _OAUTH_TOKEN_IN_HEADER: Whether `oauth2_request` sends the token in the header
            ``Authorization`` (RFC 6750 §2.1). Off by default, as in Tornado: it is a parameter of
            the query then, which not every service accepts.
    """

    _OAUTH_AUTHORIZE_URL: str
    _OAUTH_ACCESS_TOKEN_URL: str
    _OAUTH_STATE: bool = False
    _OAUTH_PKCE: bool = False
    _OAUTH_TOKEN_IN_HEADER: bool = False

    def authorize_redirect(
        self,
        redirect_uri: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        extra_params: dict[str, Any] | None = None,
        scope: Iterable[str] | None = None,
        response_type: str = "code",
    ) -> None:
        """Send the user to the service, where he allows the access. This finishes the request.

        Args:
            redirect_uri: Where he comes back to: an absolute URL that is registered there.
            client_id: What the service knows this site by.
            client_secret: Has no effect: it is not for the user's eyes.
            extra_params: More parameters for the service, such as ``state``.
            scope: What to ask the user's permission for, as a list of the service's words.
            response_type: The flow: ``"code"``.
        """
        arguments: dict[str, Any] = {"response_type": response_type}
        if redirect_uri is not None:
            arguments["redirect_uri"] = redirect_uri
        if client_id is not None:
            arguments["client_id"] = client_id
        if extra_params:
            arguments.update(extra_params)
        if scope:
            arguments["scope"] = scope if isinstance(scope, str) else " ".join(scope)
        url = self._endpoint("_OAUTH_AUTHORIZE_URL")
        if self._OAUTH_STATE or self._OAUTH_PKCE:
            arguments.update(self._remember())
        self.redirect(url_concat(url, arguments))

    async def oauth2_token(
        self,
        redirect_uri: str | None,
        code: str,
        client_id: str,
        client_secret: str | None = None,
        extra_params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Exchange the code with which the user came back for an access token (§4.1.3).

        Args:
            redirect_uri: The one given to `authorize_redirect`.
            code: The request's argument ``code``.
            client_id: What the service knows this site by.
            client_secret: What the service knows this site by, too; None if it gave none.
            extra_params: More parameters for the service.

        Returns:
            What the service gives: ``access_token``, mostly ``token_type`` and ``expires_in``
            (seconds), ``refresh_token``, ``scope``, ``id_token``.

        Raises:
            AuthStateError: The ``state`` is not the one that this browser was sent away with.
            AuthProviderError: The service does not know the code, or what it gives is no token.
        """
        arguments = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client_id,
            **self._recall(),
            **(extra_params or {}),
        }
        if redirect_uri is not None:
            arguments["redirect_uri"] = redirect_uri
        if client_secret is not None:
            arguments["client_secret"] = client_secret
        hidden = (client_secret, code, arguments.get("code_verifier"))
        response = await self._ask(
            self._endpoint("_OAUTH_ACCESS_TOKEN_URL"),
            secrets=hidden,
            follow_redirects=False,  # the secret is for this address alone
            **form(arguments, Accept="application/json"),
        )
        return self._token(response, hidden)

    async def oauth2_request(
        self,
        url: str,
        access_token: str | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """Ask the service something in the user's name.

        Args:
            url: What to ask.
            access_token: The token that allows it.
            post_args: The fields of a form, which makes it a POST.
            args: Parameters for the query.

        Returns:
            The answer, which has to be JSON.

        Raises:
            AuthProviderError: The service refuses, or its answer is no JSON.
        """
        headers = {}
        if access_token is not None:
            if self._OAUTH_TOKEN_IN_HEADER:
                headers["Authorization"] = f"Bearer {access_token}"
            else:
                args["access_token"] = access_token
        options = {"headers": headers} if post_args is None else form(post_args, **headers)
        response = await self._ask(
            url_concat(url, args),
            secrets=(access_token, args.get("appsecret_proof")),
            **options,
        )
        return json_object(response)

    def _oauth_request_token_url(
        self,
        redirect_uri: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        code: str | None = None,
        extra_params: dict[str, Any] | None = None,
    ) -> str:
        """The URL of the exchange for services that want all in the query of a GET request."""
        arguments = {
            "redirect_uri": redirect_uri,
            "code": code,
            "client_id": client_id,
            "client_secret": client_secret,
            **(extra_params or {}),
        }
        known = {name: value for name, value in arguments.items() if value is not None}
        return url_concat(self._endpoint("_OAUTH_ACCESS_TOKEN_URL"), known)

    @staticmethod
    def _token(response: "HTTPResponse", hidden: Iterable[str | None]) -> dict[str, Any]:
        answer = fields(response)
        if not answer.get("access_token"):
            # Some say what is wrong with the status of a success.
            _, text = what_it_says(answer, hide(hidden))
            raise AnsweredProviderError(
                f"{place(response.request.url)} gave no access token"
                + (f": {text}" if text else "")
            )
        return answer

    def _remember(self) -> dict[str, str]:
        """Parameters that tie the answer to this browser; the cookie holds their other halves."""
        state = secrets.token_urlsafe(32) if self._OAUTH_STATE else ""
        verifier = secrets.token_urlsafe(32) if self._OAUTH_PKCE else ""
        self._set_auth_cookie(_COOKIE, f"{state}.{verifier}", max_age=_COOKIE_SECONDS)
        arguments = {}
        if state:
            arguments["state"] = state
        if verifier:  # RFC 7636 §4.2
            digest = hashlib.sha256(verifier.encode()).digest()
            arguments["code_challenge"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            arguments["code_challenge_method"] = "S256"
        return arguments

    def _recall(self) -> dict[str, str]:
        """Check the state, and return the proof of RFC 7636 if there is one."""
        if not (self._OAUTH_STATE or self._OAUTH_PKCE):
            return {}
        cookie: str | None = self.get_cookie(_COOKIE)
        if not cookie:
            raise AuthStateError(
                f"The cookie {_COOKIE} is missing: this browser did not begin the sign-in here,"
                " or it took more than an hour"
            )
        self.clear_cookie(_COOKIE)
        state, _, verifier = cookie.partition(".")
        if self._OAUTH_STATE:
            returned: str = self.get_argument("state", "")
            if not state or not hmac.compare_digest(state.encode(), returned.encode()):
                raise AuthStateError("This is not the state that this browser was sent with")
        return {"code_verifier": verifier} if verifier else {}
