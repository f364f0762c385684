"""Log messages that a test expects."""

import logging
import re
import warnings
from types import TracebackType


class ExpectLog(logging.Filter):
    """Context manager that expects a log message, and keeps it from being printed.

    .. code-block:: python

        with ExpectLog("typhoon.application", "Uncaught exception"):
            response = self.fetch("/broken")

    Messages that do not match are logged as usual. Not thread-safe.

    Args:
        logger: The logger that the message is logged to, or its name; the empty string is the
            root logger. What is logged to its children does not count.
        regex: A regular expression that the start of the message must match; case matters.
        required: Whether it is an error if there is no such message.
        level: The level of the message, such as `logging.INFO`; messages of other levels do not
            match. The logger is set to let this level through in the meantime. Without it every
            level matches; that a required message is below ``WARNING`` is deprecated then.

    Attributes:
        matched: How many messages have matched.
        logged_stack: Whether one of them came with a traceback.
        deprecated_level_matched: How many matched below ``WARNING`` with no `level` given.
    """

    def __init__(
        self,
        logger: logging.Logger | str,
        regex: str,
        required: bool = True,
        level: int | None = None,
    ) -> None:
        super().__init__()
        self.logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self.regex = re.compile(regex)
        self.required = required
        self.level = level
        self.matched = 0
        self.deprecated_level_matched = 0
        self.logged_stack = False
        self.orig_level: int | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is to be logged: it is not the expected one."""
        if self.level is not None and record.levelno != self.level:
            return True
        if self.regex.match(record.getMessage()) is None:
            return True
        self.matched += 1
        if record.exc_info:
            self.logged_stack = True
        if self.level is None and record.levelno < logging.WARNING:
            self.deprecated_level_matched += 1
        return False

    def __enter__(self) -> "ExpectLog":
        if self.level is not None and not self.logger.isEnabledFor(self.level):
            self.orig_level = self.logger.level
            self.logger.setLevel(self.level)
        self.logger.addFilter(self)
        return self

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.orig_level is not None:
            self.logger.setLevel(self.orig_level)
            self.orig_level = None
        self.logger.removeFilter(self)
        if typ is not None:
            return
        if not self.required:
            return
        if not self.matched:
            raise AssertionError(
                f"nothing that matches {self.regex.pattern!r} was logged to {self.logger.name!r}"
                + (f" at level {logging.getLevelName(self.level)}" if self.level else "")
            )
        if self.deprecated_level_matched == self.matched:
            warnings.warn(
                f"ExpectLog matched {self.regex.pattern!r} below WARNING: "
                "pass the level that is expected, such as level=logging.INFO",
                DeprecationWarning,
                stacklevel=2,
            )
