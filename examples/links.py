"""Find the broken links of a site.

python examples/links.py http://localhost:8888/

Every page below the URL is read and all that it links to is fetched, other sites' pages too, twenty
requests at a time. Links that lead nowhere are printed with the page that they are on.
"""

import argparse
import asyncio
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from typhoon.httpclient import AsyncHTTPClient, HTTPError, HTTPResponse

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src"}
PAGE_MAX = 10 * 1024 * 1024  # bytes
NO_HEAD = (405, 501)  # from servers that have the page, and do not know HEAD


class LinkParser(HTMLParser):
    """Collects the addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if link := dict(attributes).get(LINKS.get(tag, "")):
            self.links.add(link)


def links_of(response: HTTPResponse) -> set[str]:
    """The http and https URLs that a page links to."""
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return set()
    parser = LinkParser()
    parser.feed(response.body.decode("utf-8", "replace"))
    urls = {urldefrag(urljoin(response.effective_url, link)).url for link in parser.links}
    return {url for url in urls if url.startswith(("http://", "https://"))}


class Checker:
    """Checks a site.

    Attributes:
        found: The page on which each URL was found first.
        broken: What is wrong with those that are broken.
    """

    def __init__(self, start: str, at_once: int) -> None:
        self.start = urldefrag(start).url if urlsplit(start).path else f"{start}/"
        self.folder = urljoin(self.start, ".")
        self.at_once = at_once
        self.found = {self.start: ""}
        self.broken: dict[str, str] = {}
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.client = AsyncHTTPClient(
            force_instance=True, max_clients=at_once, max_body_size=PAGE_MAX
        )

    async def run(self) -> None:
        """Check everything."""
        self.queue.put_nowait(self.start)
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self.work()) for _ in range(self.at_once)]
            await self.queue.join()
            for worker in workers:
                worker.cancel()
        self.client.close()

    async def work(self) -> None:
        while True:
            url = await self.queue.get()
            await self.check(url)
            self.queue.task_done()

    async def check(self, url: str) -> None:
        is_page = url.startswith(self.folder)  # else it is enough to know that it is there
        try:
            response = await self.client.fetch(url, method="GET" if is_page else "HEAD")
        except HTTPError as error:
            if is_page or error.code not in NO_HEAD:
                self.broken[url] = str(error)
        except (OSError, ValueError) as error:
            self.broken[url] = str(error)
        else:
            if is_page and response.effective_url.startswith(self.folder):
                for link in links_of(response) - self.found.keys():
                    self.found[link] = url
                    self.queue.put_nowait(link)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Find the broken links of a site.")
    parser.add_argument("url", help="where to begin; what is below it is read")
    parser.add_argument("--at-once", type=int, default=20, help="requests at a time (default: 20)")
    options = parser.parse_args()

    checker = Checker(options.url, options.at_once)
    await checker.run()
    for url, problem in sorted(checker.broken.items()):
        page = checker.found[url]
        print(f"{page}: {url}: {problem}" if page else f"{url}: {problem}")
    print(f"{len(checker.found)} links, {len(checker.broken)} broken")
    if checker.broken:
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
