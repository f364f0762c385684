"""What a server or proxy asks for: WWW-Authenticate and Proxy-Authenticate (RFC 9110 §11.6.1)."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SEPARATORS: Final = re.compile(r"[ \t,]*")
_PARAMETER: Final = re.compile(
    rf'({_NAME})[ \t]*=[ \t]*(?:({_NAME})|"((?:[^"\\]|\\.)*)")[ \t]*(?=,|$)'
)
_SCHEME: Final = re.compile(rf"({_NAME})(?:[ \t]+|(?=,)|$)")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|$)")
_ESCAPED: Final = re.compile(r"\\(.)")


class Challenge(NamedTuple):
    """One of the ways in which a client may authenticate."""

    scheme: str
    """In lower case, such as `digest`."""
    parameters: dict[str, str]
    """Values without their quotes, by names in lower case. If one came twice, its first value."""


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of a header, whose fields have these values, in their order.

    There may be several in one field. From where a field is malformed, the rest of it is left out.
    Linear in the length of the fields.

    >>> parse_challenges(['Basic realm="a, b", Digest nonce=c, realm="d"'])[1].parameters
    {'nonce': 'c', 'realm': 'd'}
    """
    return [challenge for value in values for challenge in _parse(value)]


def _parse(value: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    position = 0
    while True:
        position = _SEPARATORS.match(value, position).end()  # type: ignore[union-attr]  # always
        if challenges and (parameter := _PARAMETER.match(value, position)):
            name, token, quoted = parameter.groups()
            text = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
            challenges[-1].parameters.setdefault(name.lower(), text)
            position = parameter.end()
        elif scheme := _SCHEME.match(value, position):
            challenges.append(Challenge(scheme[1].lower(), {}))
            position = scheme.end()
            if token68 := _TOKEN68.match(value, position):
                position = token68.end()
        else:
            return challenges
