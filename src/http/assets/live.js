// Keeps the page up to date, and says how long ago moments were. Without it, every page still works and shows the same.
"use strict";
(() => {
  const state = document.getElementById("live-state");
  const parts = () => [...document.querySelectorAll("[data-live]")];
  let source = null;

  // How long ago

  function ago(seconds) {
    if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s ago`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
    return `${Math.round(seconds / 86400)} days ago`;
  }
  function tell() {
    for (const span of document.querySelectorAll("[data-ago]")) {
      span.textContent = `(${ago((Date.now() - Date.parse(span.dataset.ago)) / 1000)})`;
    }
  }

  // Change what is there into what should be there, and nothing else: what somebody has opened, chosen or reached with
  // the keyboard stays.

  function morph(from, to) {
    for (const { name, value } of [...to.attributes]) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      const isOpen = name === "open" && from.localName === "details";
      if (!to.hasAttribute(name) && !isOpen) from.removeAttribute(name);
    }
    if (!from.hasAttribute("data-ago")) children(from, to);
  }
  function isSame(one, other) {
    if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName) return false;
    return one.nodeType !== Node.ELEMENT_NODE || one.id === other.id;
  }
  function children(from, to) {
    let here = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      if (here && isSame(here, wanted)) {
        if (here.nodeType === Node.ELEMENT_NODE) morph(here, wanted);
        else if (here.nodeValue !== wanted.nodeValue) here.nodeValue = wanted.nodeValue;
        here = here.nextSibling;
      } else {
        from.insertBefore(document.importNode(wanted, true), here);
      }
    }
    while (here) {
      const next = here.nextSibling;
      here.remove();
      here = next;
    }
  }

  function receive(event) {
    const { id, digest, html } = JSON.parse(event.data);
    const part = document.getElementById(id);
    if (!part) return;
    // Nothing in it runs: the server escapes all texts, and the policy of the page allows no script in it.
    const wanted = new DOMParser().parseFromString(`<div>${html}</div>`, "text/html").body.firstChild;
    children(part, wanted);
    part.dataset.digest = digest;
    tell();
  }

  function say(text) {
    if (state && state.textContent !== text) state.textContent = text;
  }
  function open() {
    if (source || document.hidden || parts().length === 0) return;
    const have = parts().map((part) => `${part.id}:${part.dataset.digest}`).join(",");
    const at = location.pathname + location.search;
    source = new EventSource(`/live?at=${encodeURIComponent(at)}&have=${encodeURIComponent(have)}`);
    source.addEventListener("part", receive);
    source.onopen = () => say("live");
    source.onerror = () => {
      say("not live: trying again");
      // The browser tries again by itself, unless the server refused.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        setTimeout(open, 5000);
      }
    };
  }
  function close() {
    if (source) source.close();
    source = null;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  setInterval(tell, 10000);
  tell();
  open();
})();
