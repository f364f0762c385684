"""Why nobody has been signed in: five kinds of errors, each somebody else's to deal with."""

from typhoon.auth.errors import AuthError
from typhoon.web.errors import HTTPError

_DETAIL = 200
"""Characters of what the other side says that go into a message."""


class AuthConfigurationError(AuthError):
    """The settings here, or those that the provider has for this application, are wrong.

    Nobody can sign in until that is changed. A handler that does not catch it answers with 500,
    and the log gets a stack trace.
    """


class _AnsweredError(AuthError, HTTPError):
    """What is no fault of this application: a status, and a line in the log, if not caught."""

    _status: int

    def __init__(self, message: str) -> None:
        HTTPError.__init__(self, self._status, message)

    def __str__(self) -> str:
        return self._log_message or ""


class AuthDeniedError(_AnsweredError):
    """The user, or the provider in his place, said no. 403 if a handler does not catch it.

    `error` is the provider's code: ``"access_denied"``; or with ``prompt="none"`` what it would
    have had to ask for, such as ``"login_required"``.
    """

    _status = 403

    def __init__(self, message: str, error: str) -> None:
        super().__init__(message)
        self.error = error


class AuthStateError(_AnsweredError):
    """This browser has not asked for the answer that it brings. 400 if a handler does not catch it.

    It is too old, or was used before (as by the browser's button «back»): let the user try again.
    Or it is forged.
    """

    _status = 400


class AuthTokenError(_AnsweredError):
    """A token is not credible: forged, expired, or for somebody else. 403 if not caught."""

    _status = 403


class AuthProviderError(_AnsweredError):
    """The provider cannot be reached, or does not keep to the protocol. 502 if not caught."""

    _status = 502


def quoted(text: object) -> str:
    """What the other side says, as it may stand in a message: no line breaks, and not endless."""
    return repr(text if not isinstance(text, str) else text[:_DETAIL])[: _DETAIL + 50]


# RFC 6749 §4.1.2.1, §5.2; OpenID Connect Core §3.1.2.6
_DENIED = {
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "login_required",
}
_PROVIDER = {"server_error", "temporarily_unavailable"}
_ADVICE = {
    "invalid_client": "check client_id and client_secret, and how the provider wants them sent"
    " (client_authentication)",
    "invalid_scope": "ask for fewer scopes, or allow them at the provider",
    "redirect_uri_mismatch": "register the redirect URI at the provider, letter by letter",
    "unauthorized_client": "allow the grant type «authorization code» for this client at the"
    " provider",
}


def error_of(issuer: str, code: object, description: object) -> AuthError:
    """What the OAuth error code of a provider means here."""
    said = f"{issuer} says {quoted(code)}"
    if description:
        said += f" ({quoted(description)})"
    code = str(code)
    if code in _DENIED:
        return AuthDeniedError(f"The user did not sign in: {said}", code)
    if code in _PROVIDER:
        return AuthProviderError(f"The provider has a problem: {said}")
    if code == "invalid_grant":
        return AuthStateError(
            f"{said}: the code or the refresh token has been used before, or is too old; sign in"
            " again"
        )
    advice = _ADVICE.get(code, "compare the settings with those of the client there")
    return AuthConfigurationError(f"The provider refuses this application: {said}; {advice}")
