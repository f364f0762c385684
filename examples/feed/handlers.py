"""What happens on each request."""

import asyncio
from http.client import responses
from typing import Any
from urllib.parse import urlsplit

import pages
from live import LiveFeed
from rules import LARGEST_ID, Refused, clean_nickname, clean_text, picture_extension
from storage import PAGE, SESSION_SECONDS, Message, Storage

from typhoon.web import HTTPError, RequestHandler, StaticFileHandler

COOKIE = "feed_session"
POLL_SECONDS = 25.0  # under the half minute after which many proxies hang up

SECURITY_HEADERS = {
    # Nothing on the page comes from elsewhere, and no script or style stands in the HTML itself.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


class FeedHandler(RequestHandler):
    """What the feed's handlers share: who is signed in, and how pages and errors are shown."""

    def set_default_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        if self.request.method == "POST" and not self.comes_from_our_page():
            raise Refused("This form was sent from another site, so nothing was done.", 403)
        token = self.get_cookie(COOKIE)
        self.current_user = await self.storage.nickname_of(token) if token else None

    @property
    def storage(self) -> Storage:
        storage: Storage = self.settings["storage"]
        return storage

    @property
    def live(self) -> LiveFeed:
        live: LiveFeed = self.settings["live"]
        return live

    def comes_from_our_page(self) -> bool:
        """Whether the browser says so; without a word from one, no foreign page can be involved."""
        site = self.request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = self.request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == self.request.host

    def wants_json(self) -> bool:
        """Whether our script asks, rather than a plain form."""
        return "application/json" in self.request.headers.get("Accept", "")

    def message_id(self, name: str) -> int:
        """The argument of this name, which has to be a message's id."""
        value = self.get_query_argument(name)
        if not (value.isascii() and value.isdecimal() and len(value) < 20):
            raise HTTPError(400, "%s is not a message's id", name)
        return min(int(value), LARGEST_ID)

    def write_messages(self, messages: list[Message], **more: Any) -> None:
        html = [{"id": message.id, "html": pages.message(message)} for message in messages]
        self.write({"messages": html, **more})

    async def show_home(self, before: int | None = None, **fields: str) -> None:
        """The page with the newest messages, or with those before the given one."""
        latest = self.live.latest
        newest = latest + 1 if before is None else before
        messages = await self.storage.messages_before(newest, PAGE + 1)
        self.write(
            pages.home(
                self.static_url,
                user=self.current_user,
                messages=messages[:PAGE],
                older=len(messages) > PAGE,
                latest=latest if before is None else None,
                **fields,
            )
        )

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        if isinstance(error, Refused):
            sentence = error.sentence
        elif status_code == 404:
            sentence = "There is nothing at this address."
        elif status_code >= 500:
            sentence = "Something broke on our side. Please try again."
        else:
            sentence = f"That did not work: {responses.get(status_code, 'error')}."
        if self.wants_json():
            self.finish({"error": sentence})
        else:
            self.finish(pages.problem(self.static_url, status_code, sentence))


class HomeHandler(FeedHandler):
    async def get(self) -> None:
        before = self.message_id("before") if self.get_query_argument("before", "") else None
        await self.show_home(before)


class NotFoundHandler(FeedHandler):
    async def prepare(self) -> None:
        raise HTTPError(404)


class SignInHandler(FeedHandler):
    def get(self) -> None:
        self.redirect("/")

    async def post(self) -> None:
        nickname = self.get_body_argument("nickname", "")
        try:
            token = await self.storage.start_session(
                clean_nickname(nickname), instead_of=self.get_cookie(COOKIE)
            )
            if token is None:
                raise Refused(f"“{nickname}” is signed in already. Choose another nickname.", 409)
        except Refused as refused:
            self.set_status(refused.status_code)
            await self.show_home(error=refused.sentence, nickname=nickname)
            return
        self.set_cookie(
            COOKIE,
            token,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )
        self.redirect("/", status=303)


class SignOutHandler(FeedHandler):
    def get(self) -> None:
        self.redirect("/")

    async def post(self) -> None:
        if token := self.get_cookie(COOKIE):
            await self.storage.end_session(token)
        self.clear_cookie(COOKIE)
        self.redirect("/", status=303)


class MessagesHandler(FeedHandler):
    def get(self) -> None:
        self.redirect("/")

    async def post(self) -> None:
        text = self.get_body_argument("text", "")
        try:
            message = await self.add_message(text)
        except Refused as refused:
            if self.wants_json():
                raise
            self.set_status(refused.status_code)
            await self.show_home(error=refused.sentence, text=text)
            return
        self.live.announce(message.id)
        if self.wants_json():
            self.set_status(201)
            self.write_messages([message])
        else:
            self.redirect("/", status=303)

    async def add_message(self, text: str) -> Message:
        if self.current_user is None:
            raise Refused("You are signed out. Sign in to post.", 401)
        text = clean_text(text)
        uploads = self.request.files.get("picture")
        picture = uploads[0].body if uploads else None
        if not text and not picture:
            raise Refused("Write something, or choose a picture.")
        extension = picture_extension(picture) if picture else ""
        return await self.storage.add_message(self.current_user, text, picture or None, extension)


class OlderHandler(FeedHandler):
    """For the script: the page of messages before the given one."""

    async def get(self) -> None:
        messages = await self.storage.messages_before(self.message_id("before"), PAGE + 1)
        self.write_messages(messages[:PAGE], older=len(messages) > PAGE)


class LiveHandler(FeedHandler):
    """For the script: what is newer than the given message, as soon as there is something."""

    waiter: asyncio.Future[None] | None = None

    async def get(self) -> None:
        after = self.message_id("after")
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.waiter = self.live.newer_than(after)
        try:
            await self.flush()  # the headers go out at once: the browser knows it is connected
            await asyncio.wait([self.waiter], timeout=POLL_SECONDS)
            gone = self.waiter.cancelled()
        finally:
            self.waiter.cancel()
        if not gone:
            self.write_messages(await self.storage.messages_after(after))

    def on_connection_close(self) -> None:
        if self.waiter is not None:
            self.waiter.cancel()


class PictureHandler(StaticFileHandler):
    """The pictures that people have posted; no name is used twice, so browsers may keep them."""

    TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

    def set_extra_headers(self, path: str) -> None:
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")

    def get_content_type(self) -> str:
        """The type that was told from the bytes when the picture came."""
        extension = self.path.rpartition(".")[2]
        return self.TYPES.get(extension, "application/octet-stream")
