"""What the regular expression of a route says about the paths that it matches."""

import re
from re import _parser as sre  # type: ignore[attr-defined]

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\\\]])*\]|\((?:\?P<\w+>|\?)?|.", re.DOTALL)
"""An escape, a character class, the start of a group, or any other character of a pattern."""


def literal_start(regex: re.Pattern[str]) -> tuple[str, bool]:
    """The text that a string has to start with to match, and whether it is all of the pattern.

    The reading stops before anything that is no plain character, so it can only be too short.
    """
    if regex.flags & ~(re.UNICODE | re.ASCII | re.DOTALL):
        return "", False
    items = list(sre.parse(regex.pattern, regex.flags))
    if items[:1] == [(sre.AT, sre.AT_BEGINNING)]:
        del items[0]
    text = ""
    for operator, argument in items:
        # A surrogate has no UTF-8, which is what the table compares.
        if operator is not sre.LITERAL or 0xD800 <= argument <= 0xDFFF:
            break
        text += chr(argument)
    return text, items[len(text) :] == [(sre.AT, sre.AT_END)]


def format_string(regex: re.Pattern[str]) -> tuple[str, int] | None:
    """The format string of the paths that match (`%s` for each group), and how many groups it has.

    None if the pattern has other groups than capturing ones side by side, or escapes that stand
    for more than one character. Other operators between groups are taken as literal text.
    """
    if regex.flags & re.VERBOSE:
        return None
    tokens = _TOKEN.findall(regex.pattern)
    if tokens[:1] == ["^"]:
        del tokens[0]
    if tokens[-1:] == ["$"]:
        del tokens[-1]
    pieces: list[str] = []
    groups = depth = 0
    for token in tokens:
        match token[0]:
            case "(" if depth == 0 and token.endswith("?"):
                return None
            case "(":
                if depth == 0:
                    groups += 1
                    pieces.append("%s")
                depth += 1
            case ")":
                depth -= 1
            case _ if depth:
                continue
            case "\\":
                if token[1].isascii() and token[1].isalnum():
                    return None
                pieces.append(token[1].replace("%", "%%"))
            case _:
                pieces.append(token.replace("%", "%%"))
    # The others lie within those that were counted.
    return ("".join(pieces), groups) if groups == regex.groups else None
