"""A scripted provider, and sites that people sign in to with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oidc_provider import Provider
from oidc_site import Browser, Login
from support import running_server
from typhoon.auth import OpenIDProvider
from typhoon.web import Application


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    with running_server(provider.application()) as server:
        provider.server = server
        yield provider


@pytest.fixture
def settings_of(provider: Provider) -> Callable[..., OpenIDProvider]:
    """The settings for the provider, and others instead."""

    def make(**changes: Any) -> OpenIDProvider:
        right = {
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
        }
        return OpenIDProvider(**(right | changes))

    return make


@pytest.fixture
def make_browser(serve: Any, provider: Provider) -> Callable[..., Browser]:
    """A browser at a site with these settings of the provider."""

    def make(settings: Any, handler: type = Login, **options: Any) -> Browser:
        app = Application(
            [("/login", handler), ("/other", handler)],
            cookie_secret="a secret for tests",
            openid_connect=settings,
            authorize_options=options,
        )
        return Browser(serve(app), provider)

    return make


@pytest.fixture
def browser(make_browser: Any, settings_of: Any) -> Browser:
    return make_browser(settings_of())
