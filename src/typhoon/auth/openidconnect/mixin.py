"""`OpenIDConnectMixin`: the authorization code flow of OpenID Connect Core 1.0 §3.1.

With what RFC 9700 demands of it: PKCE (RFC 7636), `state` and `nonce` for each try, bound to the
browser, and the issuer in each answer compared (RFC 9207).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typhoon.auth.errors import AnsweredProviderError, AuthStateError
from typhoon.auth.openidconnect.attempt import Attempt, AttemptCookies
from typhoon.auth.openidconnect.discovery import Metadata
from typhoon.auth.openidconnect.errors import (
    AuthConfigurationError,
    AuthTokenError,
    error_of,
    quoted,
)
from typhoon.auth.openidconnect.idtoken import check_access_token, check_sign_in, verify_token
from typhoon.auth.openidconnect.logout import LogoutToken, verify_logout_token
from typhoon.auth.openidconnect.provider import OpenIDProvider
from typhoon.auth.openidconnect.tokens import OpenIDTokens, request_tokens
from typhoon.auth.openidconnect.userinfo import fetch_userinfo
from typhoon.httpclient import AsyncHTTPClient
from typhoon.httputil import url_concat

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

_NEXT_MAX = 1500
"""Characters of the address to go to after signing in: it has to fit into a cookie."""


class OpenIDUser(dict[str, Any]):
    """Who has signed in: the provider's claims, verified.

    ``user["iss"]`` and ``user["sub"]`` together identify the user, for ever; no other claim does.
    ``name``, ``email``, ``email_verified``, ``picture`` and others are there if the provider tells
    them (OpenID Connect Core §5.1).

    Attributes:
        provider: The provider's name in the settings; None if they have only one.
        tokens: What the provider has handed out, an `OpenIDTokens`.
        next_url: The page of this site to go on to, for `redirect`.
    """

    __slots__ = ("next_url", "provider", "tokens")

    def __init__(
        self, claims: Mapping[str, Any], provider: str | None, tokens: OpenIDTokens, next_url: str
    ) -> None:
        super().__init__(claims)
        self.provider = provider
        self.tokens = tokens
        self.next_url = next_url


class OpenIDConnectMixin(AttemptCookies):
    """Sign-in with an account at any provider of OpenID Connect.

    The settings of the application have the provider, or several by name, and a `cookie_secret`:

        app = Application(
            [(r"/login", LoginHandler)],
            cookie_secret=os.environ["COOKIE_SECRET"],
            openid_connect=OpenIDProvider(
                issuer="https://accounts.example.com",
                client_id="typhoon",
                client_secret=os.environ["CLIENT_SECRET"],
            ),
        )

    One handler sends the user there, and receives the answer:

        class LoginHandler(RequestHandler, OpenIDConnectMixin):
            async def get(self):
                if self.get_argument("state", None):
                    user = await self.get_authenticated_user()
                    self.set_signed_cookie("user", user["sub"], httponly=True, samesite="Lax")
                    self.redirect(user.next_url)
                else:
                    await self.authorize_redirect()

    Errors are subclasses of `AuthError`: `AuthDeniedError`, `AuthStateError`, `AuthTokenError`,
    `AuthProviderError` and `AuthConfigurationError`. Those that are no fault of the application
    become a fitting error page if they are not caught.

    Requires ``pip install 'typhoon[oidc]'``.
    """

    application: Any
    request: "HTTPServerRequest"

    if TYPE_CHECKING:
        get_next_url: Callable[[], str]
        get_body_argument: Callable[..., str | None]
        redirect: Callable[..., None]
        require_setting: Callable[..., None]
        set_header: Callable[[str, str], None]

    async def authorize_redirect(
        self,
        provider: str | None = None,
        *,
        redirect_uri: str | None = None,
        next_url: str | None = None,
        prompt: str | None = None,
        max_age: int | None = None,
        login_hint: str | None = None,
        extra_params: Mapping[str, str] | None = None,
    ) -> None:
        """Send the user to the provider to sign in, and end the request.

        Args:
            provider: The provider's name, if the settings have several.
            redirect_uri: Where the user comes back to, in place of the provider's setting: a URL,
                or a path of this site. The handler there calls `get_authenticated_user`.
            next_url: The path of this site to go to afterwards; by default, what
                `RequestHandler.get_next_url` says, which is the argument ``next``.
            prompt: ``"login"`` to have the user sign in anew, ``"consent"``, ``"select_account"``,
                or ``"none"`` not to show anything (§3.1.2.1).
            max_age: The number of seconds that the user may have been signed in there; if it is
                more, he has to do it anew, and this is checked.
            login_hint: Who will sign in, such as an e-mail address.
            extra_params: More arguments for the provider.

        Raises:
            AuthError: The provider cannot be asked; or this request is a provider's answer that
                tells an error, so that sending the user there again would go round in circles.
            ValueError: `next_url` is not on this site.
        """
        if self._answer("error") is not None and self._answer("state") is not None:
            await self.get_authenticated_user()
        settings = self.get_openid_provider(provider)
        metadata = await settings.metadata(self.get_auth_http_client())
        if next_url is None:
            next_url = self.get_next_url()
            if len(next_url) > _NEXT_MAX:
                next_url = "/"
        else:
            _check_next_url(next_url)
        uri = self._own_url(redirect_uri or settings.redirect_uri or self.request.path)
        attempt = Attempt(provider, uri, next_url, max_age)
        parameters = {
            **settings.authorize_params,
            **(extra_params or {}),
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": uri,
            "scope": " ".join(settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        if prompt is not None:
            parameters["prompt"] = prompt
        if max_age is not None:
            parameters["max_age"] = str(max_age)
        if login_hint is not None:
            parameters["login_hint"] = login_hint
        self._keep_attempt(attempt)
        self.set_header("Cache-Control", "no-store")
        self.redirect(url_concat(metadata.authorization_endpoint, parameters), status=303)

    async def get_authenticated_user(self, provider: str | None = None) -> OpenIDUser:
        """Who has signed in, in the request with which the user comes back from the provider.

        Args:
            provider: The name of the only provider whose answer is expected here; by default, that
                which `authorize_redirect` was called with.

        Returns:
            The user's claims. They are those of the ID token, and of the provider's userinfo
            endpoint where it has one.

        Raises:
            AuthDeniedError: The user does not want to, or may not.
            AuthStateError: The answer is not for this browser, or not for the first time.
            AuthTokenError: The provider's token is not valid for this application.
            AuthProviderError: The provider cannot be reached, or does not answer properly.
            AuthConfigurationError: The provider does not accept the settings.
        """
        self.set_header("Cache-Control", "no-store")
        attempt = self._take_attempt(self._answer("state"))
        # Without this, one provider could pass on the code of another one (RFC 9700 §4.4.2.2).
        if provider not in (None, attempt.provider):
            raise AuthStateError(f"This is an answer of {attempt.provider!r}, not of {provider!r}")
        if urlsplit(attempt.redirect_uri).path != self.request.path:
            raise AuthStateError(f"This answer is for {attempt.redirect_uri}: it is not read here")
        settings = self.get_openid_provider(attempt.provider)
        client = self.get_auth_http_client()
        metadata = await settings.metadata(client)
        self._check_sender(metadata)
        if (error := self._answer("error")) is not None:
            raise error_of(settings.issuer, error, self._answer("error_description"))
        code = self._answer("code")
        if code is None:
            raise AnsweredProviderError(f"{settings.issuer} has sent neither a code nor an error")
        grant = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        tokens = await request_tokens(client, settings, metadata, grant)
        if tokens.id_token is None:
            raise AnsweredProviderError(f"{settings.issuer} has sent no ID token")
        claims, header = await verify_token(tokens.id_token, settings, metadata, client)
        check_sign_in(
            claims,
            header,
            nonce=attempt.nonce,
            access_token=tokens.access_token,
            max_age=attempt.max_age,
            leeway=settings.leeway,
        )
        if settings.userinfo and metadata.userinfo_endpoint is not None:
            url = metadata.userinfo_endpoint
            told = await fetch_userinfo(client, url, tokens.access_token, claims["sub"])
            claims = told | claims  # what is signed counts more
        return OpenIDUser(claims, attempt.provider, tokens, attempt.next_url)

    async def refresh_tokens(
        self, refresh_token: str, *, sub: str, provider: str | None = None
    ) -> OpenIDTokens:
        """New tokens for a user who need not be there (§12).

        Args:
            refresh_token: That of the user's last `OpenIDTokens`.
            sub: The user's ``sub``, which has to be that of a new ID token.
            provider: The provider's name, if the settings have several.

        Returns:
            The new tokens. Keep their refresh token, which may be the old one.

        Raises:
            AuthStateError: The provider does not take the refresh token: sign in again.
            AuthError: As in `get_authenticated_user`.
        """
        settings = self.get_openid_provider(provider)
        client = self.get_auth_http_client()
        metadata = await settings.metadata(client)
        grant = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        tokens = await request_tokens(client, settings, metadata, grant)
        if tokens.id_token is not None:
            claims, header = await verify_token(tokens.id_token, settings, metadata, client)
            if claims["sub"] != sub:
                raise AuthTokenError(f"The new ID token is for {quoted(claims['sub'])}")
            check_access_token(claims, header, tokens.access_token)
        return tokens if tokens.refresh_token else replace(tokens, refresh_token=refresh_token)

    async def logout_redirect(
        self,
        id_token: str | None = None,
        provider: str | None = None,
        *,
        post_logout_redirect_uri: str = "/",
    ) -> None:
        """Sign the user out at the provider too, and end the request.

        Clear your own cookies before. At a provider that knows no logout, such as Google, the user
        goes to `post_logout_redirect_uri` at once. See OpenID Connect RP-Initiated Logout 1.0.

        Args:
            id_token: The text of the user's ID token. Without it, most providers ask the user.
            provider: The provider's name, if the settings have several.
            post_logout_redirect_uri: Where to go afterwards: a URL that is registered at the
                provider, or a path of this site.
        """
        settings = self.get_openid_provider(provider)
        metadata = await settings.metadata(self.get_auth_http_client())
        back = self._own_url(post_logout_redirect_uri)
        self.set_header("Cache-Control", "no-store")
        if metadata.end_session_endpoint is None:
            self.redirect(back, status=303)
            return
        parameters = {"client_id": settings.client_id, "post_logout_redirect_uri": back}
        if id_token is not None:
            parameters["id_token_hint"] = id_token
        self.redirect(url_concat(metadata.end_session_endpoint, parameters), status=303)

    async def get_logout_token(self, provider: str | None = None) -> LogoutToken:
        """Who has signed out, in a request that the provider itself has sent.

        For the handler at the address that is registered as «back-channel logout URI»:

            class SignedOutHandler(RequestHandler, OpenIDConnectMixin):
                def check_xsrf_cookie(self):
                    pass  # the provider signs it

                async def post(self):
                    token = await self.get_logout_token()
                    await end_sessions(token.sub, token.sid)

        Raises:
            AuthTokenError: The token is not one of the provider for this. 400 if not caught.
        """
        self.set_header("Cache-Control", "no-store")
        settings = self.get_openid_provider(provider)
        client = self.get_auth_http_client()
        metadata = await settings.metadata(client)
        text = self.get_body_argument("logout_token", None)
        try:
            return await verify_logout_token(text, settings, metadata, client)
        except AuthTokenError as error:
            error.status_code = 400  # Back-Channel Logout §2.8
            raise

    def get_openid_provider(self, name: str | None = None) -> OpenIDProvider:
        """The settings of a provider. Override to keep them elsewhere, for example by tenant.

        By default, that is the setting `openid_connect`, or the entry of this name in it.

        Raises:
            AuthConfigurationError: There is no such one.
        """
        self.require_setting("openid_connect", "OpenIDConnectMixin")
        known = self.application.settings["openid_connect"]
        if isinstance(known, OpenIDProvider):
            if name is None:
                return known
            raise AuthConfigurationError(
                f"The setting openid_connect is one provider without a name, and not {name!r}: make"
                " it a dict of providers by name"
            )
        if not isinstance(known, Mapping):
            raise AuthConfigurationError(
                "The setting openid_connect is an OpenIDProvider, or a dict of them by name, not"
                f" {type(known).__name__}"
            )
        if name not in known:
            names = ", ".join(map(repr, known))
            raise AuthConfigurationError(
                f"The setting openid_connect has no provider {name!r}, but {names}"
            )
        provider: OpenIDProvider = known[name]
        return provider

    def get_auth_http_client(self) -> AsyncHTTPClient:
        """Override to ask the provider through another client than the usual one."""
        return AsyncHTTPClient()

    def _answer(self, name: str) -> str | None:
        """What the provider has put into the URL; nothing may come twice (RFC 6749 §3.1)."""
        values = self.request.query_arguments.get(name, ())
        if len(values) > 1:
            raise AuthStateError(f"The argument {name} came {len(values)} times")
        try:
            return values[0].decode() if values and values[0] else None
        except UnicodeDecodeError:
            raise AuthStateError(f"The argument {name} is not UTF-8") from None

    def _check_sender(self, metadata: Metadata) -> None:
        """Whether the answer is of the provider that was asked: RFC 9207 §2.4."""
        issuer = self._answer("iss")
        if issuer is None:
            if metadata.sends_issuer:
                raise AuthStateError(f"The answer does not name the issuer {metadata.issuer}: iss")
        elif not metadata.is_issuer(issuer):
            raise AuthStateError(f"The answer is of {quoted(issuer)}, not of {metadata.issuer}")

    def _own_url(self, url: str) -> str:
        """A URL, or that of a path of this site."""
        if not url.startswith("/"):
            return url
        return f"{self.request.protocol}://{self.request.host}{url}"


def _check_next_url(url: str) -> None:
    from typhoon.web.signin import is_local_path

    if not is_local_path(url) or len(url) > _NEXT_MAX:
        raise ValueError(f"next_url is a path of this site, such as «/home», not {url!r:.100}")
