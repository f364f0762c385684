"""White space between tags, which HTML has little use for."""

import re

MODES = ("all", "single", "oneline")

_RUN = re.compile(r"\s+", re.ASCII)
_BLANKS = re.compile(r"[ \t]+")
_PREFORMATTED = re.compile(r"<(/?)(?:pre|textarea)\b", re.IGNORECASE)


def filter_whitespace(mode: str, text: str) -> str:
    """Shorten the white space in a text.

    :param mode: ``"all"`` returns the text as it is. ``"single"`` makes each run of white space
        one character: a newline if there is one in it, else a space. ``"oneline"`` makes each run
        a space. Only ASCII white space counts, as in HTML: a no-break space stays.
    :raises ValueError: for any other mode.
    """
    match mode:
        case "all":
            return text
        case "single":
            return _RUN.sub(_single, text)
        case "oneline":
            return _RUN.sub(" ", text)
    raise ValueError(f"invalid whitespace mode {mode!r}: use one of {', '.join(MODES)}")


def _single(run: re.Match[str]) -> str:
    return "\n" if "\n" in run[0] else _BLANKS.sub(" ", run[0])


def default_mode(name: str) -> str:
    """The mode for a file of this name, if nothing else is said."""
    return "single" if name.endswith((".html", ".js")) else "all"


class WhitespaceFilter:
    """Filters the texts of one file in turn; what stands in ``<pre>`` or ``<textarea>`` is kept.

    :ivar mode: the mode from here on.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._preformatted = False

    def __call__(self, text: str) -> str:
        """Filter the next text. It is kept whole if a part of it is preformatted."""
        keep = self._preformatted
        for tag in _PREFORMATTED.finditer(text):
            self._preformatted = not tag[1]
            keep = True
        return text if keep else filter_whitespace(self.mode, text)
