"""The native functions that compiled templates write with."""

from collections.abc import Callable

import pytest

from typhoon._core import template_output


def test_constants_and_values_in_turn() -> None:
    emit, raw, finish = template_output(0, None)
    assert emit() is None
    emit("<a>")
    emit("<b>", "<", "<é>", 1)
    raw("<c>", "<", "", b"\xff", "<d>")
    assert finish() == "<a><b>&lt;<é>1<c><".encode() + b"\xff<d>"
    assert finish() == b""


@pytest.mark.parametrize("expected", [0, 1, 100_000, 2**40])
def test_the_expected_length_is_a_guess(expected: int) -> None:
    _, raw, finish = template_output(expected, None)
    raw("x" * 10_000)
    assert finish() == b"x" * 10_000


def test_values_are_escaped_by_another_function() -> None:
    seen: list[bytes] = []

    def escape(value: bytes) -> bytes:
        seen.append(value)
        return b"<" + value + b">"

    emit, raw, finish = template_output(0, escape)
    emit("a", "b", "", b"c", "", 1)
    raw("", "d")
    assert finish() == b"a<b><c><1>d"
    assert seen == [b"b", b"c", b"1"]


def test_constants_are_str() -> None:
    emit, _, _ = template_output(0, None)
    for constant in (b"x", 1, None):
        with pytest.raises(TypeError, match="constants are str"):
            emit(constant)
    with pytest.raises(TypeError, match="keyword"):
        emit(x="x")


@pytest.mark.parametrize("which", [0, 1])
def test_a_value_may_not_write_to_the_same_output(which: int) -> None:
    functions = template_output(0, None)
    write: Callable[..., None] = functions[which]

    class Writing:
        def __str__(self) -> str:
            write("again")
            return ""

    with pytest.raises(RuntimeError, match="borrowed"):
        write("a", Writing())
    write("b")
    assert functions[2]() == b"ab"


def test_the_output_outlives_its_functions() -> None:
    emit, finish = template_output(0, None)[::2]
    emit("x")
    del emit
    assert finish() == b"x"
