"""What a provider says of itself: OpenID Connect Discovery 1.0, RFC 8414."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from typhoon.auth.errors import AnsweredProviderError
from typhoon.auth.openidconnect.errors import AuthConfigurationError, AuthTokenError, quoted
from typhoon.auth.openidconnect.fetching import fetch_json, lifetime
from typhoon.httpclient import AsyncHTTPClient

_TENANT = "{tenantid}"
"""What Microsoft's issuers for several organizations have in place of the organization's id."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider is asked for what."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    client_authentication: tuple[str, ...]
    """How clients may say who they are; empty if it does not say."""
    sends_issuer: bool
    """Whether each answer names the issuer (RFC 9207)."""

    def issuer_of(self, claims: dict[str, Any]) -> str:
        """The issuer that a token with these claims has to name."""
        if _TENANT not in self.issuer:
            return self.issuer
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not _UUID.fullmatch(tenant):
            raise AuthTokenError(f"A token of {self.issuer} has no usable tid: {quoted(tenant)}")
        return self.issuer.replace(_TENANT, tenant)

    def is_issuer(self, name: str) -> bool:
        """Whether an answer may name this issuer."""
        return name == self.issuer or _is_tenant_of(name, self.issuer)


async def fetch_metadata(
    client: AsyncHTTPClient, issuer: str, url: str | None
) -> tuple[Metadata, float | None]:
    """Fetch what the issuer says of itself, and for how many seconds it holds."""
    url = url or issuer.removesuffix("/") + "/.well-known/openid-configuration"
    answer = await fetch_json(client, url, "The provider's metadata")
    if answer.status == 404:
        raise AuthConfigurationError(
            f"There is no provider at {issuer}: {url} is a 404; check the setting issuer"
        )
    if answer.status != 200:
        raise AnsweredProviderError(f"{url} answers with the status {answer.status}")
    return _parse(answer.document, issuer), lifetime(answer.headers)


def _parse(document: dict[str, Any], issuer: str) -> Metadata:
    name = document.get("issuer")
    # Discovery §4.3, RFC 8414 §3.3: another's metadata would let it stand in for this issuer.
    if not isinstance(name, str) or (name != issuer and not _is_tenant_of(issuer, name)):
        raise AuthConfigurationError(
            f"The provider at {issuer} calls itself {quoted(name)}: if that is right, write this as"
            " the setting issuer, letter by letter"
        )
    insecure = is_loopback(issuer)

    def endpoint(key: str) -> str | None:
        url = document.get(key)
        if url is None:
            return None
        if not isinstance(url, str) or not is_secure(url, insecure):
            raise AnsweredProviderError(f"The provider {issuer} has no usable {key}: {quoted(url)}")
        return url

    def required(key: str) -> str:
        url = endpoint(key)
        if url is None:
            raise AnsweredProviderError(f"The provider {issuer} does not say its {key}")
        return url

    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=name,
        authorization_endpoint=required("authorization_endpoint"),
        token_endpoint=required("token_endpoint"),
        jwks_uri=required("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint"),
        client_authentication=tuple(map(str, methods)) if isinstance(methods, list) else (),
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _is_tenant_of(issuer: str, template: str) -> bool:
    """Whether an issuer is the template with something in the place of the tenant."""
    start, tenant, end = template.partition(_TENANT)
    if not tenant or not (issuer.startswith(start) and issuer.endswith(end)):
        return False
    # The template has the whole host, so that no other one fits.
    middle = issuer[len(start) : len(issuer) - len(end)]
    return start.count("/") >= 3 and re.fullmatch(r"[-.\w]+", middle) is not None


def is_secure(url: str, loopback: bool) -> bool:
    """Whether a URL is one of https; of http, if `loopback` and the host is this computer."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc or re.search(r"[\x00-\x20\x7f]", url):
        return False
    return parts.scheme == "https" or (loopback and is_loopback(url))


def is_loopback(url: str) -> bool:
    """Whether a URL is one of http whose host is this computer."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return False
    if parts.hostname == "localhost" or parts.hostname.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False
