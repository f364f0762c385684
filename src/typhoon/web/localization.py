"""The locale of a request: what its user speaks."""

import re
from typing import TYPE_CHECKING

from typhoon.locale import Locale

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

MAX_LANGUAGES = 32
"""How many entries of an Accept-Language header are considered; browsers send about five."""

# RFC 9110 §12.5.4, §12.4.2; the digits behind the point may be more than three.
_RANGE = re.compile(r"([A-Za-z0-9-]+)\s*(?:;\s*[qQ]=(0(?:\.[0-9]*)?|1(?:\.0*)?))?")


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
    """The language tags in an Accept-Language header, the preferred ones first."""
    weighted = []
    for part in header.split(",", MAX_LANGUAGES)[:MAX_LANGUAGES]:
        match = _RANGE.fullmatch(part.strip())
        if match is not None:
            weight = float(match[2] or 1)
            if weight > 0:
                weighted.append((weight, match[1]))
    weighted.sort(key=lambda pair: -pair[0])
    return [tag for _, tag in weighted]
