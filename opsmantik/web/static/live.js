// One site's page stays true by itself. The stream only says "changed, sequence N"; the cards are asked for again,
// so every figure comes from the database. The badge tells how far that can be trusted.
(() => {
  "use strict";
  const site = document.getElementById("site");
  const badge = document.getElementById("badge");
  const list = document.getElementById("newest-intents");
  const pill = document.getElementById("new-leads");
  const announce = document.getElementById("announce");
  const title = document.title;

  const LIVE = 30e3;         // a change within this is "live", none is "idle"
  const STALE = 20e3;        // a heartbeat missed: they come every fifteen seconds
  const LOST = 35e3;         // two missed: the stream is made anew
  const POLL = 15e3;         // while there is no stream
  const TILES_EVERY = 1e3;   // changes without a new lead
  const LEADS_EVERY = 5e3;

  let sequence = site.dataset.sequence;
  let lastBeat = 0, lastChange = 0, lastPoll = Date.now();
  let brokenAt = 1;          // since when there is no stream; 0 while there is one
  let source = null;

  // Cards. At once for a new lead, at most every so often for anything else.
  const due = { tiles: 0, intents: 0 }, asked = { tiles: 0, intents: 0 }, timers = {};
  function refresh(card, every) {
    const wait = Math.max(0, asked[card] + every - Date.now());
    if (wait === 0) { ask(card); return; }
    if (!timers[card]) timers[card] = setTimeout(() => ask(card), wait);
  }
  function ask(card) {
    clearTimeout(timers[card]);
    timers[card] = 0;
    asked[card] = Date.now();
    document.body.dispatchEvent(new CustomEvent(`om:${card}`));
  }
  function refreshAll() { lastPoll = Date.now(); ask("tiles"); ask("intents"); }

  // The stream.
  function connect() {
    if (source) source.close();
    source = new EventSource(`${site.dataset.stream}?since=${sequence}`);
    source.addEventListener("open", () => { brokenAt = 0; });  // no beat: only the server knows whether it hears
    source.addEventListener("heartbeat", beat);
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      if (change.sequence) sequence = change.sequence;
      lastChange = Date.now();
      beat();
      if (change.kind === "i") refreshAll();
      else { refresh("tiles", TILES_EVERY); refresh("intents", LEADS_EVERY); }
    });
    source.addEventListener("error", () => { brokenAt ||= Date.now(); show(); });
  }
  function beat() { lastBeat = Date.now(); show(); }

  // The badge.
  function state() {
    const now = Date.now();
    // A stream ends every ten minutes and is back a second later: that is no news.
    if (source.readyState !== EventSource.OPEN && now - brokenAt > 3e3) return "offline";
    if (now - lastBeat > STALE) return "stale";
    return now - lastChange < LIVE ? "live" : "idle";
  }
  function show() {
    const now = state();
    if (badge.dataset.state === now) return;
    badge.dataset.state = now;
    badge.title = badge.dataset[`${now}Hint`];
    badge.firstElementChild.textContent = badge.dataset[now];
  }
  setInterval(() => {
    show();
    const now = Date.now(), current = badge.dataset.state;
    const silent = now - lastBeat > LOST && now - lastPoll > POLL;
    if ((current === "offline" || current === "stale") && now - lastPoll > POLL) refreshAll();
    if (source.readyState === EventSource.CLOSED || (silent && current === "stale")) connect();
    // A day of the site is over: the figures of "today" are another day's now.
    const tiles = document.querySelector("#tiles [data-ends]");
    if (tiles && now / 1000 >= Number(tiles.dataset.ends) && now - asked.tiles > POLL) refreshAll();
  }, 1000);

  // The list. What is being read stays where it is; what is new is counted, and said.
  let unseen = 0, known = leads(), anchor = null;
  function leads() { return new Set([...list.querySelectorAll("[data-lead]")].map((row) => row.id)); }
  function inView() { return list.getBoundingClientRect().top > -40 && !document.hidden; }
  function text(template, n) { return (n === 1 ? template.one : template.other).replace("#", n); }

  document.addEventListener("htmx:before:swap", (event) => {
    if (event.detail.ctx.target !== list || list.getBoundingClientRect().top >= 0) { anchor = null; return; }
    const row = [...list.querySelectorAll("[data-lead]")].find((r) => r.getBoundingClientRect().bottom > 0);
    anchor = row && { id: row.id, top: row.getBoundingClientRect().top };
  });
  document.addEventListener("htmx:after:swap", (event) => {
    const state = document.getElementById("install-state");
    if (state && document.querySelector("#tiles [data-events=some]") && state.textContent !== state.dataset.arrived) {
      state.textContent = state.dataset.arrived;
    }
    if (event.detail.ctx.target !== list) return;
    const kept = anchor && document.getElementById(anchor.id);
    if (kept) window.scrollBy({ top: kept.getBoundingClientRect().top - anchor.top, behavior: "instant" });
    const now = leads();
    const fresh = known.size ? [...now].filter((id) => !known.has(id)) : [...now];
    // Rows that slid in at the end when one above went away are not news.
    const first = [...list.querySelectorAll("[data-lead]")];
    const news = fresh.filter((id) => first.findIndex((r) => r.id === id) < fresh.length);
    known = now;
    if (!news.length) return;
    for (const id of news) document.getElementById(id).classList.add("is-new");
    announce.textContent = text(announce.dataset, news.length);
    if (!inView()) unseen += news.length;
    showUnseen();
  });
  function showUnseen() {
    pill.hidden = !unseen || list.getBoundingClientRect().top > -40;
    pill.lastElementChild.textContent = text(pill.dataset, unseen);
    document.title = unseen ? `(${unseen}) ${title}` : title;
  }
  function seen() { if (unseen && inView()) unseen = 0; showUnseen(); }
  pill.addEventListener("click", () => document.getElementById("leads").scrollIntoView({ behavior: "smooth" }));
  addEventListener("scroll", seen, { passive: true });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { seen(); show(); } });

  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { connect(); refreshAll(); } });
  connect();
})();
