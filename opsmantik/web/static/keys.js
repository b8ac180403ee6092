// Keys on a site's pages: g and a letter to go, / to search, ? for help. A page adds its own to the help with
// <dl class="page-keys" hidden>, and asks om.isPlainKey(event) before it answers to a letter.
(() => {
  "use strict";
  const om = window.om = window.om || {};
  const help = document.getElementById("keys-help"), box = document.getElementById("keys-on");
  const OFF = "opsmantik-keys-off", CHORD = 1500;
  let isOff = false, going = 0;
  try { isOff = localStorage.getItem(OFF) === "1"; } catch { /* not remembered */ }

  const WRITES = "input:not([type=radio]):not([type=checkbox]):not([type=button]):not([type=submit]), textarea, select, [contenteditable]";
  /** A letter by itself, while nobody is writing and no dialog has the keys to itself (one with data-keys shares them);
   *  whoever switched keys off has none. */
  om.isPlainKey = (event, inDialogs = false) => !isOff && !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.altKey
    && !event.isComposing && !event.repeat && !(event.target instanceof Element && event.target.closest(WRITES))
    && (inDialogs || !document.querySelector("dialog[open]:not([data-keys])"));

  if (box) {
    box.checked = !isOff;
    box.addEventListener("change", () => {
      isOff = !box.checked;
      try { if (isOff) localStorage.setItem(OFF, "1"); else localStorage.removeItem(OFF); } catch { /* for this page, then */ }
    });
  }

  function show() {
    const own = help.querySelector("[data-own-keys]");
    own.replaceChildren(...[...document.querySelectorAll("dl.page-keys")].flatMap((list) => [...list.cloneNode(true).children]));
    const field = document.querySelector("[data-search], input[type=search]");
    for (const part of help.querySelectorAll("[data-if-search]")) part.hidden = !field;
    help.showModal();
  }
  if (help) {
    help.addEventListener("click", (event) => { if (event.target === help || event.target.closest("[data-close]")) help.close(); });
    document.addEventListener("click", (event) => { if (event.target instanceof Element && event.target.closest("[data-keys-help]")) show(); });
  }

  document.addEventListener("keydown", (event) => {
    if (!om.isPlainKey(event)) return;
    const key = event.key.toLowerCase();
    if (going && Date.now() - going < CHORD) {
      going = 0;
      const link = /^[a-z]$/.test(key) && document.querySelector(`[data-go="${key}"]`);
      if (link) { event.preventDefault(); event.stopImmediatePropagation(); link.click(); return; }
    }
    going = 0;
    if (key === "g") going = Date.now();
    else if (key === "?" && help) { event.preventDefault(); show(); }
    else if (key === "/") {
      const field = document.querySelector("[data-search], input[type=search]");
      if (field) { event.preventDefault(); field.focus(); if (field.select) field.select(); }
    }
  }, true);  // before the page's own: "g s" is not "s"
})();
