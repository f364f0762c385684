"""What happens on each request."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from http.client import responses
from typing import Any

from live import LiveFeed
from rules import LARGEST_ID, Refused, clean_nickname, clean_text, picture_extension
from storage import PAGE, SESSION_SECONDS, Message, Storage

from typhoon.escape import json_encode, xhtml_escape
from typhoon.locale import Locale, get_supported_locales
from typhoon.web import (
    HTTPError,
    RequestHandler,
    StaticFileHandler,
    authenticated,
)
from typhoon.websocket import WebSocketHandler

SESSION = "feed_session"
LANGUAGE = "feed_language"
DOWNLOAD = 10_000  # messages in a download, the newest ones
WAIT_SECONDS = 25  # less than the time in which proxies give up, mostly 60 s

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
    """What the feed's handlers share: who is signed in, in which language, how errors look."""

    def set_default_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        if token := self.session_token():
            self.current_user = await self.storage.nickname_of(token)

    @property
    def storage(self) -> Storage:
        storage: Storage = self.settings["storage"]
        return storage

    @property
    def live(self) -> LiveFeed:
        live: LiveFeed = self.settings["live"]
        return live

    def session_token(self) -> str | None:
        """What the session is found by; the signature spares the database all forgeries."""
        token = self.get_signed_cookie(SESSION)
        return token.decode() if token else None

    def get_user_locale(self) -> Locale | None:
        """The language that was chosen on the page; else the browser says what it likes."""
        code = self.get_cookie(LANGUAGE) or ""
        return Locale.get(code) if code in get_supported_locales() else None

    def keep_cookie(self, name: str, value: str, signed: bool = False) -> None:
        """Set a cookie for as long as a session lasts, which scripts cannot read."""
        days = SESSION_SECONDS / (24 * 3600)
        secure = self.request.protocol == "https"
        keep = self.set_signed_cookie if signed else self.set_cookie
        keep(name, value, expires_days=days, httponly=True, samesite="Lax", secure=secure)

    def wants_json(self) -> bool:
        """Whether our script asks, rather than a plain form."""
        return "application/json" in self.request.headers.get("Accept", "")

    def message_id(self, name: str, value: str | None = None) -> int:
        """The value, or the argument of this name, which has to be a message's id."""
        if value is None:
            value = self.get_query_argument(name)
        if not (value.isascii() and value.isdecimal() and len(value) < 20):
            raise HTTPError(400, "%s is not a message's id", name)
        return min(int(value), LARGEST_ID)

    def for_script(self, messages: list[Message]) -> dict[str, Any]:
        """Messages as the script puts them into a page that is open."""
        htmls = [self.render_string("message.html", message=message) for message in messages]
        pairs = zip(messages, htmls, strict=True)
        return {"messages": [{"id": message.id, "html": html.decode()} for message, html in pairs]}

    async def show_home(self, before: int | None = None, **fields: str) -> None:
        """The page with the newest messages, or with those before the given one."""
        latest = self.live.latest
        newest = latest + 1 if before is None else before
        messages = await self.storage.messages_before(newest, PAGE + 1)
        self.render(
            "home.html",
            messages=messages[:PAGE],
            older=len(messages) > PAGE,
            latest=latest if before is None else None,
            count=await self.storage.count_messages(),
            **{"error": "", "text": "", "nickname": "", "next_url": "", **fields},
        )

    def render_linked_js(self, js_files: Iterable[str]) -> str:
        """The scripts of the UI modules, each with names of its own."""
        urls = [xhtml_escape(self.static_url(file)) for file in dict.fromkeys(js_files)]
        return "".join(f'<script type="module" src="{url}"></script>' for url in urls)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        _ = self.locale.translate
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refused):
            sentence = error.sentence(self.locale)
        elif status_code == 403:  # no token from our page, or another site's page sent it
            sentence = _("This form was sent from another site, or is too old: nothing was done.")
        elif status_code == 404:
            sentence = _("There is nothing at this address.")
        elif status_code >= 500:
            sentence = _("Something broke on our side. Please try again.")
        else:
            reason = responses.get(status_code, str(status_code))
            sentence = _("That did not work: %(reason)s.") % {"reason": reason}
        if self.wants_json():
            self.finish({"error": sentence})
        else:
            self.render("problem.html", status=status_code, sentence=sentence)


class HomeHandler(FeedHandler):
    async def get(self) -> None:
        before = self.message_id("before") if self.get_query_argument("before", "") else None
        await self.show_home(before)


class NotFoundHandler(FeedHandler):
    async def prepare(self) -> None:
        raise HTTPError(404)

    def check_xsrf_cookie(self) -> None:
        """There is nothing here to protect."""


class SignInHandler(FeedHandler):
    async def get(self) -> None:
        if self.current_user is None:
            await self.show_home(next_url=self.get_next_url())
        else:
            self.redirect("/")

    async def post(self) -> None:
        nickname = self.get_body_argument("nickname", "")
        try:
            token = await self.storage.start_session(
                clean_nickname(nickname), instead_of=self.session_token()
            )
            if token is None:
                sentence = "“%(nickname)s” is signed in already. Choose another nickname."
                raise Refused(sentence, status=409, nickname=nickname)
        except Refused as refused:
            self.set_status(refused.status_code)
            sentence = refused.sentence(self.locale)
            await self.show_home(error=sentence, nickname=nickname, next_url=self.get_next_url())
            return
        self.keep_cookie(SESSION, token, signed=True)
        self.redirect(self.get_next_url(), status=303)


class SignOutHandler(FeedHandler):
    def get(self) -> None:
        self.redirect("/")

    async def post(self) -> None:
        if token := self.session_token():
            await self.storage.end_session(token)
        self.clear_cookie(SESSION)
        self.redirect("/", status=303)


class LanguageHandler(FeedHandler):
    def get(self) -> None:
        self.redirect("/")

    def post(self) -> None:
        code = self.get_body_argument("code")
        if code not in get_supported_locales():
            raise HTTPError(400, "no translation for %r", code)
        self.keep_cookie(LANGUAGE, code)
        self.redirect(self.get_next_url(), status=303)


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
            await self.show_home(error=refused.sentence(self.locale), text=text)
            return
        self.live.announce(message)
        if self.wants_json():
            self.set_status(201)
            self.write(self.for_script([message]))
        else:
            self.redirect("/", status=303)

    async def add_message(self, text: str) -> Message:
        if self.current_user is None:
            raise Refused("You are signed out. Sign in to post.", status=401)
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
        self.write({**self.for_script(messages[:PAGE]), "older": len(messages) > PAGE})


class LiveHandler(FeedHandler, WebSocketHandler):
    """For the script: messages newer than the given one, over a WebSocket as they come."""

    async def get(self) -> None:
        self.after = self.message_id("after")
        await super().get()

    async def open(self) -> None:
        while self.after < self.live.latest:
            messages = await self.storage.messages_after(self.after)
            self.after = messages[-1].id
            await self.write_message(self.for_script(messages))
        if self.ws_connection is not None:
            self.live.join(self)

    def on_message(self, message: str | bytes) -> None:
        self.close(1008, "nothing is expected here")

    def on_close(self) -> None:
        self.live.leave(self)


class NewerHandler(FeedHandler):
    """The same by long polling: answers when there is something newer.

    With `wait=no`, or after a while, it answers in any case.
    """

    news: asyncio.Future[None] | None = None

    async def get(self) -> None:
        after = self.message_id("after")
        if self.get_query_argument("wait", "yes") == "yes":
            self.news = self.live.newer_than(after)
            await asyncio.wait([self.news], timeout=WAIT_SECONDS)
            self.news.cancel()
        self.write(self.for_script(await self.storage.messages_after(after)))

    def on_connection_close(self) -> None:
        """The page was closed while its request waited."""
        if self.news is not None:
            self.news.cancel()


class DownloadHandler(FeedHandler):
    """The feed as a file, for those who are signed in."""

    @authenticated
    async def get(self) -> None:
        messages = await self.storage.messages_before(LARGEST_ID, DOWNLOAD)
        entries = [
            {
                "nickname": message.nickname,
                "posted": datetime.fromtimestamp(message.posted, UTC).isoformat("T", "seconds"),
                "text": message.text,
                "picture": message.picture and f"/pictures/{message.picture}",
            }
            for message in messages
        ]
        self.send_bytes(json_encode(entries).encode(), "feed.json")


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
