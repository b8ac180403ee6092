// One site's page stays true by itself. The stream only says "changed, sequence N"; the cards are asked for again,
// so every figure comes from the database. The badge tells how far that can be trusted.
//
// Enters: #site with data-stream and data-sequence, #badge with its words, any number of [data-ends] (the second at
// which the day that a card is about is over). Leaves, on document.body: om:tiles (figures may have changed, at most
// one a second), om:intents (leads may have changed), om:state (detail.state: what the badge says now). What is asked
// for lists of leads besides is in new_leads.js.
(() => {
  "use strict";
  const site = document.getElementById("site");
  const badge = document.getElementById("badge");
  if (!site || !site.dataset.stream) return;

  const LIVE = 30e3;         // a change within this is "live", none is "idle"
  const STALE = 20e3;        // a heartbeat missed: they come every fifteen seconds
  const LOST = 35e3;         // two missed: the stream is made anew
  const POLL = 15e3;         // while there is no stream
  const POLL_HIDDEN = 120e3; // the same, while nobody looks
  const TILES_EVERY = 1e3;   // changes without a new lead
  const LEADS_EVERY = 5e3;
  const LOOK_HIDDEN = 60e3;  // those, while nobody looks

  let sequence = site.dataset.sequence || "0";
  let lastBeat = 0, lastChange = 0, lastPoll = Date.now();
  let brokenAt = 1;          // since when there is no stream; 0 while there is one
  let source = null, current = "offline";

  // Cards. At once for a new lead, at most every so often for anything else; while nobody looks only what may be a new
  // lead, since its news are in the tab's title. What a hidden page left out it is owed when somebody looks again.
  const due = { tiles: false, intents: false }, asked = { tiles: 0, intents: 0 }, timers = { tiles: 0, intents: 0 };
  function refresh(card, every) {
    due[card] = true;
    if (document.hidden) every = LOOK_HIDDEN;
    const wait = Math.max(0, asked[card] + every - Date.now());
    if (wait === 0) { ask(card); return; }
    if (!timers[card]) timers[card] = setTimeout(() => ask(card), wait);
  }
  function ask(card) {
    clearTimeout(timers[card]);
    timers[card] = 0;
    due[card] = false;
    asked[card] = Date.now();
    document.body.dispatchEvent(new CustomEvent(`om:${card}`));
  }
  function refreshAll() { lastPoll = Date.now(); ask("tiles"); ask("intents"); }
  function catchUp() {
    for (const card of Object.keys(due)) if (due[card]) ask(card);
  }

  // The stream.
  function connect() {
    if (source) source.close();
    brokenAt ||= Date.now();
    source = new EventSource(`${site.dataset.stream}?since=${sequence}`);
    source.addEventListener("open", () => { brokenAt = 0; });  // no beat: only the server knows whether it hears
    source.addEventListener("heartbeat", beat);
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      if (change.sequence) sequence = change.sequence;
      lastChange = Date.now();
      beat();
      if (change.kind !== "i") { refresh("tiles", TILES_EVERY); refresh("intents", LEADS_EVERY); }
      else if (document.hidden) { refresh("tiles", LOOK_HIDDEN); ask("intents"); }
      else refreshAll();
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
    if (current === now && (!badge || badge.dataset.state === now)) return;
    current = now;
    document.body.dispatchEvent(new CustomEvent("om:state", { detail: { state: now } }));
    if (!badge) return;
    badge.dataset.state = now;
    badge.title = badge.dataset[`${now}Hint`];
    badge.firstElementChild.textContent = badge.dataset[now];
  }

  let lastTick = Date.now(), lastConnect = Date.now();
  function tick() {
    const now = Date.now();
    // A gap between two ticks is a machine that slept, or a page that was held still: what the stream says is not known.
    const slept = now - lastTick > LOST && now - lastBeat > LOST;
    lastTick = now;
    show();
    const poll = document.hidden ? POLL_HIDDEN : POLL;
    const silent = slept || (now - lastBeat > LOST && now - lastConnect > POLL);
    if (source.readyState === EventSource.CLOSED ? now - lastConnect > 1e3 : silent && current !== "offline") {
      lastConnect = now;
      connect();
    }
    if ((current === "offline" || current === "stale") && now - lastPoll > poll) refreshAll();
    // A day of the site is over: the figures of "today" are another day's now.
    const ends = [...document.querySelectorAll("[data-ends]")].map((card) => Number(card.dataset.ends));
    if (ends.length && now / 1000 >= Math.min(...ends) && now - asked.tiles > poll) refreshAll();
  }
  setInterval(tick, 1000);

  document.addEventListener("visibilitychange", () => { if (!document.hidden) { tick(); catchUp(); } });
  // The network's own word is a reason to try, not an answer: a server on this machine is there without one.
  addEventListener("offline", connect);
  addEventListener("online", () => { connect(); refreshAll(); });
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { connect(); refreshAll(); } });

  // The words beside a snippet, once the first event is there.
  document.addEventListener("htmx:after:swap", () => {
    const install = document.getElementById("install-state");
    if (install && install.dataset.arrived && document.querySelector("#tiles [data-events=some]")) {
      install.textContent = install.dataset.arrived;
    }
  });
  connect();
})();
