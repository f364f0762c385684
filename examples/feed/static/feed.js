// Makes the feed live: messages arrive as events, older ones come without a reload.
// The page works without this file, as plain links.

const LONGEST_PAUSE = 30; // s between two attempts to reconnect
const OPENING = 5; // s until a WebSocket that does not open counts as cut off
const POLLING = 60; // s of long polling until a WebSocket is tried again

const byId = (id) => document.getElementById(id);
const feed = byId("messages");
const words = JSON.parse(feed.dataset.words);

// ---- Messages

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // made by the server, which has escaped all that people typed
  return template.content.firstElementChild;
}

/** Put a message where its id belongs, the newest at the top. False if it is there already. */
function add({ id, html }, arrived) {
  if (byId(`message-${id}`)) return false;
  const message = element(html);
  message.classList.toggle("arrived", arrived);
  refreshTimes(message);
  const next = [...feed.children].find((other) => Number(other.dataset.id) < id);
  feed.insertBefore(message, next ?? null);
  return true;
}

const language = document.documentElement.lang;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" });

/** How long ago that was, or when, on the reader's clock. */
function ago(date) {
  const seconds = Math.max(0, (Date.now() - date) / 1000);
  if (seconds < 5) return relative.format(0, "second");
  if (seconds < 50) return relative.format(-Math.round(seconds), "second");
  if (seconds < 50 * 60) return relative.format(-Math.round(seconds / 60), "minute");
  if (seconds < 24 * 3600) return relative.format(-Math.round(seconds / 3600), "hour");
  return absolute.format(date);
}

function refreshTimes(part = document) {
  for (const time of part.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    time.textContent = ago(date);
    time.title = absolute.format(date);
  }
}

// ---- News: a count in the title of a hidden tab, a button for who has scrolled down

const plurals = new Intl.PluralRules(language);
const title = document.title;
const news = byId("news");
let unseen = 0;

function noteNews(count) {
  const seen = !document.hidden && window.scrollY < 200;
  unseen = seen ? 0 : unseen + count;
  document.title = unseen ? `(${unseen}) ${title}` : title;
  news.hidden = unseen === 0;
  const form = plurals.select(unseen);
  news.textContent = words.news[form].replace("%(count)s", unseen.toLocaleString(language));
}

// ---- Messages as they come: over a WebSocket, or by long polling where none gets through

const state = byId("state");
let latest = Number(feed.dataset.latest); // the id that is asked from, so that nothing is missed
let failures = 0;

function showState(name, text) {
  if (state.dataset.state === name && state.textContent === text) return;
  state.hidden = false;
  state.dataset.state = name;
  state.textContent = text;
}

function isLive(by) {
  failures = 0;
  state.dataset.by = by;
  showState("live", words.live);
}

function take({ messages }) {
  latest = messages.reduce((most, { id }) => Math.max(most, id), latest);
  const count = messages.filter((message) => add(message, true)).length;
  if (count) noteNews(count);
}

/** Take messages from a WebSocket until it is lost. Returns whether there was one. */
function listen() {
  return new Promise((lost) => {
    const url = new URL(`/messages/live?after=${latest}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    const patience = setTimeout(() => socket.close(), OPENING * 1000);
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      clearTimeout(patience);
      isLive("websocket");
    });
    socket.addEventListener("message", ({ data }) => take(JSON.parse(data)));
    socket.addEventListener("close", () => {
      clearTimeout(patience);
      lost(opened);
    });
  });
}

/** Take messages by long polling, until it is time for a WebSocket: true, or until it fails. */
async function poll() {
  const end = Date.now() + POLLING * 1000;
  const stop = new AbortController(); // another network may let WebSockets through
  addEventListener("online", () => stop.abort(), { once: true, signal: stop.signal });
  try {
    for (let wait = "no"; Date.now() < end; wait = "yes") {
      const { signal } = stop;
      const response = await fetch(`/messages/newer?after=${latest}&wait=${wait}`, { signal });
      if (!response.ok) return false;
      take(await response.json());
      isLive("polling");
    }
    return true;
  } catch {
    return stop.signal.aborted;
  } finally {
    stop.abort();
  }
}

/** Wait this many seconds, counting down for the reader; less if the network comes back. */
async function pause(seconds) {
  const end = Date.now() + seconds * 1000;
  const online = new Promise((resolve) => addEventListener("online", resolve, { once: true }));
  for (let left = end - Date.now(); left > 0; left = end - Date.now()) {
    if (!navigator.onLine) showState("offline", words.offline);
    else showState("waiting", words.retrying.replace("%(seconds)s", Math.ceil(left / 1000)));
    const second = new Promise((resolve) => setTimeout(resolve, Math.min(left, 1000)));
    if ((await Promise.race([online, second])) instanceof Event) break;
  }
  showState("waiting", words.connecting);
}

async function follow() {
  showState("waiting", words.connecting);
  for (;;) {
    if (!(await listen()) && (await poll())) continue;
    failures += 1;
    // 1, 2, 4 … 30 s, each a little different so that not everybody comes back at once
    await pause(Math.min(2 ** (failures - 1), LONGEST_PAUSE) * (0.75 + Math.random() / 2));
  }
}

// ---- Older messages, and pictures in full size

async function showOlder(event) {
  event.preventDefault();
  const link = event.currentTarget;
  const last = feed.lastElementChild.dataset.id;
  try {
    const response = await fetch(`/messages/older?before=${last}`);
    const { messages, older } = await response.json();
    messages.forEach((message) => add(message, false));
    link.hidden = !older;
  } catch {
    location.assign(`/?before=${last}`);
  }
}

function showPicture(event) {
  const link = event.target.closest("a.picture");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const box = byId("lightbox");
  box.querySelector("img").src = link.href;
  box.querySelector("img").alt = link.querySelector("img").alt;
  box.showModal();
}

refreshTimes();
setInterval(refreshTimes, 20_000, document);
feed.addEventListener("click", showPicture);
byId("older").addEventListener("click", showOlder);
byId("lightbox").addEventListener("click", (event) => event.currentTarget.close());
// The composer's script says so when it has posted.
document.addEventListener("posted", ({ detail }) => detail.forEach((message) => add(message, true)));
if (!Number.isNaN(latest)) {
  news.addEventListener("click", () => scrollTo({ top: 0, behavior: "smooth" }));
  for (const name of ["scroll", "visibilitychange"]) {
    document.addEventListener(name, () => noteNews(0));
  }
  follow();
}
