"""Escapes for HTML, JSON and URLs, and conversions between bytes and str.

Many of these functions have a near equivalent in the standard library; they differ in that they
take bytes and str alike.
"""

import html
import json
import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any, overload
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from typhoon import _core
from typhoon._core import parse_urlencoded, unquote_to_bytes, xhtml_escape

__all__ = [
    "json_decode",
    "json_encode",
    "linkify",
    "native_str",
    "parse_qs_bytes",
    "recursive_unicode",
    "squeeze",
    "to_basestring",
    "to_unicode",
    "url_escape",
    "url_unescape",
    "utf8",
    "xhtml_escape",
    "xhtml_unescape",
]


def xhtml_unescape(value: str | bytes) -> str:
    """Undo `xhtml_escape`: replace the character references of HTML by what they stand for.

    The same as `html.unescape`, but takes bytes (in UTF-8) too.
    """
    return html.unescape(to_unicode(value))


def json_encode(value: Any) -> str:
    r"""Encode an object as JSON (RFC 8259), in the form that `json.dumps` gives it.

    Writes ``</`` as ``<\/``, which means the same, so that the text can stand within a
    ``<script>`` element.

    :raises TypeError: if there is something in the object that JSON has no form for.
    """
    text = _core.json_encode(value)
    return json.dumps(value).replace("</", "<\\/") if text is None else text


def json_decode(value: str | bytes) -> Any:
    """The object that a JSON text (a str, or bytes in UTF-8) stands for.

    :raises ValueError: if it is not JSON.
    """
    return json.loads(value)


def squeeze(value: str) -> str:
    """Replace every run of white space and control characters by one space; none at the ends."""
    return re.sub(r"[\x00-\x20]+", " ", value).strip()


def url_escape(value: str | bytes, plus: bool = True) -> str:
    """Percent-encode a string (RFC 3986, section 2.1); a str is encoded as UTF-8 first.

    :param plus: write a space as ``+``, as query strings and forms have it, and ``/`` as ``%2F``.
        Otherwise a space is ``%20`` and ``/`` is kept, as in a path. The same as
        `urllib.parse.quote_plus` and `urllib.parse.quote` respectively.
    """
    return quote_plus(value) if plus else quote(value)


@overload
def url_unescape(value: str | bytes, encoding: None, plus: bool = True) -> bytes: ...


@overload
def url_unescape(value: str | bytes, encoding: str = "utf-8", plus: bool = True) -> str: ...


def url_unescape(
    value: str | bytes, encoding: str | None = "utf-8", plus: bool = True
) -> str | bytes:
    """Decode percent-encoding.

    :param encoding: the encoding of the result; what is invalid in it is replaced by U+FFFD.
        None returns the bytes as they are.
    :param plus: read ``+`` as a space, as in query strings and forms, but not in paths.
    """
    if encoding is None:
        return unquote_to_bytes(value, plus)
    text = to_unicode(value)
    return unquote_plus(text, encoding) if plus else unquote(text, encoding)


def parse_qs_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> dict[str, list[bytes]]:
    """Parse a query string like `urllib.parse.parse_qs`, but leave the values as bytes.

    Names are decoded as ISO 8859-1, since they are hardly ever other than ASCII.

    :param keep_blank_values: keep fields with an empty value.
    :param strict_parsing: raise for fields that are empty or have no ``=``.
    :param max_num_fields: the number of fields allowed; None for any.
    :raises ValueError: as described above.
    """
    return parse_urlencoded(qs, max_num_fields, keep_blank_values, strict_parsing)


@overload
def utf8(value: bytes) -> bytes: ...


@overload
def utf8(value: str) -> bytes: ...


@overload
def utf8(value: None) -> None: ...


def utf8(value: str | bytes | None) -> bytes | None:
    """Encode a str as UTF-8; bytes and None are returned as they are."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


@overload
def to_unicode(value: str) -> str: ...


@overload
def to_unicode(value: bytes) -> str: ...


@overload
def to_unicode(value: None) -> None: ...


def to_unicode(value: str | bytes | None) -> str | None:
    """Decode bytes as UTF-8; a str and None are returned as they are."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


# Names from when Python 2 was supported, which applications still use.
_unicode = to_unicode
native_str = to_unicode
to_basestring = to_unicode


def recursive_unicode(obj: Any) -> Any:
    """Decode all bytes in a structure of dicts, lists and tuples as UTF-8."""
    if isinstance(obj, dict):
        return {recursive_unicode(key): recursive_unicode(value) for key, value in obj.items()}
    if isinstance(obj, list):
        return [recursive_unicode(item) for item in obj]
    if isinstance(obj, tuple):
        return tuple(recursive_unicode(item) for item in obj)
    if isinstance(obj, bytes):
        return to_unicode(obj)
    return obj


# Either a scheme and one to three slashes, or "www."; then what a URL in running text is made of.
# Parentheses belong to it in pairs only. Each character is looked at a bounded number of times:
# a match starts at the start of a word, and at most one parenthesis is tried in vain.
_LINK = re.compile(
    r"""(?<![\w-])
        (?P<start> (?P<scheme>[A-Za-z][\w-]*) :/{1,3}+ | www\. )
        (?: [^\s<>"()]++ | \( [^\s<>"()]* \) )+
    """,
    re.VERBOSE,
)

_END_OF_SENTENCE = ".,:;!?'"
"""What ends a sentence or a quotation, and so is no part of a URL that stands before it."""

_SHORT = 30
"""Characters of a URL that are shown when it is to be shortened: it fits the line of a phone."""


def linkify(
    text: str | bytes,
    shorten: bool = False,
    extra_params: str | Callable[[str], str] = "",
    require_protocol: bool = False,
    permitted_protocols: Sequence[str] = ("http", "https"),
) -> str:
    """Turn plain text into HTML in which its URLs are links.

    ``linkify("Hello http://example.com!")`` returns
    ``Hello <a href="http://example.com">http://example.com</a>!``. Everything else is escaped.

    :param shorten: show only the beginning of long URLs.
    :param extra_params: further attributes of the links, such as ``rel="nofollow"``, or a
        function that is called with each link's URL and returns them.
    :param require_protocol: make links only of URLs with a scheme, not of ``www.example.com``.
    :param permitted_protocols: the schemes to make links of. It is not safe to permit
        ``javascript``, among others.
    """
    text = to_unicode(text)
    result = StringIO()
    end = 0
    for match in _LINK.finditer(text):
        url = match[0].rstrip(_END_OF_SENTENCE)
        scheme = match["scheme"]
        wanted = scheme in permitted_protocols if scheme else not require_protocol
        if not wanted or len(url) <= len(match["start"]):
            continue
        result.write(xhtml_escape(text[end : match.start()]))
        result.write(_link(url, url if scheme else "http://" + url, shorten, extra_params))
        end = match.start() + len(url)
    result.write(xhtml_escape(text[end:]))
    return result.getvalue()


def _link(url: str, href: str, shorten: bool, extra_params: str | Callable[[str], str]) -> str:
    params = extra_params(href) if callable(extra_params) else extra_params
    if params := params.strip():
        params = " " + params
    shown = _shortened(url) if shorten else url
    if shown != url:
        params += f' title="{xhtml_escape(href)}"'
    return f'<a href="{xhtml_escape(href)}"{params}>{xhtml_escape(shown)}</a>'


def _shortened(url: str) -> str:
    """Host and first segment of the path, or less, and an ellipsis; `url` if that is no shorter."""
    if len(url) <= _SHORT:
        return url
    start = url.find("/", url.find("://") + 3)
    cut = re.compile(r"[/?.#]").search(url, start + 1) if start >= 0 else None
    short = url[: min(cut.start() if cut else _SHORT, _SHORT)] + "..."
    return short if len(short) < len(url) else url
