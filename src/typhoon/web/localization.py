"""The locale of a request: what its user speaks."""

from typing import TYPE_CHECKING

from typhoon.locale import Locale
from typhoon.web.negotiation import weights

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

MAX_LANGUAGES = 32
"""How many entries of an Accept-Language header are considered; browsers send about five."""


class LocaleMixin:
    """How a handler knows the language of its user."""

    request: "HTTPServerRequest"

    _locale: Locale | None = None

    @property
    def locale(self) -> Locale:
        """The locale of the user: what `get_user_locale` says, else `get_browser_locale`.

        Determined once a request; can be set, for instance in an asynchronous `prepare`.
        """
        if self._locale is None:
            users = self.get_user_locale()
            if isinstance(users, str):
                users = Locale.get_closest(users)
            self._locale = users or self.get_browser_locale()
        return self._locale

    @locale.setter
    def locale(self, value: Locale) -> None:
        self._locale = value

    def get_user_locale(self) -> Locale | str | None:
        """Override to determine the locale from what is known about the user.

        A `Locale`, or the code of one; None goes on to `get_browser_locale`.
        """
        return None

    def get_browser_locale(self, default: str = "en_US") -> Locale:
        """The supported locale that the browser likes best, by its Accept-Language header.

        `default` is for browsers that send none. Languages of weight 0 do not count, nor does
        what is malformed.
        """
        header = self.request.headers.get("Accept-Language")
        codes = accepted_languages(header) if header else []
        return Locale.get_closest(*(codes or [default]))


def accepted_languages(header: str) -> list[str]:
    """The language tags in an Accept-Language header in lower case, the preferred ones first."""
    considered = ",".join(header.split(",", MAX_LANGUAGES)[:MAX_LANGUAGES])
    # "*" stands for all others, of which none is preferred.
    weighted = [(tag, weight) for tag, weight in weights(considered) if weight > 0 and tag != "*"]
    weighted.sort(key=lambda pair: -pair[1])
    return [tag for tag, _ in weighted]
