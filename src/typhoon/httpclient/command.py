"""``python -m typhoon.httpclient``: fetch from the command line."""

from typhoon.httpclient.blocking import HTTPClient
from typhoon.httpclient.errors import HTTPClientError


def main() -> None:
    """Fetch the URLs on the command line, and print what comes back.

    Options: ``--print_headers``, ``--print_body`` (true by default), ``--follow_redirects`` (true
    by default), ``--validate_cert`` (true by default), ``--proxy_host``, ``--proxy_port``.
    """
    from typhoon.options import define, options, parse_command_line

    define("print_headers", type=bool, default=False, help="Print the response's headers")
    define("print_body", type=bool, default=True, help="Print the response's body")
    define("follow_redirects", type=bool, default=True, help="Follow redirects")
    define("validate_cert", type=bool, default=True, help="Check the server's certificate")
    define("proxy_host", type=str, help="The proxy to use")
    define("proxy_port", type=int, help="The port of the proxy")
    urls = parse_command_line()
    client = HTTPClient()
    try:
        for url in urls:
            try:
                response = client.fetch(
                    url,
                    follow_redirects=options.follow_redirects,
                    validate_cert=options.validate_cert,
                    proxy_host=options.proxy_host,
                    proxy_port=options.proxy_port,
                )
            except HTTPClientError as error:
                if error.response is None:
                    raise
                response = error.response
            if options.print_headers:
                print(response.headers)
            if options.print_body:
                print(response.body.decode("utf-8", "replace"))
    finally:
        client.close()
