"""What a provider says of a user, signed: OpenID Connect Core 1.0 §2 and §3.1.3.7.

Signatures and times are checked by PyJWT.
"""

import base64
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Collection
from typing import Any

from typhoon.auth.errors import AuthStateError
from typhoon.auth.openidconnect.discovery import Metadata
from typhoon.auth.openidconnect.errors import AuthConfigurationError, AuthTokenError, quoted
from typhoon.auth.openidconnect.provider import OpenIDProvider
from typhoon.httpclient import AsyncHTTPClient

MAX_TOKEN = 64 * 1024
"""Characters of a token. Those with hundreds of groups in them have some 20 KiB."""


async def verify_token(
    token: str,
    provider: OpenIDProvider,
    metadata: Metadata,
    client: AsyncHTTPClient,
    require: Collection[str] = ("iss", "sub", "aud", "exp", "iat"),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The claims and the header of a token that the provider has signed for this application.

    Checked are the signature, ``iss``, ``aud`` and ``azp``, and the times; and that it has the
    claims that `require` names. `AuthTokenError` if one of these is wrong.
    """
    header = _header(token, provider)
    keys = (await provider.keys(client)).fitting(header)
    if not keys:
        # The provider may have begun to use another one.
        keys = (await provider.keys(client, renew=True)).fitting(header)
    if not keys:
        name = quoted(header.get("kid"))
        raise AuthTokenError(f"{provider.issuer} has no key {name} for {header['alg']}")
    claims = _verified(token, header["alg"], keys, provider, require)
    _check_issuer(claims, metadata, keys)
    _check_audience(claims, provider)
    return claims, header


def _header(token: str, provider: OpenIDProvider) -> dict[str, Any]:
    import jwt

    try:
        if len(token) > MAX_TOKEN:
            raise ValueError(f"it has more than {MAX_TOKEN} characters")
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise AuthTokenError(
            f"The token of {provider.issuer} is none: {quoted(str(error))}"
        ) from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in provider.signing_algorithms:
        allowed = ", ".join(provider.signing_algorithms)
        raise AuthTokenError(
            f"The token of {provider.issuer} is signed with {quoted(algorithm)}; allowed are"
            f" {allowed}: if the provider can choose, let it use one of these for this client"
        )
    return header


def _verified(
    token: str,
    algorithm: str,
    keys: list[dict[str, Any]],
    provider: OpenIDProvider,
    require: Collection[str],
) -> dict[str, Any]:
    """The claims, if one of the keys fits."""
    import jwt

    def decoded(key: dict[str, Any]) -> dict[str, Any]:
        return jwt.decode(
            token,
            jwt.PyJWK(key, algorithm),  # bound to the algorithm, whatever the token says
            algorithms=[algorithm],
            audience=provider.client_id,
            leeway=provider.leeway,
            options={"require": list(require), "enforce_minimum_key_length": True},
        )

    try:
        for key in keys[:-1]:  # there are several only where they have no names
            with contextlib.suppress(jwt.InvalidSignatureError, jwt.InvalidKeyError):
                return decoded(key)
        return decoded(keys[-1])
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        text = quoted(str(error))
        raise AuthTokenError(f"The token of {provider.issuer} is not valid: {text}") from error


def _check_issuer(claims: dict[str, Any], metadata: Metadata, keys: list[dict[str, Any]]) -> None:
    expected = metadata.issuer_of(claims)
    if claims["iss"] != expected:
        raise AuthTokenError(f"The token is of {quoted(claims['iss'])}, not of {expected}")
    # Microsoft says of each key which tenants it is for.
    for key in keys:
        owner = key.get("issuer", expected)
        if owner not in (expected, metadata.issuer):
            raise AuthTokenError(f"The key of the token is of {quoted(owner)}, not of {expected}")


def _check_audience(claims: dict[str, Any], provider: OpenIDProvider) -> None:
    """PyJWT has found this application in ``aud``; are there others?"""
    audience = claims["aud"]
    others = isinstance(audience, list) and any(one != provider.client_id for one in audience)
    party = claims.get("azp")
    if (others or party is not None) and party != provider.client_id:
        raise AuthTokenError(
            f"The token is for {quoted(party)} to use, not for {provider.client_id!r}"
        )


def check_sign_in(
    claims: dict[str, Any],
    header: dict[str, Any],
    *,
    nonce: str,
    access_token: str,
    max_age: int | None,
    leeway: float,
) -> None:
    """Whether the claims answer this one sign-in."""
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise AuthStateError("The ID token is the answer to another sign-in: its nonce is wrong")
    check_access_token(claims, header, access_token)
    if max_age is not None:
        since = claims.get("auth_time")
        if isinstance(since, bool) or not isinstance(since, int | float):
            raise AuthTokenError("The ID token does not say when the user signed in: auth_time")
        if since + max_age + leeway < time.time():
            raise AuthTokenError(f"The user has signed in more than {max_age} seconds ago")


def check_access_token(claims: dict[str, Any], header: dict[str, Any], access_token: str) -> None:
    """Whether the access token is that of the ID token, if it says so: §3.1.3.6."""
    expected = claims.get("at_hash")
    if expected is None:
        return
    algorithm = header["alg"]
    bits = "512" if algorithm == "EdDSA" else algorithm[2:]
    digest = hashlib.new("sha" + bits, access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(expected, str) or not hmac.compare_digest(expected.encode(), half):
        raise AuthTokenError("The access token is not that of the ID token: at_hash is wrong")


def client_assertion(provider: OpenIDProvider, audience: str) -> str:
    """What a client with a private key says who it is with: RFC 7523 §3."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key((provider.private_key or "").encode(), None)
        match key:
            case RSAPrivateKey():
                algorithm = "RS256"
            case EllipticCurvePrivateKey():
                algorithm = "ES256"
            case _:
                algorithm = "EdDSA"
        now = int(time.time())
        return jwt.encode(
            {
                "iss": provider.client_id,
                "sub": provider.client_id,
                "aud": audience,
                "jti": secrets.token_urlsafe(),
                "iat": now,
                "exp": now + 60,
            },
            provider.private_key or "",
            algorithm,
            headers={"kid": provider.private_key_id} if provider.private_key_id else None,
        )
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise AuthConfigurationError(
            f"private_key for {provider.issuer} is no private key in PEM that can sign"
        ) from error
