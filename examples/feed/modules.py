"""The parts of pages that come again and again. Each brings its own style and script."""

import re
import zlib
from datetime import UTC, datetime

from rules import PICTURE_BYTES, TEXT_MAX
from storage import Message as StoredMessage

from typhoon import locale
from typhoon.web import UIModule

TONES = 12  # colours of avatars in avatar.css


class Avatar(UIModule):
    """A round badge with the nickname's initials, in a colour of its own."""

    def render(self, nickname: str) -> bytes:
        words = re.split(r"[ _.'-]+", nickname)
        initials = words[0][:1] + words[1][:1] if len(words) > 1 else nickname[:2]
        tone = zlib.crc32(nickname.casefold().encode()) % TONES
        return self.render_string("modules/avatar.html", initials=initials.upper(), tone=tone)

    def css_files(self) -> str:
        return "avatar.css"


class Feed(UIModule):
    """The list of messages. `latest` is the newest one's id if later ones are to be added live."""

    def render(self, messages: list[StoredMessage], older: bool, latest: int | None) -> bytes:
        return self.render_string(
            "modules/feed.html", messages=messages, older=older, latest=latest
        )

    def css_files(self) -> list[str]:
        # The avatars' too: messages may arrive where there was none yet.
        return ["avatar.css", "message.css"]

    def javascript_files(self) -> str:
        return "feed.js"


class Message(UIModule):
    """One message, as it stands in the page and as it is sent to pages that are open."""

    def render(self, message: StoredMessage) -> bytes:
        posted = datetime.fromtimestamp(message.posted, UTC)
        return self.render_string("modules/message.html", message=message, posted=posted)


class Composer(UIModule):
    """The form to post with."""

    def render(self, text: str, error: str) -> bytes:
        return self.render_string(
            "modules/composer.html",
            text=text,
            error=error,
            text_max=TEXT_MAX,
            picture_bytes=PICTURE_BYTES,
        )

    def css_files(self) -> str:
        return "composer.css"

    def javascript_files(self) -> str:
        return "composer.js"


class Languages(UIModule):
    """The menu of languages: a form, so that it works without a script."""

    def render(self) -> bytes:
        codes = sorted(locale.get_supported_locales())
        languages = [locale.Locale.get(code) for code in codes]
        return self.render_string("modules/languages.html", languages=languages)

    def css_files(self) -> str:
        return "languages.css"
