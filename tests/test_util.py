from __future__ import annotations

import gzip
import re
import sys
import threading
import unittest
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import typhoon.escape
from typhoon import util
from typhoon.util import ArgReplacer, Configurable, GzipDecompressor, ObjectDict


def test_object_dict() -> None:
    values = ObjectDict(a=1)
    values.b = 2
    assert values == {"a": 1, "b": 2}
    assert values.a == values["a"] == 1
    with pytest.raises(AttributeError, match="c"):
        values.c


def compressed(data: bytes) -> bytes:
    """The same bytes at any time, so that every worker collects the same tests."""
    return gzip.compress(data, mtime=0)


def decompressed(data: bytes, read_size: int = 1024, max_length: int = 1024) -> bytes:
    decompressor = GzipDecompressor()
    result = b""
    for start in range(0, len(data), read_size):
        chunk = data[start : start + read_size]
        while chunk:
            output = decompressor.decompress(chunk, max_length)
            assert len(output) <= max_length
            assert output or len(decompressor.unconsumed_tail) < len(chunk)
            chunk = decompressor.unconsumed_tail
            result += output
    assert decompressor.flush() == b""
    return result


@given(
    st.lists(st.binary() | st.binary().map(lambda data: data * 300), max_size=4),
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_gzip_members(members: list[bytes], read_size: int, max_length: int) -> None:
    data = b"".join(compressed(member) for member in members)
    assert decompressed(data, read_size, max_length) == b"".join(members)


def test_gzip_many_members_at_once() -> None:
    data = compressed(b"x") * 5000
    assert GzipDecompressor().decompress(data, 10_000) == b"x" * 5000


@pytest.mark.parametrize("read_size", [1, 1024])
@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        zlib.compress(b"hello"),
        compressed(b"hello") + b"\0",
        compressed(b"hello") + b"garbage",
        compressed(b"hello")[:-1],
        compressed(b"hello") + compressed(b"world")[:5],
        compressed(b"hello")[:-8] + b"12345678",
    ],
)
def test_gzip_errors(data: bytes, read_size: int) -> None:
    with pytest.raises(zlib.error):
        decompressed(data, read_size)


def test_gzip_flush_does_not_go_on() -> None:
    decompressor = GzipDecompressor()
    assert len(decompressor.decompress(compressed(bytes(1 << 20)), 1000)) == 1000
    assert decompressor.unconsumed_tail
    with pytest.raises(ValueError, match="unconsumed"):
        decompressor.flush()


def test_gzip_without_limit_is_deprecated() -> None:
    decompressor = GzipDecompressor()
    with pytest.warns(DeprecationWarning, match="max_length"):
        assert decompressor.decompress(compressed(b"a") * 2) == b"aa"


def test_import_object() -> None:
    assert util.import_object("typhoon") is typhoon
    assert util.import_object("typhoon.escape") is typhoon.escape
    assert util.import_object("typhoon.escape.utf8") is typhoon.escape.utf8
    with pytest.raises(ImportError, match="missing"):
        util.import_object("typhoon.missing")
    with pytest.raises(ImportError, match="missing"):
        util.import_object("typhoon.missing.name")


def test_exec_in() -> None:
    names: dict[str, Any] = {"x": 1}
    util.exec_in("def f(a: int): return x + a", names)
    assert names["f"](2) == 3
    # This file has the future import; what it executes has not.
    assert names["f"].__annotations__ == {"a": int}
    local: dict[str, Any] = {}
    util.exec_in(compile("y = x", "<test>", "exec"), names, local)
    assert local == {"y": 1}


def test_raise_exc_info() -> None:
    try:
        1 / 0
    except ZeroDivisionError:
        exc_info = sys.exc_info()
    with pytest.raises(ZeroDivisionError) as caught:
        util.raise_exc_info(exc_info)
    assert caught.value is exc_info[1]
    with pytest.raises(TypeError):
        util.raise_exc_info((None, None, None))


@pytest.mark.parametrize(
    ("error", "number"),
    [(OSError(5, "text"), 5), (Exception(5), 5), (Exception(), None), (OSError(), None)],
)
def test_errno_from_exception(error: BaseException, number: int | None) -> None:
    assert util.errno_from_exception(error) == number


@given(st.text())
def test_re_unescape(text: str) -> None:
    assert util.re_unescape(re.escape(text)) == text


@pytest.mark.parametrize("pattern", [r"\d", r"\b", r"a\Z", r"\0"])
def test_re_unescape_refuses_what_is_no_literal(pattern: str) -> None:
    with pytest.raises(ValueError, match="cannot unescape"):
        util.re_unescape(pattern)


class Interface(Configurable):
    options: dict[str, Any]

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        return Interface

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        return Default

    def initialize(self, *args: int, **kwargs: int) -> None:
        self.args = args
        self.options = kwargs


class Default(Interface):
    pass


class Other(Interface):
    pass


class Nested(Interface):
    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        return Nested

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        return Inner


class Inner(Nested):
    pass


@pytest.fixture
def configurable() -> Iterator[type[Interface]]:
    saved = Interface._save_configuration(), Nested._save_configuration()
    yield Interface
    Interface._restore_configuration(saved[0])
    Nested._restore_configuration(saved[1])


def test_configurable_default(configurable: type[Interface]) -> None:
    instance = configurable(1, a=2)
    assert type(instance) is Default
    assert (instance.args, instance.options) == ((1,), {"a": 2})
    assert configurable.configured_class() is Default


@pytest.mark.parametrize("implementation", [Other, f"{__name__}.Other"])
def test_configure(configurable: type[Interface], implementation: str | type[Other]) -> None:
    configurable.configure(implementation, a=1, b=2)
    instance = configurable(b=3)
    assert type(instance) is Other
    assert instance.options == {"a": 1, "b": 3}
    # The arguments belong to the interface: a class that is called itself does not get them.
    assert Other().options == {}
    assert type(Default()) is Default
    configurable.configure(None)
    assert type(configurable()) is Default


def test_configure_nested(configurable: type[Interface]) -> None:
    assert type(Nested()) is Inner
    configurable.configure(Nested, a=1)
    instance = configurable()
    assert type(instance) is Inner
    assert instance.options == {"a": 1}
    configurable.configure(None)
    assert type(configurable()) is Default
    assert type(Nested()) is Inner


@pytest.mark.parametrize("implementation", [dict, "threading.Thread", threading.current_thread])
def test_configure_refuses_other_classes(
    configurable: type[Interface], implementation: Any
) -> None:
    with pytest.raises(ValueError, match="is not a subclass"):
        configurable.configure(implementation)


def test_arg_replacer() -> None:
    def function(x: int, y: int, callback: Any = None, z: Any = None) -> None:
        pass

    replacer = ArgReplacer(function, "callback")
    assert (replacer.name, replacer.arg_pos) == ("callback", 2)
    assert replacer.get_old_value((1, 2), {}, "default") == "default"
    assert replacer.replace("new", (1, 2), {}) == (None, (1, 2), {"callback": "new"})
    assert replacer.replace("new", (1, 2, "old", 3), {}) == ("old", [1, 2, "new", 3], {})
    assert replacer.replace("new", (1,), {"callback": "old", "z": 3}) == (
        "old",
        (1,),
        {"callback": "new", "z": 3},
    )


def test_arg_replacer_keyword_only() -> None:
    def function(x: int, *rest: int, callback: Any = None) -> None:
        pass

    replacer = ArgReplacer(function, "callback")
    assert replacer.arg_pos is None
    assert replacer.replace("new", (1, 2, 3), {}) == (None, (1, 2, 3), {"callback": "new"})


def test_timedelta_to_seconds() -> None:
    assert util.timedelta_to_seconds(timedelta(hours=1, milliseconds=500)) == 3600.5


def test_aliases() -> None:
    assert util.TimeoutError is TimeoutError
    assert (util.bytes_type, util.unicode_type, util.basestring_type) == (bytes, str, str)
    assert not util.is_finalizing()


def test_doctests() -> None:
    result = unittest.TestResult()
    util.doctests().run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.failures
