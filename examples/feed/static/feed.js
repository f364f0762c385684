// Makes the feed live: new messages by long polling, posting without a reload, previews.
// The page works without this file, as plain forms and links.

const POLL_LIMIT = 45_000; // ms; the server answers after 25 s at the latest
const LONGEST_PAUSE = 30; // s between two attempts to reconnect

const byId = (id) => document.getElementById(id);
const feed = byId("messages");

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
  const next = [...feed.children].find((other) => Number(other.dataset.id) < id);
  feed.insertBefore(message, next ?? null);
  return true;
}

/** How long ago that was, in the words of ago() in pages.py. */
function ago(date) {
  const seconds = (Date.now() - date) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 24 * 3600) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 7 * 24 * 3600) return `${Math.round(seconds / (24 * 3600))} d ago`;
  return date.toLocaleDateString("en-GB", { day: "2-digit", month: "short", year: "numeric" });
}

function refreshTimes() {
  for (const time of document.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    time.textContent = ago(date);
    time.title = date.toLocaleString();
  }
}

// ---- News: a count in the title of a hidden tab, a button for who has scrolled down

const title = document.title;
const news = byId("news");
let unseen = 0;

function noteNews(count) {
  const seen = !document.hidden && window.scrollY < 200;
  unseen = seen ? 0 : unseen + count;
  document.title = unseen ? `(${unseen}) ${title}` : title;
  news.hidden = unseen === 0;
  news.textContent = unseen === 1 ? "1 new message" : `${unseen} new messages`;
}

// ---- Long polling

const state = byId("state");
let latest = Number(feed?.dataset.latest);

function showState(name, text) {
  if (state.dataset.state === name && state.textContent === text) return;
  state.hidden = false;
  state.dataset.state = name;
  state.textContent = text;
}

/** One request that the server answers when there is something new, or after a while. */
async function poll() {
  const signal = AbortSignal.timeout(POLL_LIMIT);
  const response = await fetch(`/messages/live?after=${latest}`, { signal });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  showState("live", "Live"); // the headers come before the wait
  const { messages } = await response.json();
  const count = messages.filter((message) => add(message, true)).length;
  latest = messages.at(-1)?.id ?? latest;
  if (count) noteNews(count);
}

/** Wait this many seconds, counting down for the reader; less if the network comes back. */
async function pause(seconds) {
  const end = Date.now() + seconds * 1000;
  const online = new Promise((resolve) => addEventListener("online", resolve, { once: true }));
  for (let left = end - Date.now(); left > 0; left = end - Date.now()) {
    if (!navigator.onLine) showState("offline", "Offline");
    else showState("waiting", `Retrying in ${Math.ceil(left / 1000)} s`);
    const second = new Promise((resolve) => setTimeout(resolve, Math.min(left, 1000)));
    if ((await Promise.race([online, second])) instanceof Event) break;
  }
  showState("waiting", "Connecting…");
}

async function follow() {
  showState("waiting", "Connecting…");
  for (let failures = 0; ; ) {
    try {
      await poll();
      failures = 0;
    } catch {
      failures += 1;
      // 1, 2, 4 … 30 s, each a little different so that not everybody comes back at once
      await pause(Math.min(2 ** (failures - 1), LONGEST_PAUSE) * (0.75 + Math.random() / 2));
    }
  }
}

// ---- Posting

function compose(form) {
  const text = form.elements.text;
  const file = form.elements.picture;
  const button = form.querySelector("button[type=submit]");
  const preview = byId("preview");
  const image = preview.querySelector("img");
  const count = byId("count");
  const notice = byId("notice");
  const largest = Number(form.dataset.pictureBytes);

  const complain = (sentence) => {
    notice.textContent = sentence;
    notice.hidden = !sentence;
  };

  const refresh = () => {
    const left = text.maxLength - text.value.length;
    count.textContent = left <= 200 ? left : "";
    count.classList.toggle("full", left <= 20);
    button.disabled = !text.value.trim() && !file.files.length;
  };

  const showPicture = () => {
    complain("");
    const picture = file.files[0];
    if (picture && picture.size > largest) {
      file.value = "";
      complain(`That picture is ${(picture.size / 2 ** 20).toFixed(1)} MB; ` +
        `${largest / 2 ** 20} MB is the most.`);
    }
    URL.revokeObjectURL(image.src);
    preview.hidden = !file.files.length;
    if (file.files.length) image.src = URL.createObjectURL(file.files[0]);
    else image.removeAttribute("src");
    refresh();
  };

  /** Take the picture out of a paste or a drop. */
  const take = (event, data) => {
    const picture = [...(data?.files ?? [])].find((item) => item.type.startsWith("image/"));
    if (!picture) return;
    event.preventDefault();
    const list = new DataTransfer();
    list.items.add(picture);
    file.files = list.files;
    showPicture();
  };

  const send = async () => {
    const headers = { Accept: "application/json" };
    const body = new FormData(form);
    const response = await fetch(form.action, { method: "POST", headers, body });
    const answer = await response.json();
    if (!response.ok) return complain(answer.error);
    answer.messages.forEach((message) => add(message, true));
    form.reset();
    showPicture();
    text.focus();
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    complain("");
    button.disabled = true;
    button.textContent = "Posting…";
    try {
      await send();
    } catch {
      complain("The message could not be sent. Check the connection and try again.");
    }
    button.textContent = "Post";
    refresh();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !button.disabled) {
      form.requestSubmit();
    }
  });
  text.addEventListener("input", refresh);
  text.addEventListener("paste", (event) => take(event, event.clipboardData));
  file.addEventListener("change", showPicture);
  preview.querySelector("button").addEventListener("click", () => {
    file.value = "";
    showPicture();
  });
  for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    form.addEventListener(name, (event) => {
      if (name === "dragover") event.preventDefault();
      form.classList.toggle("dragging", over);
    });
  }
  form.addEventListener("drop", (event) => take(event, event.dataTransfer));
  refresh();
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
    refreshTimes();
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

if (feed) {
  refreshTimes();
  setInterval(refreshTimes, 20_000);
  feed.addEventListener("click", showPicture);
  byId("older").addEventListener("click", showOlder);
  byId("lightbox").addEventListener("click", (event) => event.currentTarget.close());
  if (byId("composer")) compose(byId("composer"));
  if (!Number.isNaN(latest)) {
    news.addEventListener("click", () => scrollTo({ top: 0, behavior: "smooth" }));
    for (const name of ["scroll", "visibilitychange"]) {
      document.addEventListener(name, () => noteNews(0));
    }
    follow();
  }
}
