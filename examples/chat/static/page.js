// What both chats share: the list of messages, the form, and the light that says how things are.

const byId = (id) => document.getElementById(id);
const room = byId("room");
const list = byId("messages");
const state = byId("state");
const form = byId("composer");
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const TONES = 12; // colours of avatars in avatar.css

/** The number of the last message on the page: whoever asks for more says it. */
export let latest = 0;

/** `name` is "live" or "waiting": the colour of the light. */
export function showState(name, text) {
  if (state.textContent !== text) state.textContent = text;
  state.dataset.state = name;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text; // never HTML: what people type stays text
  return made;
}

function avatar(name) {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 9973;
  const initials = [...name].slice(0, 2).join("").toUpperCase();
  const badge = element("span", `avatar tone-${hash % TONES}`, initials);
  badge.ariaHidden = "true";
  return badge;
}

function bubble({ name, text, time }) {
  const item = element("li", "bubble");
  const sheet = element("article", "sheet");
  const who = element("p", "who");
  const author = element("b", "", name);
  const said = element("p", "text", text);
  author.dir = said.dir = "auto";
  item.dataset.name = name;
  who.append(author, element("time", "", clock.format(time * 1000)));
  sheet.append(who, said);
  item.append(avatar(name), sheet);
  item.classList.toggle("mine", name === form.elements.name.value.trim());
  return item;
}

/** Add messages that have come, in the order of their numbers. */
export function show(messages) {
  const atEnd = room.scrollHeight - room.scrollTop - room.clientHeight < 80;
  for (const message of messages) {
    if (message.number <= latest) continue; // it is there already
    latest = message.number;
    const item = bubble(message);
    const previous = list.lastElementChild;
    item.classList.toggle("goes-on", previous?.dataset.name === message.name);
    list.append(item);
  }
  if (atEnd) room.scrollTop = room.scrollHeight;
}

/** Show what was written and is not among the messages yet, below them. */
export function showUnsent(messages) {
  const items = [...messages].map((message) => bubble({ ...message, time: Date.now() / 1000 }));
  byId("unsent").replaceChildren(...items);
  if (items.length) room.scrollTop = room.scrollHeight;
}

/** Call `send({name, text})` when somebody writes; if it fails, the text is put back. */
export function onSend(send) {
  let sent = Promise.resolve(); // one after the other, so that they arrive in this order
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = form.elements.name.value.trim();
    const text = form.elements.text.value.trim();
    form.elements.text.value = "";
    localStorage.setItem("name", name);
    form.elements.text.focus();
    room.scrollTop = room.scrollHeight;
    try {
      const sending = sent.then(() => send({ name, text }));
      sent = sending.catch(() => {});
      await sending;
    } catch {
      form.elements.text.value ||= text;
      showState("waiting", "Not sent");
    }
  });
}

/** Wait 1, 2, 4 … 30 s, each a little different so that not everybody comes back at once. */
export function pause(failures) {
  showState("waiting", "Reconnecting…");
  const seconds = Math.min(2 ** (failures - 1), 30) * (0.75 + Math.random() / 2);
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
    addEventListener("online", resolve, { once: true });
  });
}

form.elements.name.value = localStorage.getItem("name") ?? "";
form.elements[form.elements.name.value ? "text" : "name"].focus();
// The keyboard of a phone makes the room smaller: its end stays in sight.
let height = room.clientHeight;
new ResizeObserver(() => {
  room.scrollTop += height - room.clientHeight;
  height = room.clientHeight;
}).observe(room);
