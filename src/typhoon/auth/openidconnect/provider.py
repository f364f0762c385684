"""The settings for one provider."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit

from typhoon.auth.openidconnect.discovery import Metadata, fetch_metadata, is_loopback, is_secure
from typhoon.auth.openidconnect.fetching import Cached
from typhoon.auth.openidconnect.keys import ALGORITHMS, KeySet, fetch_keys
from typhoon.httpclient import AsyncHTTPClient

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
"""How a client says who it is (OpenID Connect Core §9), the most usual one first."""


@dataclass(frozen=True, kw_only=True)
class OpenIDProvider:
    """A provider of OpenID Connect, and what it knows this application by.

        google = OpenIDProvider(
            issuer="https://accounts.google.com",
            client_id="….apps.googleusercontent.com",
            client_secret=os.environ["GOOGLE_SECRET"],
        )

    Everything else is found out from the issuer. Make one for the whole application: it keeps what
    the provider says of itself, and its keys.

    Raises:
        ValueError: A setting cannot be right.
        ImportError: PyJWT is missing.
    """

    issuer: str
    """The name of the provider: a URL of https, or of http for this computer in development.

    As the provider writes it, including a slash at the end. For Microsoft and accounts of any
    organization: ``"https://login.microsoftonline.com/organizations/v2.0"``.
    """
    client_id: str
    """What the provider calls this application."""
    client_secret: str | None = field(default=None, repr=False)
    """The application's password there; None if it has none (a public client) or has a key."""
    private_key: str | None = field(default=None, repr=False)
    """A private key in PEM, in place of the password (``private_key_jwt``): RSA, P-256, Ed25519."""
    private_key_id: str | None = None
    """The ``kid`` by which the provider knows that key, if it needs one."""
    client_authentication: str | None = None
    """How the password is sent: ``"client_secret_basic"`` or ``"client_secret_post"``.

    None is what the provider says that it can, the former if it says nothing.
    """
    scope: Collection[str] = ("openid", "email", "profile")
    """What to ask for. ``"openid"`` is part of it in any case; ``"offline_access"`` gives a
    refresh token at most providers."""
    redirect_uri: str | None = None
    """Where the provider sends the user back to, as it is registered there: a URL, or a path.

    None is the page that calls `authorize_redirect`.
    """
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """More arguments for the provider's sign-in page, such as Google's ``access_type``."""
    userinfo: bool = True
    """Whether to ask the provider for more about the user than the ID token says."""
    signing_algorithms: Collection[str] = tuple(ALGORITHMS)
    """The algorithms with which ID tokens may be signed; these all have public keys."""
    leeway: float = 60.0
    """Seconds by which the clocks here and there may differ."""
    metadata_url: str | None = None
    """Where the provider describes itself, if that is not at the issuer's usual address
    (``/.well-known/openid-configuration``)."""

    _metadata: Cached[Metadata] = field(
        default_factory=Cached, init=False, repr=False, compare=False
    )
    _keys: Cached[KeySet] = field(default_factory=Cached, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (find_spec("jwt") and find_spec("cryptography")):
            raise ImportError("OpenIDProvider needs PyJWT: pip install 'typhoon[oidc]'", name="jwt")
        if isinstance(self.scope, str):
            object.__setattr__(self, "scope", tuple(self.scope.split()))
        _check_url("issuer", self.issuer)
        if urlsplit(self.issuer).query or urlsplit(self.issuer).fragment:
            raise ValueError(f"issuer is a URL without a query: {self.issuer!r}")
        if self.metadata_url is not None:
            _check_url("metadata_url", self.metadata_url)
        if not self.client_id:
            raise ValueError(f"client_id is empty: {self.issuer} has given this application one")
        if self.client_secret is not None and not self.client_secret:
            raise ValueError("client_secret is empty: leave it out if the application has none")
        if self.client_authentication not in (None, *METHODS):
            raise ValueError(
                f"client_authentication is one of {_listed(METHODS)},"
                f" not {self.client_authentication!r}"
            )
        unknown = set(self.signing_algorithms) - ALGORITHMS.keys()
        if unknown or not self.signing_algorithms:
            raise ValueError(
                f"signing_algorithms are some of {_listed(ALGORITHMS)}, not {_listed(unknown)}"
            )

    @property
    def scopes(self) -> tuple[str, ...]:
        """What is asked for, with ``openid``, which makes it OpenID Connect."""
        return tuple(dict.fromkeys(("openid", *self.scope)))

    async def metadata(self, client: AsyncHTTPClient) -> Metadata:
        """What the provider says of itself, fetched if it is not known or too old."""
        return await self._metadata.get(
            lambda: fetch_metadata(client, self.issuer, self.metadata_url)
        )

    async def keys(self, client: AsyncHTTPClient, *, renew: bool = False) -> KeySet:
        """The provider's keys; newer ones with `renew`, unless they have just been fetched."""
        url = (await self.metadata(client)).jwks_uri
        kept = self._keys.renew if renew else self._keys.get
        return await kept(lambda: fetch_keys(client, url))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _check_url(name: str, url: str) -> None:
    if not is_secure(url, loopback=True):
        hint = "; http is for localhost alone" if url.startswith("http:") else ""
        raise ValueError(
            f"{name} is a URL such as https://accounts.example.com, not {url!r}{hint}"
            if not is_loopback(url)
            else f"{name} is no usable URL: {url!r}"
        )
