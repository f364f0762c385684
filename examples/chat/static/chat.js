// Long polling: one request waits at the server until there is something new, then the next one.

import { latest, onSend, pause, show, showState } from "/page.js";

async function follow() {
  let failures = 1; // the first request does not wait, so that it tells whether the server is there
  for (;;) {
    try {
      const wait = failures ? "no" : "yes";
      const response = await fetch(`/messages/after/${latest}?wait=${wait}`);
      if (!response.ok) throw new Error(response.statusText);
      show((await response.json()).messages);
      showState("live", "Live");
      failures = 0;
    } catch {
      failures += 1;
      await pause(failures);
    }
  }
}

onSend(async (message) => {
  const response = await fetch("/messages", { method: "POST", body: new URLSearchParams(message) });
  if (!response.ok) throw new Error(response.statusText);
});
follow();
