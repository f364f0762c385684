"""What is wrong with a template."""


class ParseError(Exception):
    """A template cannot be compiled.

    :param message: what is wrong, and what to do about it.
    :param filename: the name of the template.
    :param lineno: the line in it, from 1; 0 if it is not about one line.
    """

    message: str
    filename: str | None
    lineno: int
    text: str | None = None
    """The text of the template, for those who show the line; None if it is not known."""

    def __init__(self, message: str, filename: str | None = None, lineno: int = 0) -> None:
        super().__init__(message, filename, lineno)
        self.message = message
        self.filename = filename
        self.lineno = lineno

    def __str__(self) -> str:
        return f"{self.message} at {self.filename}:{self.lineno}"


class NestingError(Exception):
    """Templates extend or include each other in a circle, or too many of them do."""
