// One WebSocket in both directions, opened again whenever it is lost.

import { latest, onSend, pause, show, showState, showUnsent } from "/page.js";

/** What was written and has not come back yet: sent again when there is a connection again. */
const outbox = new Map();
let socket;

const send = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

/** Take messages as they come. Returns when the connection is lost: whether there was one. */
function listen() {
  return new Promise((lost) => {
    let opened = false;
    const url = new URL(`/chat/after/${latest}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.addEventListener("open", () => {
      opened = true;
      showState("live", "Live");
      outbox.forEach(send);
    });
    socket.addEventListener("message", ({ data }) => {
      const { messages } = JSON.parse(data);
      for (const { key } of messages) outbox.delete(key);
      show(messages);
      showUnsent(outbox.values());
    });
    socket.addEventListener("close", () => lost(opened));
  });
}

onSend((message) => {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  outbox.set(key, { ...message, key });
  showUnsent(outbox.values());
  send(outbox.get(key));
});

for (let failures = 0; ; ) {
  failures = (await listen()) ? 1 : failures + 1;
  await pause(failures);
}
