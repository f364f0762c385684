"""``python -m typhoon.httpclient``: fetch from the command line."""

import sys

from typhoon.httpclient.blocking import HTTPClient
from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.failures import mask_url
from typhoon.httpclient.response import HTTPResponse


def main() -> None:
    """Fetch the URLs on the command line, and print what comes back.

    Options: ``--print_headers``, ``--print_body`` (true by default), ``--follow_redirects`` (true
    by default), ``--validate_cert`` (true by default), ``--proxy_host``, ``--proxy_port``.

    A response is printed whatever its status is. For a URL without a response a line on standard
    error says why; the others are fetched, and the exit code is 1.
    """
    from typhoon.options import Error, define, options, parse_command_line

    define("print_headers", type=bool, default=False, help="Print the response's headers")
    define("print_body", type=bool, default=True, help="Print the response's body")
    define("follow_redirects", type=bool, default=True, help="Follow redirects")
    define("validate_cert", type=bool, default=True, help="Check the server's certificate")
    define("proxy_host", type=str, help="The proxy to use")
    define("proxy_port", type=int, help="The port of the proxy")
    try:
        urls = parse_command_line()
    except Error as error:
        hint = "" if "--help" in str(error) else "; --help lists the options"
        sys.exit(f"{error}{hint}")
    if late := [url for url in urls if url.startswith("--")]:
        sys.exit(f"{late[0]} is behind a URL: options come first")
    if not urls:
        sys.exit("no URL to fetch: write python -m typhoon.httpclient URL..., or see --help")
    settings = {
        name: getattr(options, name)
        for name in ("follow_redirects", "validate_cert", "proxy_host", "proxy_port")
    }
    client = HTTPClient()
    failed = False
    try:
        for url in urls:
            try:
                response = client.fetch(url, raise_error=False, **settings)
            except (HTTPClientError, OSError, ValueError) as error:
                failed = True
                print(f"{mask_url(url)}: {_one_line(error)}", file=sys.stderr)
            else:
                _print(response, headers=options.print_headers, body=options.print_body)
    finally:
        client.close()
    if failed:
        sys.exit(1)


def _print(response: HTTPResponse, *, headers: bool, body: bool) -> None:
    if headers:
        print(response.headers)
    if body:
        print(response.body.decode("utf-8", "replace"))


def _one_line(error: Exception) -> str:
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return " ".join(f"{error or type(error).__name__}{notes}".split())
