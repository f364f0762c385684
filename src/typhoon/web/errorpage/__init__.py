"""What is answered if a request ends in an error and the application has no page of its own.

| the client takes (`Accept`) | answer | with `serve_traceback` and an exception |
| --- | --- | --- |
| HTML, and says so: a browser | a small page | the debug page |
| JSON, and says so | problem details (RFC 9457) | the same with the stack trace |
| anything else, or anything | one line of HTML | the stack trace as plain text |
"""

from typhoon.web.errorpage.answer import answer_error

__all__ = ["answer_error"]
