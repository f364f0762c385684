"""The HTML. Whatever a person typed goes through `escape` on its way into a page."""

import re
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape

from rules import NICKNAME_MAX, NICKNAME_MIN, PICTURE_BYTES, TEXT_MAX
from storage import Message

TONES = 12  # colours of avatars in feed.css
LINK = re.compile(r"https?://[^\s<>\"]+")

StaticUrl = Callable[[str], str]


def page(static_url: StaticUrl, title: str, nav: str, main: str) -> str:
    """A whole page around its parts."""
    logo = escape(static_url("logo.svg"))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="theme-color" content="#f4f7fa" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#0a1117" media="(prefers-color-scheme: dark)">
<title>{title}</title>
<link rel="icon" href="{logo}" type="image/svg+xml">
<link rel="stylesheet" href="{escape(static_url("feed.css"))}">
<script type="module" src="{escape(static_url("feed.js"))}"></script>
</head>
<body>
<header class="top">
<div class="column">
<a class="brand" href="/"><img src="{logo}" alt="" width="34" height="34">typhoon<b>feed</b></a>
{nav}
</div>
</header>
<main class="column">
{main}
</main>
</body>
</html>
"""


def home(
    static_url: StaticUrl,
    *,
    user: str | None,
    messages: list[Message],
    older: bool,
    latest: int | None,
    error: str = "",
    text: str = "",
    nickname: str = "",
) -> str:
    """The feed with a form above it: to post for who is signed in, to sign in for who is not.

    `latest` is the newest message's id where new ones are to be added live, else None; `older`
    says whether there are messages before these; the rest fills a form that was refused.
    """
    notice = f'<p class="notice" id="notice" role="alert"{"" if error else " hidden"}>'
    notice += f"{escape(error)}</p>"
    if user is None:
        nav, form = "", welcome(static_url, nickname, notice)
    else:
        nav, form = account(user), composer(user, text, notice)
    if latest is None:
        top = '<p class="back"><a class="pill" href="/">Back to the newest</a></p>'
        follow = ""
    else:
        top = '<button class="pill news" id="news" type="button" hidden></button>'
        follow = f' data-latest="{latest}"'
    state = '<span class="state" id="state" role="status" hidden></span>' if follow else ""
    link = f'href="/?before={messages[-1].id}"' if older else "hidden"
    main = f"""{form}
{top}
<ol class="feed" id="messages" aria-label="Messages" aria-live="polite"{follow}>
{"".join(map(message, messages))}</ol>
<p class="empty">Nothing here yet. The first message could be yours.</p>
<p class="more"><a class="pill" id="older" {link}>Older messages</a></p>
<dialog class="lightbox" id="lightbox" aria-label="Picture"><img alt=""></dialog>"""
    return page(static_url, "Typhoon feed", state + nav, main)


def account(user: str) -> str:
    return f"""<form class="account" action="/signout" method="post">
<b dir="auto">{escape(user)}</b>
<button class="quiet" type="submit">Sign out</button>
</form>"""


def welcome(static_url: StaticUrl, nickname: str, notice: str) -> str:
    return f"""<section class="welcome">
<img class="storm" src="{escape(static_url("logo.svg"))}" alt="" width="112" height="112">
<h1>What is going on?</h1>
<p>Pick a nickname and say it. Everyone who reads along sees it the moment you post.</p>
<form class="signin" action="/signin" method="post">
<input name="nickname" value="{escape(nickname)}" aria-label="Nickname" placeholder="Nickname"
 required minlength="{NICKNAME_MIN}" maxlength="{NICKNAME_MAX}" dir="auto"
 autocomplete="nickname" autocapitalize="off" spellcheck="false" enterkeyhint="go">
<button class="primary" type="submit">Join the feed</button>
</form>
{notice}
</section>"""


def composer(user: str, text: str, notice: str) -> str:
    return f"""<form class="composer" id="composer" action="/messages" method="post"
 enctype="multipart/form-data" data-picture-bytes="{PICTURE_BYTES}">
{avatar(user)}
<div class="sheet">
<textarea name="text" rows="2" maxlength="{TEXT_MAX}" aria-label="Message" dir="auto"
 placeholder="What is going on?">
{escape(text)}</textarea>
<figure class="preview" id="preview" hidden><img alt="The picture to post">
<button class="round" type="button" aria-label="Remove the picture">&times;</button></figure>
<div class="tools">
<label class="attach"><input type="file" name="picture"
 accept="image/png,image/jpeg,image/gif,image/webp" aria-label="Picture">
<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><rect x="3" y="4" width="18"
 height="16" rx="3.5"/><circle cx="8.6" cy="9.4" r="1.7"/><path d="m4 17 4.6-4 3.4 2.8 3.9-4.3
 4.6 4.9"/></svg><span>Picture</span></label>
<span class="count" id="count" aria-live="polite"></span>
<button class="primary" type="submit">Post</button>
</div>
</div>
{notice}
</form>"""


def message(item: Message) -> str:
    """One message, as it stands in the page and as it is sent to pages that are open."""
    text = picture = ""
    if item.text:
        text = f'<p class="text" dir="auto">{linked(item.text)}</p>'
    if item.picture is not None:
        address = f"/pictures/{escape(item.picture)}"
        picture = f"""<a class="picture" href="{address}">
<img src="{address}" alt="Picture by {escape(item.nickname)}"></a>"""
    posted = datetime.fromtimestamp(item.posted, UTC)
    return f"""<li class="message" id="message-{item.id}" data-id="{item.id}">
{avatar(item.nickname)}
<article class="sheet">
<p class="who"><b dir="auto">{escape(item.nickname)}</b>
<time datetime="{posted.isoformat("T", "seconds")}" title="{posted:%d %B %Y, %H:%M} UTC">\
{ago(item.posted)}</time></p>
{text}{picture}
</article>
</li>
"""


def avatar(nickname: str) -> str:
    """A round badge with the nickname's initials, in a colour of its own."""
    words = re.split(r"[ _.'-]+", nickname)
    initials = words[0][:1] + words[1][:1] if len(words) > 1 else nickname[:2]
    tone = zlib.crc32(nickname.casefold().encode()) % TONES
    return f'<span class="avatar tone-{tone}" aria-hidden="true">{escape(initials.upper())}</span>'


def linked(text: str) -> str:
    """The text, escaped, with its web addresses as links."""
    parts, end = [], 0
    for found in LINK.finditer(text):
        address = found[0].rstrip(".,:;!?')]}")
        link = f'<a href="{escape(address)}" rel="noopener nofollow ugc">{escape(address)}</a>'
        parts += [escape(text[end : found.start()]), link]
        end = found.start() + len(address)
    return "".join([*parts, escape(text[end:])])


def ago(posted: float) -> str:
    """How long ago that was. feed.js keeps it up to date, in the same words."""
    seconds = time.time() - posted
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 24 * 3600:
        return f"{round(seconds / 3600)} h ago"
    if seconds < 7 * 24 * 3600:
        return f"{round(seconds / (24 * 3600))} d ago"
    return f"{datetime.fromtimestamp(posted, UTC):%d %b %Y}"


def problem(static_url: StaticUrl, status: int, sentence: str) -> str:
    main = f"""<section class="welcome">
<p class="status">{status}</p>
<h1>{escape(sentence)}</h1>
<p><a class="pill" href="/">Back to the feed</a></p>
</section>"""
    return page(static_url, f"{status} · Typhoon feed", "", main)
