"""JSON as `json_encode` writes it."""

import collections
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon.escape import json_encode

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet='<>/\\"\x7f\n\t\b\f\r\x00\u2028\U0001f300'),
    lambda values: (
        st.lists(values) | st.lists(values).map(tuple) | st.dictionaries(st.text(), values)
    ),
)


@given(JSON_VALUES)
def test_json_is_what_the_standard_library_writes(value):
    assert json_encode(value) == json.dumps(value).replace("</", "<\\/")


@pytest.mark.parametrize(
    "value", [{1: 2}, {"a": 2**70}, collections.OrderedDict(a=1), "\ud800", [[[]] * 3], True]
)
def test_json_that_takes_the_standard_library(value):
    assert json_encode(value) == json.dumps(value)


def test_json_of_deep_nesting():
    value: list = []
    for _ in range(200):
        value = [value]
    assert json_encode(value) == json.dumps(value)
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular"):
        json_encode(loop)


def test_json_that_cannot_be():
    with pytest.raises(TypeError):
        json_encode({"a": object()})
