"""The answer to a request that failed: for a browser, a program, or nobody in particular."""

from typing import TYPE_CHECKING, Any

from typhoon.escape import json_encode, xhtml_escape
from typhoon.log import app_log
from typhoon.web.errorpage.accept import wanted_kind
from typhoon.web.negotiation import add_vary

if TYPE_CHECKING:
    from typhoon.web.handler import RequestHandler

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{
  display: grid; min-height: 100vh; margin: 0; place-content: center; text-align: center;
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}}
p {{ margin: 0.25rem 1rem; opacity: 0.7; }}
.status {{ font-size: 4rem; font-weight: 700; line-height: 1; opacity: 0.3; }}
h1 {{ margin: 0.5rem 1rem; font-size: 1.5rem; }}
</style>
</head>
<body>
<main>
<p class="status">{status}</p>
<h1>{reason}</h1>
<p>{sentence}</p>
</main>
</body>
</html>
"""
# Without the style, which a policy may forbid, it is a heading and two sentences.

_SENTENCES = {
    400: "The server could not make sense of this request.",
    401: "You have to sign in to see this.",
    403: "You may not see this, or not do this.",
    404: "There is nothing at this address.",
    405: "This address does not take requests of this kind.",
    413: "What was sent is too large.",
    429: "These were too many requests. Wait a while, then try again.",
    503: "The server cannot answer at the moment. Try again in a while.",
}


def answer_error(
    handler: "RequestHandler", status_code: int, error: BaseException | None = None
) -> None:
    """Finish the request with an error page of the kind that the client asks for.

    The stack trace of `error` is on it if the setting `serve_traceback` is on.
    """
    if status_code in (204, 304) or status_code < 200:
        handler.finish()  # no page can go with them (RFC 9110 §6.4.1)
        return
    kind = wanted_kind(handler.request.headers.get("Accept"))
    add_vary(handler._headers, "Accept")
    if error is not None and handler.settings.get("serve_traceback"):
        handler.set_header("Cache-Control", "no-store")
        _answer_traceback(handler, kind, status_code, error)
    elif kind == "json":
        _answer_problem(handler, {"status": status_code, "title": handler._reason})
    else:
        reason = xhtml_escape(handler._reason)
        title = f"{status_code}: {reason}"
        if kind == "html":
            sentence = _SENTENCES.get(status_code) or (
                "The server could not complete this request." if status_code >= 500 else ""
            )
            handler.set_header("Content-Type", "text/html; charset=UTF-8")
            page = _PAGE.format(title=title, status=status_code, reason=reason, sentence=sentence)
        else:
            page = f"<html><title>{title}</title><body>{title}</body></html>"
        handler.finish(page)


def _answer_problem(handler: "RequestHandler", problem: dict[str, Any]) -> None:
    """Problem details (RFC 9457 §3); the type is "about:blank", which may be left out."""
    handler.set_header("Content-Type", "application/problem+json")
    handler.finish(json_encode(problem))


def _answer_traceback(
    handler: "RequestHandler", kind: str | None, status_code: int, error: BaseException
) -> None:
    from typhoon.web.errorpage.page import POLICY, debug_page
    from typhoon.web.errorpage.report import plain_traceback

    if kind == "html":
        try:
            page = debug_page(handler, error)
        except Exception:
            app_log.error("The debug page failed; here is the plain stack trace", exc_info=True)
        else:
            handler.set_header("Content-Type", "text/html; charset=UTF-8")
            handler.set_header("Content-Security-Policy", POLICY)
            handler.finish(page)
            return
    text = plain_traceback(error).encode("utf-8", "backslashreplace")
    if kind == "json":
        problem = {"status": status_code, "title": handler._reason, "traceback": text.decode()}
        _answer_problem(handler, problem)
        return
    handler.set_header("Content-Type", "text/plain")
    handler.finish(text)
