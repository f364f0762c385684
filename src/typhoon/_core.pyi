"""The typed face of the native core (`rust/src/python`)."""

__version__: str

class RouteTable:
    """Tells which rules of an ordered list can match a path, by the literal text of their patterns."""

    def __init__(self, literals: list[tuple[str, bool]], /) -> None:
        """Index rules by (the literal text the pattern starts with, whether it is all of it)."""

    def candidates(self, path: str, /) -> tuple[int, ...]:
        """The indices of the rules that can match this path, in ascending order."""
