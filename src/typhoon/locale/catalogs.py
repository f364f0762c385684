"""Reads translations from files."""

import codecs
import io
import os
import re
from typing import TYPE_CHECKING

from typhoon.log import gen_log

if TYPE_CHECKING:
    import gettext

CSVTranslations = dict[str, dict[str, str]]
"""For each plural form, "unknown" for messages without one: messages to their translations."""

CATEGORIES = ("zero", "one", "two", "few", "many", "other")
"""The plural categories of CLDR."""

_FORMS = frozenset(("singular", "plural", "unknown", *CATEGORIES))

# language, script, region
_CODE = re.compile(r"[a-z]+(_[A-Z][a-z]{3})?(_([A-Z]+|[0-9]{3}))?")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_csv_files(directory: str, encoding: str | None) -> dict[str, CSVTranslations]:
    """The translations in the files of a folder that are named after locales."""
    translations = {}
    for name in sorted(os.listdir(directory)):
        code, extension = os.path.splitext(name)
        if extension != ".csv":
            continue
        path = os.path.join(directory, name)
        if _CODE.fullmatch(code) is None:
            gen_log.error(
                "Unrecognized locale %r (path: %s): name the file as in es.csv or pt_BR.csv",
                code,
                path,
            )
            continue
        translations[code] = read_csv_file(path, encoding)
    return translations


def read_csv_file(path: str, encoding: str | None) -> CSVTranslations:
    """The translations in one file. `ValueError` if it cannot be read as what it should be."""
    import csv

    with open(path, "rb") as file:
        data = file.read()
    translations: CSVTranslations = {}
    text = _decode(data, encoding or _guess_encoding(data), path)
    # Lines end as in CSV: text may hold what else separates lines for Python, such as U+2028.
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            _add_row([column.strip() for column in row], translations, path, rows.line_num)
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.line_num}: {error}") from error
    return translations


def _add_row(row: list[str], translations: CSVTranslations, path: str, line: int) -> None:
    if not any(row):
        return
    if len(row) < 2 or not row[0]:
        gen_log.warning(
            'Row in %s line %d without message and translation: write "message","translation"',
            path,
            line,
        )
        return
    message, translation = row[:2]
    form = (row[2] if len(row) > 2 else "") or "unknown"
    if form not in _FORMS:
        gen_log.error(
            "Unrecognized plural indicator %r in %s line %d: write singular, plural, %s or nothing",
            form,
            path,
            line,
            ", ".join(CATEGORIES),
        )
        return
    of_form = translations.setdefault(form, {})
    if message in of_form:
        gen_log.warning(
            "Message %r translated again in %s line %d: the last translation counts",
            message,
            path,
            line,
        )
    of_form[message] = translation


def _guess_encoding(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    # The first character of such a file is a quote or a letter, in UTF-16 with a zero byte.
    if data[:1] == b"\0":
        return "utf-16-be"
    if data[1:2] == b"\0":
        return "utf-16-le"
    return "utf-8"


def _decode(data: bytes, encoding: str, path: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: not {encoding} ({error.reason}); save the file as UTF-8, "
            "or say what it is: load_translations(directory, encoding=...)"
        ) from error


def read_gettext_files(directory: str, domain: str) -> "dict[str, gettext.NullTranslations]":
    """The translations in `{directory}/{locale}/LC_MESSAGES/{domain}.mo`."""
    import gettext

    translations: dict[str, gettext.NullTranslations] = {}
    for code in sorted(os.listdir(directory)):
        if code.startswith(".") or not os.path.isdir(os.path.join(directory, code)):
            continue
        path = os.path.join(directory, code, "LC_MESSAGES", f"{domain}.mo")
        try:
            with open(path, "rb") as file:
                translations[code] = gettext.GNUTranslations(file)
            if _CODE.fullmatch(code) is None:
                gen_log.warning(
                    "Unrecognized locale %r (path: %s): nobody will get it; name the folder as in "
                    "es or pt_BR",
                    code,
                    path,
                )
        except FileNotFoundError:
            hint = ": make it with msgfmt" if os.path.exists(path[:-2] + "po") else ""
            gen_log.error("Cannot load translation for '%s': no file %s%s", code, path, hint)
        except Exception as error:
            # What a damaged file raises is anything from OSError to struct.error.
            gen_log.error("Cannot load translation for '%s' from %s: %s", code, path, error)
    return translations
