"""Which names the code of a template needs."""

import dis
from types import CodeType

_LOADS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))


def global_names(code: CodeType) -> frozenset[str]:
    """The names that the code, and all that is defined in it, looks up outside of itself."""
    names: set[str] = set()
    pending = [code]
    while pending:
        part = pending.pop()
        names.update(i.argval for i in dis.get_instructions(part) if i.opname in _LOADS)
        pending += [constant for constant in part.co_consts if isinstance(constant, CodeType)]
    return frozenset(names)
