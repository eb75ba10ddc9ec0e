// Keeps the live page current: the server sends the parts that have changed (server-sent events), ready as HTML.
// Without this script the page is a snapshot with a link to refresh it.
"use strict";
(() => {
  const RETRY_MS = 10000;   // after an answer that is no stream: too many pages open, or logged out
  const SILENT_MS = 40000;  // the server sends a heartbeat every 15 s
  const pulse = document.getElementById("pulse");
  const text = document.getElementById("pulse-text");
  let source = null;
  let heard = 0;
  let retry = 0;

  function say(state, words) {
    if (pulse.className !== "eyebrow " + state) pulse.className = "eyebrow " + state;
    if (text.textContent !== words) text.textContent = words;
  }

  // The server escapes every text in a part; the page's policy lets no script in it run.
  function show(name, html) {
    const place = document.getElementById(name);
    if (!place || !place.hasAttribute("data-part")) return;
    const open = new Set([...place.querySelectorAll("details[open][id]")].map((one) => one.id));
    const scrolled = [...place.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    const focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    place.innerHTML = html;
    for (const one of place.querySelectorAll("details[id]")) one.open = open.has(one.id);
    place.querySelectorAll(".scroll").forEach((one, i) => {
      if (scrolled[i]) [one.scrollLeft, one.scrollTop] = scrolled[i];
    });
    if (focused) {
      const again = [...place.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === focused);
      if (again) again.focus({ preventScroll: true });
    }
  }

  function hear(event) {
    const news = JSON.parse(event.data);
    for (const [name, html] of Object.entries(news.parts)) show(name, html);
    heard = Date.now();
    say("on", "Live · " + news.at);
  }

  function connect() {
    clearTimeout(retry);
    if (source) source.close();
    source = new EventSource("/live");
    source.addEventListener("parts", hear);
    source.addEventListener("beat", hear);
    source.addEventListener("error", () => {
      say("off", "Not connected; trying again");
      if (source && source.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY_MS);
    });
  }

  function disconnect() {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  }

  // A browser opens few connections to one server: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => event.persisted && connect());
  setInterval(() => source && heard && Date.now() - heard > SILENT_MS && connect(), 5000);
  if (!document.hidden) connect();
})();
