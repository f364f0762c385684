"""How both sides agree upon permessage-deflate (RFC 7692 §7.1)."""

from __future__ import annotations

import pytest

from typhoon.websocket import WebSocketError
from typhoon.websocket.deflate import Deflate, check_options, parse_extensions

NAME = "permessage-deflate"


@pytest.mark.parametrize(
    ("offer", "agreed", "answer"),
    [
        (NAME, Deflate(), NAME),
        (f"{NAME}; client_max_window_bits", Deflate(), NAME),
        (f"{NAME}; client_max_window_bits=10", Deflate(), NAME),
        (
            f"{NAME}; server_no_context_takeover",
            Deflate(server_keeps_context=False),
            f"{NAME}; server_no_context_takeover",
        ),
        (
            f"{NAME}; client_no_context_takeover; server_max_window_bits=9",
            Deflate(client_keeps_context=False, server_bits=9),
            f"{NAME}; client_no_context_takeover; server_max_window_bits=9",
        ),
        (
            f'{NAME}; server_max_window_bits="12"',
            Deflate(server_bits=12),
            f"{NAME}; server_max_window_bits=12",
        ),
        # The first offer that will do, of several.
        (f"x-other, {NAME}; server_max_window_bits=8, {NAME}", Deflate(), NAME),
    ],
)
def test_offers_that_are_accepted(offer, agreed, answer):
    assert Deflate.accept(offer) == (agreed, answer)


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        f"{NAME}; unknown",
        f"{NAME}; unknown=1",
        f"{NAME}; server_no_context_takeover=1",
        f"{NAME}; server_max_window_bits",
        f"{NAME}; server_max_window_bits=8",
        f"{NAME}; server_max_window_bits=16",
        f"{NAME}; server_max_window_bits=010",
        f"{NAME}; client_max_window_bits=7",
        f"{NAME}; client_no_context_takeover; client_no_context_takeover",
    ],
)
def test_offers_that_are_not(offer):
    assert Deflate.accept(offer) is None


def test_answers():
    assert Deflate.agreed("") is None
    assert Deflate.agreed(NAME) == Deflate()
    answer = f"{NAME}; server_no_context_takeover; client_max_window_bits=10"
    assert Deflate.agreed(answer) == Deflate(server_keeps_context=False, client_bits=10)


@pytest.mark.parametrize(
    "answer",
    [
        "x-other",
        f"{NAME}, {NAME}",
        f"{NAME}; client_max_window_bits",
        f"{NAME}; client_max_window_bits=8",
        f"{NAME}; unknown",
        f"{NAME}; server_max_window_bits=9; server_max_window_bits=9",
    ],
)
def test_answers_to_what_was_not_offered(answer):
    with pytest.raises(WebSocketError):
        Deflate.agreed(answer)


def test_each_side_compresses_with_its_own_window():
    agreed = Deflate(server_keeps_context=False, server_bits=9, client_bits=10)
    assert agreed.settings(False, {"compression_level": 2}) == {
        "level": 2,
        "inflate_bits": 10,
        "inflate_context": True,
        "deflate_bits": 9,
        "deflate_context": False,
    }
    assert agreed.settings(True, {})["inflate_bits"] == 9


def test_options():
    check_options({"compression_level": 0, "mem_level": 9})
    with pytest.raises(ValueError, match="compression_level"):
        check_options({"level": 1})
    with pytest.raises(ValueError, match="0 to 9"):
        check_options({"compression_level": 10})


def test_extensions_are_read_as_lists():
    assert parse_extensions(' a ; x ; y = "1" ,, b') == [("a", {"x": None, "y": "1"}), ("b", {})]
