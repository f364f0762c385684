// Posts without a reload, with a preview of the picture.
// The form works without this file.

const byId = (id) => document.getElementById(id);
const form = byId("composer");
const words = JSON.parse(form.dataset.words);
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
    const size = (picture.size / 2 ** 20).toFixed(1);
    complain(words.too_large.replace("%(size)s", size).replace("%(most)s", largest / 2 ** 20));
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
  document.dispatchEvent(new CustomEvent("posted", { detail: answer.messages }));
  form.reset();
  showPicture();
  text.focus();
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  complain("");
  button.disabled = true;
  button.textContent = words.posting;
  try {
    await send();
  } catch {
    complain(words.failed);
  }
  button.textContent = words.post;
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
