// The drawer: a lead or a visit over the list that it was opened from.
//
// A link with data-drawer opens its page in a dialog. The address is then that page's own, so it can be sent on, kept
// and reloaded; back closes the drawer, forward opens it again, and the list below keeps its place. Without this
// script, or with a key that asks for a new tab, the same link is a page. Inside a record (.record) the forms that
// decide are sent by this script too, on its own page as in the drawer.
(() => {
  "use strict";
  const words = document.body.dataset;
  const title = document.title;
  const home = location.pathname;
  // On a record's own page its links are pages as well: a drawer over itself would be two of the same.
  const ownPage = document.querySelector("main .record");
  const om = window.om = window.om || {};
  const drafts = new Map(), versions = new Map();
  let dialog = null, content = null, shown = null, opener = null, pending = null;

  // The dialog.
  function make() {
    dialog = document.createElement("dialog");
    dialog.id = "drawer";
    dialog.className = "drawer";
    dialog.setAttribute("aria-label", words.drawerLabel);
    const head = document.createElement("div");
    head.className = "drawer-head";
    const named = document.createElement("span");
    named.className = "drawer-title";
    named.setAttribute("aria-hidden", "true");  // the record has a heading of its own
    head.append(named, button("back", words.drawerBack, () => history.back()), button("close", words.drawerClose, close));
    content = document.createElement("div");
    content.className = "drawer-body";
    dialog.append(head, content);
    dialog.addEventListener("scroll", () => { head.classList.toggle("is-scrolled", dialog.scrollTop > 64); }, { passive: true });
    document.body.append(dialog);
    dialog.addEventListener("cancel", (event) => {
      if (event.target !== dialog) return;
      event.preventDefault();
      close();
    });
    // Only the backdrop is the dialog itself: all that can be seen of it is covered by what is in it.
    dialog.addEventListener("mousedown", (event) => { if (event.target === dialog) close(); });
  }
  function button(name, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = `drawer-${name}`;
    made.setAttribute("aria-label", label);
    made.title = label;
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${words.drawerIcons}#${name}`);
    icon.append(use);
    made.append(icon);
    made.addEventListener("click", act);
    return made;
  }
  function depth() { return history.state?.drawer ? history.state.depth : 0; }

  function open(path) {
    history.pushState({ drawer: path, depth: depth() + 1 }, "", path);
    show(path);
  }
  function close() {
    const steps = depth();
    if (steps) history.go(-steps); else hide();
  }
  async function show(path) {
    if (!dialog) make();
    if (!dialog.open) {
      dialog.showModal();
      document.dispatchEvent(new CustomEvent("om:drawer", { detail: { open: true } }));
    }
    dialog.querySelector(".drawer-back").hidden = depth() < 2;
    if (shown === path) return;
    shown = path;
    pending?.abort();
    const asked = pending = new AbortController();
    keepDraft();
    dialog.querySelector(".drawer-title").textContent = "";
    content.replaceChildren(waiting());
    content.setAttribute("aria-busy", "true");
    dialog.scrollTop = 0;
    try {
      const answer = await fetch(path, {
        headers: { "HX-Request": "true" }, signal: asked.signal, credentials: "same-origin",
      });
      // Signed out, gone, or not theirs: the page itself says it in words.
      if (answer.redirected || (answer.status >= 400 && answer.status < 500)) { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (asked.signal.aborted) return;
      content.innerHTML = text;
      arrived();
    } catch {
      if (!asked.signal.aborted) failed(path);
    } finally {
      if (pending === asked) { content.removeAttribute("aria-busy"); pending = null; }
    }
  }
  function arrived() {
    const record = content.querySelector(".record");
    if (!record) return;
    const { path } = record.dataset;
    // A repeated tap was asked for, and its lead came.
    if (path !== location.pathname) {
      shown = path;
      history.replaceState({ ...history.state, drawer: path }, "", path);
    }
    window.htmx?.process(content);
    // Times and countries in the reader's words (app.js), and what this script adds to a record.
    document.dispatchEvent(new CustomEvent("htmx:after:swap", { detail: { ctx: { target: content } } }));
    const note = record.querySelector("textarea[name=note]");
    if (note && drafts.has(record.dataset.lead)) note.value = drafts.get(record.dataset.lead);
  }
  // What was half written when the drawer closed is there when it opens again.
  function keepDraft() {
    const note = content.querySelector("textarea[name=note]");
    const lead = note?.closest(".record").dataset.lead;
    if (!lead) return;
    if (note.value !== note.defaultValue) drafts.set(lead, note.value); else drafts.delete(lead);
  }
  function waiting() {
    const bones = document.createElement("div");
    bones.className = "drawer-waiting";
    for (let n = 0; n < 6; n += 1) bones.append(document.createElement("i"));
    return bones;
  }
  function failed(path) {
    const box = document.createElement("div");
    box.className = "drawer-failed";
    box.setAttribute("role", "alert");
    const said = document.createElement("p");
    said.textContent = words.drawerFailed;
    const again = document.createElement("button");
    again.type = "button";
    again.className = "button";
    again.textContent = words.drawerAgain;
    again.addEventListener("click", () => { shown = null; show(path); });
    box.append(said, again);
    content.replaceChildren(box);
    again.focus();
  }
  function hide() {
    if (!dialog?.open) return;
    pending?.abort();
    const was = shown;
    shown = null;
    keepDraft();
    dialog.close();
    content.replaceChildren();
    document.title = title;
    // The list may have been drawn anew in the meantime.
    const back = opener?.isConnected ? opener : was && document.querySelector(`a[data-drawer][href="${CSS.escape(was)}"]`);
    back?.focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent("om:drawer", { detail: { open: false } }));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-drawer]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (ownPage && !dialog?.contains(link)) return;
    event.preventDefault();
    if (!dialog?.open) opener = link;
    const path = link.pathname + link.search;
    if (path !== shown) open(path);
  });
  addEventListener("popstate", (event) => {
    const path = event.state?.drawer;
    if (location.pathname === home) { hide(); return; }
    // A record's page that was reloaded stands on an entry that the list's page had made: back is another page.
    if (path && !ownPage) show(path); else location.reload();
  });
  // Reloaded or come back to by forward while the drawer was open over this list.
  if (history.state?.drawer && location.pathname === home) history.replaceState(null, "");

  // Records, here and on their own pages.
  function records() { return document.querySelectorAll(".record"); }
  function refresh() {
    for (const record of records()) record.dispatchEvent(new CustomEvent("om:record"));
  }
  function prepare() {
    for (const record of records()) {
      if (navigator.clipboard) for (const copy of record.querySelectorAll("[data-copy-text]")) copy.hidden = false;
      if (!dialog?.open || dialog.contains(record)) document.title = record.dataset.title;
      if (dialog?.contains(record)) dialog.querySelector(".drawer-title").textContent = record.dataset.title.split(" · ")[0];
      const { lead, version } = record.dataset;
      if (lead) tell(record, lead, Number(version));
    }
  }
  // Somebody else decided while this lead was open: it says so, and nothing of what is being written is lost.
  function tell(record, lead, version) {
    const before = versions.get(lead), news = record.querySelector(".record-news");
    versions.set(lead, version);
    if (before === undefined || version <= before || record.dataset.latestBy === record.dataset.me) return;
    news.hidden = false;
    news.textContent = record.dataset.latest;
  }
  document.addEventListener("htmx:after:swap", prepare);
  document.body.addEventListener("om:intents", refresh);
  document.addEventListener("om:decided", (event) => {
    for (const record of records()) {
      if (record.dataset.lead !== event.detail.lead) continue;
      record.dataset.version = event.detail.version;
      record.querySelector(".record-news").hidden = true;
    }
    refresh();
  });
  document.addEventListener("om:refused", refresh);

  // The forms of a lead that need no dialog: stage, quality, note and sale go through the same door as all decisions.
  async function set(record, body, control) {
    if (!om.act || control.getAttribute("aria-disabled") === "true") return;
    const { site, lead, version, name, at } = record.dataset;
    control.setAttribute("aria-disabled", "true");
    const result = await om.act(site, lead, Number(version), body, name, at);
    control.removeAttribute("aria-disabled");
    if (result.ok) drafts.delete(lead);
  }
  document.addEventListener("click", async (event) => {
    const at = event.target instanceof Element ? event.target : null;
    const button = at?.closest(".record button[data-set]");
    if (button) {
      const { set: what, value } = button.dataset;
      const chosen = button.getAttribute("aria-pressed") === "true" ? null : value || null;
      set(button.closest(".record"), { action: what, [what]: what === "quality" && chosen ? Number(chosen) : chosen }, button);
      return;
    }
    const copy = at?.closest("[data-copy-text]");
    if (!copy) return;
    await navigator.clipboard.writeText(copy.dataset.copyText);
    const before = copy.textContent;
    copy.textContent = copy.dataset.done;
    setTimeout(() => { copy.textContent = before; }, 2000);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest(".record form[data-set]");
    if (!form) return;
    event.preventDefault();
    const control = form.querySelector("[type=submit]"), problem = form.querySelector("[data-problem]");
    problem.textContent = "";
    const field = (name) => form.elements[name].value.trim();
    if (form.dataset.set === "note") { set(form.closest(".record"), { action: "note", note: field("note") || null }, control); return; }
    const body = { action: "sale" };
    if (field("amount")) {
      body.amount = om.readAmount(field("amount"));
      if (!body.amount) { problem.textContent = problem.dataset.unread; form.elements.amount.focus(); return; }
      if (field("currency")) body.currency = field("currency").toUpperCase();
    }
    if (field("sale_at")) body.sale_at = new Date(om.instantOf(field("sale_at"))).toISOString();
    set(form.closest(".record"), body, control);
  });
  document.addEventListener("keydown", (event) => {
    const letter = { s: "seal", j: "junk" }[event.key.toLowerCase()];
    if (!letter || !(dialog?.open || ownPage) || !om.isPlainKey?.(event, true)) return;
    if (document.querySelector("dialog[open]:not(#drawer)")) return;
    const place = dialog?.open ? dialog : document;
    const button = place.querySelector(`.record [data-decide="${letter}"]`);
    if (button) { event.preventDefault(); button.click(); }
  });
  prepare();
})();
