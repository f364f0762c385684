"""What people may send: the limits, and how input is cleaned and checked."""

import re
import unicodedata

from typhoon.locale import Locale
from typhoon.web import HTTPError

NICKNAME_MIN = 2
NICKNAME_MAX = 20
TEXT_MAX = 1000
PICTURE_BYTES = 8 * 1024 * 1024
# Leaves room to answer a picture that is too large with a sentence; beyond it the server cuts off.
BODY_BYTES = 32 * 1024 * 1024
LARGEST_ID = 2**63 - 1  # of an SQLite row


class Refused(HTTPError):
    """Input that breaks a rule, with a message for the person who sent it.

    The values are put into the message once it is translated. If it has a `plural`, the value
    `count` says which form it takes.
    """

    def __init__(
        self, message: str, plural: str | None = None, status: int = 400, **values: str | int
    ) -> None:
        super().__init__(status, "%s", message)
        self.message = message
        self.plural = plural
        self.values = values

    def sentence(self, locale: Locale) -> str:
        if self.plural is None:
            text = locale.translate(self.message)
        else:
            text = locale.translate(self.message, self.plural, int(self.values["count"]))
        values = {
            name: locale.friendly_number(value) if isinstance(value, int) else value
            for name, value in self.values.items()
        }
        return text % values


def clean_nickname(nickname: str) -> str:
    """The nickname as stored: letters of any script and digits; `_ - . '` and space inside."""
    nickname = unicodedata.normalize("NFKC", " ".join(nickname.split()))
    if not NICKNAME_MIN <= len(nickname) <= NICKNAME_MAX:
        raise Refused(
            "A nickname has %(least)s to %(most)s characters.",
            least=NICKNAME_MIN,
            most=NICKNAME_MAX,
        )
    # Categories L, M and N: letters, their accents and vowel signs, digits.
    for character in nickname:
        if unicodedata.category(character)[0] not in "LMN" and character not in " _-.'":
            sentence = "A nickname cannot contain “%(character)s”: use letters and digits."
            raise Refused(sentence, character=character)
    if not nickname[0].isalnum():
        raise Refused("A nickname starts with a letter or a digit.")
    return nickname


def clean_text(text: str) -> str:
    """A message's text: outer space removed, at most one empty line in a row."""
    text = re.sub(r"\n{3,}", "\n\n", text.replace("\r\n", "\n").replace("\r", "\n").strip())
    if len(text) > TEXT_MAX:
        raise Refused(
            "That message has %(count)s character; %(most)s is the most.",
            "That message has %(count)s characters; %(most)s is the most.",
            count=len(text),
            most=TEXT_MAX,
        )
    return text


def picture_extension(picture: bytes) -> str:
    """`.png`, `.jpg`, `.gif` or `.webp`, told from the first bytes; names and headers can lie."""
    if len(picture) > PICTURE_BYTES:
        raise Refused(
            "That picture is %(size)s MB; %(most)s MB is the most. Make it smaller and try again.",
            status=413,
            size=f"{len(picture) / 2**20:.1f}",
            most=PICTURE_BYTES // 2**20,
        )
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if picture.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if picture.startswith((b"GIF87a", b"GIF89a")):
        return ".gif"
    if picture.startswith(b"RIFF") and picture[8:12] == b"WEBP":
        return ".webp"
    raise Refused(
        "That file is not a picture the feed can show: use PNG, JPEG, GIF or WebP.", status=415
    )
