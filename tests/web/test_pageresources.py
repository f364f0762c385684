"""Where in a page the resources of its UI modules go."""

from __future__ import annotations

import pytest

from typhoon.web.pageresources import insert

H, B = b"[HEAD]", b"[BODY]"


@pytest.mark.parametrize(
    "page",
    [
        # | marks where the head's resources go, ^ where the body's go.
        "<html><head>|</head><body>text^</body></html>",
        "<HTML><HEAD>|</HEAD ><BODY>text^</BODY\n></HTML>",
        # Tags may be missing.
        "<html><head><title>x</title>|<body class=x>text^</html>\n",
        "<!doctype html><html lang=en>|<p>text^",
        "<!DOCTYPE html>\n<!-- a note -->\n<html>\n<head>|<p>text^</html>",
        "|<p>text^",
        "|^",
        # What looks like a tag and is none.
        "<head><!-- </head> --><title></head></title>|</head>^",
        '<head><script>"</head>"</script><style>/*</head>*/</style>|</head><body>^</body>',
        "<head><header></header><head-line></head-line>|</head><body>^</body>",
        "<head>|</head><body><p>x</p>^</body><!-- </body> --></html>",
        '<head>|</head><body>^</body><script>"</body>"</script>',
        "<head>|</head><body><!-- </body> -->text^</body>",
        '<head>|</head><body><script>"</body>"</script>text^',
        "<head>|</head><body><textarea></body></textarea>^</html>",
        "<head><!--> |</head><body>^</body>",
        "<head><!-- x --!>|</head><body>^</body>",
        "<head><title-bar></title-bar>|</head><body>^</body>",
        # The page within the page.
        '<head>|</head><body><iframe srcdoc="&lt;/body>"></iframe>^</body></html>',
        # The last one counts for the body, the first one for the head.
        "<head>|</head><body></head></body>^</body>",
        # Never closed.
        "|<!-- </head>^",
        "<head>|<script></head>^",
    ],
)
def test_insert(page: str) -> None:
    plain = page.replace("|", "").replace("^", "").encode()
    expected = page.replace("|", "[HEAD]").replace("^", "[BODY]").encode()
    assert insert(plain, H, B) == expected
    assert insert(plain, H, b"") == expected.replace(B, b"")
    assert insert(plain, b"", B) == expected.replace(H, b"")


@pytest.mark.parametrize(
    "part",
    [
        *(b"<!--", b"<script>", b"<head>", b"</html> ", b"<html><", b"<!doctype ", b" ", b"<"),
        *(b"</body><!--", b"</body>--> ", b"<!---->", b"<title></", b"</head", b"<!--x--!"),
    ],
)
def test_each_byte_is_looked_at_a_bounded_number_of_times(part: bytes) -> None:
    """With quadratic work, this would take minutes."""
    page = part * (1_000_000 // len(part))
    assert len(insert(page, H, B)) == len(page) + len(H) + len(B)
