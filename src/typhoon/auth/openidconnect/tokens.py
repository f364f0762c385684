"""The provider's token endpoint: RFC 6749 §4.1.3 and §6."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from typhoon.auth.errors import AnsweredProviderError
from typhoon.auth.openidconnect.discovery import Metadata
from typhoon.auth.openidconnect.errors import AuthConfigurationError, error_of, quoted
from typhoon.auth.openidconnect.fetching import fetch_json
from typhoon.auth.openidconnect.idtoken import client_assertion
from typhoon.auth.openidconnect.provider import OpenIDProvider
from typhoon.httpclient import AsyncHTTPClient


@dataclass(frozen=True, slots=True)
class OpenIDTokens:
    """What the provider has handed out for a user. Its `repr` shows no secret."""

    access_token: str = field(repr=False)
    """For the provider's interfaces: ``Authorization: Bearer …``."""
    id_token: str | None = field(default=None, repr=False)
    """The signed text, for `logout_redirect`. Only a refresh may come without a new one."""
    refresh_token: str | None = field(default=None, repr=False)
    """For `refresh_tokens`. A refresh may replace it."""
    expires_at: float | None = None
    """When the access token ends, in seconds since the epoch; None if the provider does not say."""
    scope: tuple[str, ...] = ()
    """What was granted."""


async def request_tokens(
    client: AsyncHTTPClient,
    provider: OpenIDProvider,
    metadata: Metadata,
    grant: Mapping[str, str],
) -> OpenIDTokens:
    """Exchange a grant, which is the arguments of RFC 6749 §4.1.3 or §6, for tokens."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    arguments = dict(grant)
    _authenticate(provider, metadata, headers, arguments)
    answer = await fetch_json(
        client,
        metadata.token_endpoint,
        "The tokens",
        method="POST",
        headers=headers,
        body=urlencode(arguments),
    )
    document = answer.document
    if "error" in document:
        raise error_of(provider.issuer, document["error"], document.get("error_description"))
    if answer.status != 200:
        raise AnsweredProviderError(
            f"{metadata.token_endpoint} answers with the status {answer.status}"
        )
    return _tokens(document, provider, arguments)


def _authenticate(
    provider: OpenIDProvider,
    metadata: Metadata,
    headers: dict[str, str],
    arguments: dict[str, str],
) -> None:
    """Say who this application is: RFC 6749 §2.3.1, OpenID Connect Core §9."""
    method = provider.client_authentication or _method(provider, metadata)
    if method != "none" and method.startswith("client_secret") and provider.client_secret is None:
        raise AuthConfigurationError(f"{method} for {provider.issuer} takes a client_secret")
    secret = provider.client_secret or ""
    match method:
        case "client_secret_basic":
            # As in a form; but a space is what every reader takes for one.
            pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        case "client_secret_post":
            arguments["client_id"] = provider.client_id
            arguments["client_secret"] = secret
        case "private_key_jwt":
            arguments["client_id"] = provider.client_id
            arguments["client_assertion_type"] = (
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            )
            arguments["client_assertion"] = client_assertion(provider, metadata.token_endpoint)
        case _:
            arguments["client_id"] = provider.client_id


def _method(provider: OpenIDProvider, metadata: Metadata) -> str:
    if provider.private_key is not None:
        return "private_key_jwt"
    if provider.client_secret is None:
        return "none"
    offered = metadata.client_authentication
    if "client_secret_post" in offered and "client_secret_basic" not in offered:
        return "client_secret_post"
    return "client_secret_basic"


def _tokens(
    document: dict[str, Any], provider: OpenIDProvider, asked: Mapping[str, str]
) -> OpenIDTokens:
    def text(key: str) -> str | None:
        value = document.get(key)
        if value is not None and not isinstance(value, str):
            raise AnsweredProviderError(f"The {key} of {provider.issuer} is no text")
        return value or None

    access_token = text("access_token")
    kind = text("token_type")
    if access_token is None or kind is None or kind.lower() != "bearer":
        raise AnsweredProviderError(
            f"{provider.issuer} has sent no access token to use as «Bearer», but {quoted(kind)}"
        )
    if not (access_token.isascii() and access_token.isprintable()):
        raise AnsweredProviderError(
            f"The access token of {provider.issuer} cannot be sent in a header"
        )
    seconds = document.get("expires_in")
    if isinstance(seconds, str) and seconds.isdecimal():
        seconds = int(seconds[:10])  # some providers send it as a text
    expires_at: float | None = None
    if isinstance(seconds, int | float) and 0 <= seconds < 1e10:
        expires_at = time.time() + seconds
    scope = text("scope") or asked.get("scope") or " ".join(provider.scopes)
    return OpenIDTokens(
        access_token=access_token,
        id_token=text("id_token"),
        refresh_token=text("refresh_token"),
        expires_at=expires_at,
        scope=tuple(scope.split()),
    )
