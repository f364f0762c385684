"""What goes wrong with a provider of OpenID Connect in particular."""

from typhoon.auth.errors import (
    AnsweredError,
    AnsweredProviderError,
    AuthDeniedError,
    AuthError,
    AuthStateError,
)

_DETAIL = 200
"""Characters of what the other side says that go into a message."""


class AuthConfigurationError(AuthError):
    """The settings here, or those that the provider has for this application, are wrong.

    Nobody can sign in until that is changed. A handler that does not catch it answers with 500,
    and the log gets a stack trace.
    """


class AuthTokenError(AnsweredError):
    """A token is not credible: forged, expired, or for somebody else. 403 if not caught."""

    _status = 403


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
        return AnsweredProviderError(f"The provider has a problem: {said}")
    if code == "invalid_grant":
        return AuthStateError(
            f"{said}: the code or the refresh token has been used before, or is too old; sign in"
            " again"
        )
    advice = _ADVICE.get(code, "compare the settings with those of the client there")
    return AuthConfigurationError(f"The provider refuses this application: {said}; {advice}")
