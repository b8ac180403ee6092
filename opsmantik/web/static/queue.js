// The deck. The cards are in the page before they are needed, so a decision waits for nothing: the card leaves at once,
// and comes back if the server refuses. New leads are counted and come in when asked; the card under the thumb stays.
(() => {
  "use strict";
  const root = document.getElementById("queue");
  if (!root) return;
  const om = window.om = window.om || {};
  const words = root.dataset, site = words.site, decides = "presence" in words;
  const deck = document.getElementById("deck"), bar = document.getElementById("deck-do");
  const rows = document.getElementById("queue-rows"), rest = document.getElementById("queue-rest");
  const count = document.getElementById("queue-count"), pill = document.getElementById("queue-new");
  const empty = document.getElementById("queue-empty"), said = document.getElementById("queue-said");
  const STATUSES = words.kind === "suspicious" ? ["suspicious"] : ["intent", "pending"];
  const AHEAD = 6, LOOK_EVERY = 5e3, LOOK_SOON = 300, LEAVE = 220, TAKES_OUT = ["seal", "junk", "suspect"];
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

  const known = new Map();       // lead → {card, row}
  let order = [], current = null, after = "", waiting = Number(words.waiting), since = words.since;
  let fresh = [], sent = new Set(), others = new Map(), skipped = [], undoable = 0;
  let isReady = false;           // nobody asked for the first card, so it takes no focus
  const text = (template, n) => template.replace("#", number(n));
  const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, words.thousands);
  const card = (lead) => known.get(lead)?.card;

  // Cards come as the server made them.
  function take(holder) {
    const found = [];
    for (const made of [...holder.querySelectorAll("[data-lead-card]")]) {
      const lead = made.dataset.leadCard, row = holder.querySelector(`template[data-row="${lead}"]`).content.firstElementChild;
      const before = known.get(lead);
      if (before && lead === current) continue;
      made.hidden = true;
      if (before) { before.card.replaceWith(made); if (before.row.isConnected) before.row.replaceWith(row); } else deck.insertBefore(made, empty);
      known.set(lead, { card: made, row });
      found.push(lead);
    }
    document.dispatchEvent(new CustomEvent("htmx:after:swap", { detail: { ctx: {} } }));  // times and countries
    return found;
  }
  async function fetchCards(query) {
    const response = await fetch(`${words.cards}&${query}`, { headers: { Accept: "text/html" } });
    if (response.redirected) { location.reload(); return null; }
    if (!response.ok) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".cards");
  }
  let isAsking = false;
  async function more() {
    if (!after || isAsking || order.length > AHEAD) return;
    isAsking = true;
    try {
      const holder = await fetchCards(after);
      if (holder) { after = holder.dataset.after; place(take(holder).filter((lead) => !order.includes(lead)), order.length); }
    } catch { /* asked again with the next card */ }
    isAsking = false;
  }
  function place(leads, at) { order.splice(at, 0, ...leads); list(); if (!current) next(); else show(current); }

  // The list beside it, in the deck's order.
  function list() {
    order.forEach((lead, at) => {
      const { row } = known.get(lead);
      if (rows.children[at] !== row) rows.insertBefore(row, rows.children[at] || null);
    });
    while (rows.children.length > order.length) rows.lastElementChild.remove();
    const left = Math.max(0, waiting - order.length);
    count.textContent = number(Math.max(0, waiting));
    rest.textContent = left ? text(left === 1 ? rest.dataset.one : rest.dataset.other, left) : "";
  }

  // One card is shown; the next is the first that nobody else looks at.
  const pick = (but) => order.find((lead) => lead !== but && !others.has(lead)) || order.find((lead) => lead !== but) || null;
  function next(but) { show(pick(but) || order[0] || null); more(); }
  function show(lead) {
    const isOther = lead !== current;
    current = lead;
    for (const [id, each] of known) {
      if (!each.card.classList.contains("is-leaving")) each.card.hidden = id !== lead;
      each.card.inert = id !== lead;
      const button = each.row.firstElementChild;
      if (id === lead) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
    }
    empty.hidden = lead !== null;
    if (bar) bar.hidden = lead === null && !undoable && !skipped.length;
    buttons();
    if (!isOther) return;
    if (lead) {
      card(lead).scrollTop = 0;
      said.textContent = card(lead).dataset.name;
      known.get(lead).row.scrollIntoView({ block: "nearest" });
      if (isReady && (document.activeElement === document.body || !document.activeElement?.isConnected)) deck.focus({ preventScroll: true });
    } else if (fresh.length) comeIn();
    soon();
  }
  function buttons() {
    if (!bar) return;
    const isGone = !current || card(current).dataset.gone === "true";
    for (const button of bar.querySelectorAll("[data-deck]")) {
      const what = button.dataset.deck;
      button.disabled = what === "undo" ? !undoable && !skipped.length : what === "skip" ? !current : isGone;
    }
  }

  // A card leaves towards where it was sent, and stays in the page: it may come back.
  function leave(lead, way) {
    const gone = card(lead), at = order.indexOf(lead);
    if (at >= 0) order.splice(at, 1);
    gone.inert = true;
    if (isCalm.matches || lead !== current) { rest0(gone); gone.hidden = true; return; }
    gone.classList.add("is-leaving", `leave-${way}`);
    gone.style.transform = "";
    setTimeout(() => { rest0(gone); gone.hidden = current !== lead; }, LEAVE);
  }
  function rest0(gone) {
    gone.classList.remove("is-leaving", "is-dragged", "leave-left", "leave-right", "leave-up");
    gone.style.transform = "";
    gone.style.removeProperty("--pull");
    gone.style.removeProperty("--lift");
  }
  function back(lead, version) {
    const { card: came } = known.get(lead);
    rest0(came);
    if (version) came.dataset.version = version;
    order = [lead, ...order.filter((each) => each !== lead)];
    show(lead);
    list();
  }
  function tell(lead, words_, isGone) {
    const told = card(lead), line = told.querySelector("[data-news]");
    line.hidden = !words_;
    line.textContent = words_;
    if (isGone) told.dataset.gone = "true"; else delete told.dataset.gone;
    buttons();
  }

  // Deciding: decide.js asks and sends, the deck shows.
  const about = (lead) => ({ site, lead, version: Number(card(lead).dataset.version), name: card(lead).dataset.name, at: card(lead).dataset.at });
  function act(what) {
    if (what === "undo") { undo(); return; }
    if (!current) return;
    if (what === "skip") { skip(); return; }
    if (decides && card(current).dataset.gone !== "true") om.open(what, about(current));
  }
  function skip() {
    const lead = current, isGone = card(lead).dataset.gone === "true";
    if (!isGone && order.length < 2) return;
    const to = pick(lead);
    leave(lead, "up");
    if (!isGone) { order.push(lead); skipped.push(lead); }
    show(to);
    list();
    more();
  }
  function undo() {
    const lead = skipped.pop();
    if (lead && order.includes(lead)) back(lead);
    else if (om.undoLast) om.undoLast();
    buttons();
  }
  document.addEventListener("om:deciding", (event) => {
    const { lead, body } = event.detail;
    if (!TAKES_OUT.includes(body.action) || !order.includes(lead)) return;
    event.preventDefault();
    sent.add(lead);
    skipped = [];  // undo now means this
    waiting -= 1;
    leave(lead, body.action === "junk" ? "left" : "right");
    tell(lead, "", false);
    if (lead === current) next(lead); else show(current);
    list();
  });
  document.addEventListener("om:decided", (event) => {
    const { lead, action, status, version } = event.detail;
    sent.delete(lead);
    if (!known.has(lead)) { refresh(); return; }
    if (STATUSES.includes(status)) {
      tell(lead, "", false);
      if (!order.includes(lead)) waiting += 1;
      if (order.includes(lead)) card(lead).dataset.version = version; else back(lead, version);
    } else if (order.includes(lead)) {   // decided elsewhere on this page
      waiting -= 1;
      leave(lead, "right");
      if (lead === current) next(lead);
      list();
    }
    if (action === "undo") deck.focus({ preventScroll: true });
  });
  document.addEventListener("om:refused", (event) => {
    const { lead, status, version, text: why, http, kind } = event.detail;
    if (!sent.delete(lead)) return;
    const isGone = http === 404 || (status && !STATUSES.includes(status));
    if (!isGone) waiting += 1;
    back(lead, version);
    const isFixable = http === 422 || (http === 403 && kind);  // its dialog comes back, and says so
    if (isFixable) return;
    event.preventDefault();
    tell(lead, why, isGone);
  });
  document.addEventListener("om:undoable", (event) => { undoable = event.detail.n; buttons(); });

  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-deck]"), row = event.target.closest("[data-show]");
    if (button && !button.disabled) act(button.dataset.deck);
    else if (row) { show(row.dataset.show); deck.focus({ preventScroll: true }); }
  });
  const KEYS = { s: "seal", arrowright: "seal", j: "junk", arrowleft: "junk", k: "skip", arrowup: "skip" };
  document.addEventListener("keydown", (event) => {
    if (om.isPlainKey && !om.isPlainKey(event)) return;
    const key = event.key.toLowerCase();
    const row = event.target instanceof Element && event.target.closest("#queue-rows li");
    if (row && (key === "arrowup" || key === "arrowdown")) {
      const to = key === "arrowup" ? row.previousElementSibling : row.nextElementSibling;
      if (to) { event.preventDefault(); to.firstElementChild.focus(); }
      return;
    }
    if (key === "u" && skipped.length) { event.preventDefault(); event.stopImmediatePropagation(); undo(); return; }
    if (key === "enter" && current && (event.target === deck || event.target === document.body)) {
      event.preventDefault();
      card(current).querySelector("[data-drawer]").click();
      return;
    }
    const what = KEYS[key];
    if (!what || (!decides && what !== "skip")) return;
    if (event.target instanceof Element && event.target.closest("input, summary") && key.startsWith("arrow")) return;
    event.preventDefault();
    act(what);
  });

  // The finger: the card follows it, sideways from anywhere, up from its head (below, that is scrolling).
  let drag = null, swallow = false;
  deck.addEventListener("pointerdown", (event) => {
    if (!decides || event.pointerType === "mouse" || !event.isPrimary || !current || !card(current).contains(event.target)) return;
    swallow = false;
    drag = { id: event.pointerId, x: event.clientX, y: event.clientY, at: event.timeStamp, axis: "", grip: Boolean(event.target.closest("[data-grip]")) };
  });
  deck.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y, moved = card(current);
    if (!drag.axis) {
      if (Math.abs(dx) > 10 && Math.abs(dx) > 1.2 * Math.abs(dy)) drag.axis = "x";
      else if (dy < -10 && drag.grip && -dy > Math.abs(dx)) drag.axis = "y";
      else if (Math.abs(dy) > 10) { drag = null; return; }
      else return;
      moved.setPointerCapture(drag.id);
      moved.classList.add("is-dragged");
      const below = pick(current);
      if (below) card(below).hidden = false;
    }
    const turn = isCalm.matches ? 0 : dx / 30;
    moved.style.transform = drag.axis === "x" ? `translateX(${dx}px) rotate(${turn}deg)` : `translateY(${Math.min(0, dy)}px)`;
    moved.style.setProperty("--pull", drag.axis === "x" ? Math.max(-1, Math.min(1, dx / reach())).toFixed(2) : "0");
    moved.style.setProperty("--lift", drag.axis === "y" ? Math.min(1, -dy / reach()).toFixed(2) : "0");
  });
  const reach = () => Math.min(120, deck.clientWidth * 0.3);
  function drop(event, isOver) {
    if (!drag || event.pointerId !== drag.id) return;
    const { axis, x, y, at } = drag, dx = event.clientX - x, dy = event.clientY - y;
    drag = null;
    if (!axis) return;
    swallow = true;
    setTimeout(() => { swallow = false; }, 300);
    const far = axis === "x" ? Math.abs(dx) : -dy, speed = far / Math.max(1, event.timeStamp - at);
    const isEnough = isOver && (far > reach() || (speed > 0.6 && far > 40));
    rest0(card(current));
    for (const [id, each] of known) if (id !== current && !each.card.classList.contains("is-leaving")) each.card.hidden = true;
    if (isEnough) act(axis === "y" ? "skip" : dx > 0 ? "seal" : "junk");
  }
  deck.addEventListener("pointerup", (event) => drop(event, true));
  deck.addEventListener("pointercancel", (event) => drop(event, false));
  deck.addEventListener("click", (event) => { if (swallow) { event.preventDefault(); event.stopPropagation(); } }, true);

  // What changed meanwhile. New leads wait to be asked for; what others decided leaves, but for the card being read.
  let isRefreshing = false, isDue = false;
  async function refresh() {
    if (isRefreshing) { isDue = true; return; }
    isRefreshing = true;
    isDue = false;
    try {
      const asked = [...order].slice(0, 150);
      const response = await fetch(`${words.state}&since=${encodeURIComponent(since)}&ids=${asked.join(",")}`);
      if (response.redirected || response.status === 401) { location.reload(); return; }
      if (response.ok) learn(await response.json(), asked);
    } catch { /* the badge says that there is no connection */ }
    isRefreshing = false;
    if (isDue) refresh();
  }
  function learn(news, asked) {
    const stale = [];
    for (const now of news.leads) {
      if (!order.includes(now.id) || sent.has(now.id)) continue;
      const mine = card(now.id);
      const isGone = !STATUSES.includes(now.status), isOther = Number(mine.dataset.version) !== now.version;
      if (isGone && now.id === current) tell(now.id, om.whatWasDone ? om.whatWasDone({ ...now, actor_name: now.actor_name }) : "", true);
      else if (isGone) leave(now.id, "right");
      else if (isOther && now.id === current) {
        if (om.whatWasDone) tell(now.id, om.whatWasDone(now), false);
        mine.dataset.version = now.version;   // it has been said on the card before anything is decided
      } else if (isOther) stale.push(now.id);
    }
    const seen = new Set(news.leads.map((each) => each.id));
    for (const lead of asked) if (!seen.has(lead) && lead !== current && order.includes(lead)) leave(lead, "right");  // erased
    waiting = news.waiting - [...sent].length;
    fresh = news.new.filter((lead) => !known.has(lead));
    showNew();
    list();
    if (!current && (fresh.length || order.length)) { if (order.length) next(); else comeIn(); }
    if (stale.length) fetchCards(`ids=${stale.join(",")}`).then((holder) => { if (holder) { take(holder); list(); } }).catch(() => {});
  }
  function showNew() {
    const before = pill.hidden ? 0 : Number(pill.dataset.n);
    pill.hidden = !fresh.length;
    pill.dataset.n = fresh.length;
    pill.lastElementChild.textContent = text(fresh.length === 1 ? pill.dataset.one : pill.dataset.other, fresh.length);
    if (fresh.length > before) said.textContent = text(fresh.length === 1 ? words.cameOne : words.cameOther, fresh.length);
    // The tab's title, a sound and a notification are new_leads.js's affair, as on every page.
    const news = fresh.length > before ? fresh.slice(0, fresh.length - before) : [];
    document.body.dispatchEvent(new CustomEvent("om:leads", { detail: { news, unseen: fresh.length, said: news.length ? said.textContent : "" } }));
  }
  async function comeIn() {
    const asked = fresh;
    if (!asked.length) return;
    try {
      const holder = await fetchCards(`ids=${asked.join(",")}`);
      if (!holder) return;
      const came = take(holder).filter((lead) => !order.includes(lead) && STATUSES.includes(card(lead).dataset.status));
      fresh = fresh.filter((lead) => !asked.includes(lead));
      order = [...came, ...order];
      showNew();
      list();
      if (came.length) { show(pick() && came.includes(pick()) ? pick() : came[0]); deck.focus({ preventScroll: true }); }
    } catch { /* the pill stays */ }
  }
  pill.addEventListener("click", comeIn);
  document.body.addEventListener("om:intents", refresh);

  // Who else looks at what.
  let looking = 0;
  function soon() { if (decides) { clearTimeout(looking); looking = setTimeout(look, LOOK_SOON); } }
  async function look() {
    clearTimeout(looking);
    if (!decides || document.hidden) return;
    try {
      const response = await post({ lead: current });
      if (response.ok) see((await response.json()).others);
    } catch { /* nobody is seen, and nobody sees us */ }
    clearTimeout(looking);
    looking = setTimeout(look, LOOK_EVERY);
  }
  const post = (body) => fetch(words.presence, {
    method: "POST", keepalive: true, body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-CSRF-Token": words.token },
  });
  function see(found) {
    others = new Map();
    for (const [lead, who] of found) others.set(lead, [...(others.get(lead) || []), who]);
    for (const [lead, each] of known) {
      const who = others.get(lead) || [], line = who.length ? (who.length === 1 ? words.looks : words.looksMore).replace("{who}", who.join(", ")) : "";
      for (const place of [each.card.querySelector("[data-looks]"), each.row.querySelector("[data-looks]")]) {
        if (place.textContent !== line) place.textContent = line;
        place.hidden = !line;
      }
    }
  }
  function away() { if (decides) post({ lead: null }).catch(() => {}); }
  document.addEventListener("visibilitychange", () => { if (document.hidden) away(); else { look(); refresh(); } });
  addEventListener("pagehide", away);
  addEventListener("pageshow", (event) => { if (event.persisted) { look(); refresh(); } });

  // The filters stand open where there is room.
  const how = document.getElementById("queue-how"), roomy = matchMedia("(min-width: 52.01rem)");
  const fit = () => { how.open = roomy.matches; };
  fit();
  roomy.addEventListener("change", fit);

  const holder = deck.querySelector(".cards");
  after = holder.dataset.after;
  const first = holder.querySelector("[data-lead-card]:not([hidden])");
  order = take(holder);
  holder.remove();
  list();
  show(first ? first.dataset.leadCard : null);
  isReady = true;
})();
