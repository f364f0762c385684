"""How both sides agree upon permessage-deflate (RFC 7692 §7.1)."""

from __future__ import annotations

import pytest

from typhoon.websocket.deflate import Deflate, check_options, parse_extensions

NAME = "permessage-deflate"


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
