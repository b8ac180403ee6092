// The live page's feed: visits come and go, and none of them moves under the reader's eyes.
//
// What a visit does appears in its group at once. A visit that is new waits outside until somebody asks for it, and the
// order stays what it was until then; who wants the feed to flow switches that on, and it still holds while a finger,
// pointer or focus is in it. Pause keeps everything as it is.
(() => {
  "use strict";
  const live = document.getElementById("live");
  if (!live) return;
  const pause = document.getElementById("pause"), follow = document.getElementById("follow");
  const paused = document.getElementById("paused"), said = document.getElementById("feed-said");
  const FOLLOW = "om-follow", VISIT = "[data-visit]";
  let waiting = new Set(), letIn = false, anchor = null, pointed = false, isPaused = false, missed = false;

  const visits = (root) => [...root.querySelectorAll(VISIT)];
  const feed = () => document.getElementById("feed");
  const pill = () => document.getElementById("feed-new");
  function look() { live.dispatchEvent(new CustomEvent("om:look")); }

  // Whoever reads in it, points into it or has gone on below its beginning is not to be disturbed.
  function isRead() {
    const top = document.getElementById("live-feed").getBoundingClientRect().top;
    return pointed || feed()?.contains(document.activeElement) || top < 0;
  }

  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx.sourceElement !== live || !isPaused) return;
    missed = true;
    event.preventDefault();
  });
  document.addEventListener("htmx:before:swap", (event) => {
    const main = (event.detail.tasks || []).find((task) => task.target === live);
    if (!main) return;
    if (isPaused) { missed = true; event.preventDefault(); return; }  // it was under way when somebody said stop
    anchor = eyes();
    const mine = feed(), theirs = main.fragment.querySelector("#feed");
    if (mine && theirs && !letIn && (!follow.checked || isRead())) hold(mine, theirs);
    else waiting = new Set();
  });
  // The new answer in the old order: first what is here already, as it is now; the others wait.
  function hold(mine, theirs) {
    const now = new Map(visits(theirs).map((visit) => [visit.id, visit]));
    const kept = visits(mine).map((visit) => now.get(visit.id) || visit.cloneNode(true));
    const here = new Set(kept.map((visit) => visit.id));
    const before = waiting.size;
    waiting = new Set([...now.keys()].filter((id) => !here.has(id)));
    theirs.replaceChildren(...kept);
    if (waiting.size > before) said.textContent = words();
  }
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.target !== live) return;
    letIn = false;
    const kept = anchor && document.getElementById(anchor.id);
    if (kept) window.scrollBy({ top: kept.getBoundingClientRect().top - anchor.top, behavior: "instant" });
    show();
  });
  // What is read: where the focus is, else under the pointer, else the first group whose beginning is on the screen.
  function eyes() {
    const groups = visits(live);
    const group = groups.find((each) => each.contains(document.activeElement)) || groups.find((each) => each.matches(":hover"))
      || (groups[0]?.getBoundingClientRect().top < 0 && groups.find((each) => each.getBoundingClientRect().top >= 0));
    return group ? { id: group.id, top: group.getBoundingClientRect().top } : null;
  }

  function words() {
    const button = pill();
    return (waiting.size === 1 ? button.dataset.one : button.dataset.other).replace("#", waiting.size);
  }
  function show() {
    const button = pill();
    button.hidden = !waiting.size;
    if (waiting.size) button.lastElementChild.textContent = words();
  }
  live.addEventListener("click", (event) => {
    if (!event.target.closest("#feed-new")) return;
    letIn = true;
    waiting = new Set();
    const title = document.getElementById("live-feed-title");
    title.tabIndex = -1;  // the button goes away: who came by the keyboard stands where the new ones begin
    title.focus({ preventScroll: true });
    if (title.getBoundingClientRect().top < 0) title.scrollIntoView({ block: "start", behavior: "smooth" });
    if (isPaused) setPaused(false); else look();
  });
  document.addEventListener("pointerover", (event) => { pointed = Boolean(event.target.closest?.("#feed")); }, { passive: true });

  function setPaused(now) {
    isPaused = now;
    pause.setAttribute("aria-pressed", String(now));
    pause.lastElementChild.textContent = now ? pause.dataset.go : pause.dataset.pause;
    paused.hidden = !now;
    if (!now && (missed || letIn)) { missed = false; look(); }
  }
  pause.addEventListener("click", () => setPaused(!isPaused));
  pause.hidden = false;

  try { follow.checked = localStorage.getItem(FOLLOW) === "on"; } catch { /* cookies are refused: off */ }
  follow.addEventListener("change", () => {
    try { localStorage.setItem(FOLLOW, follow.checked ? "on" : "off"); } catch { /* then for this page alone */ }
    if (follow.checked && waiting.size) look();
  });

  setInterval(() => { if (follow.checked && waiting.size && !isPaused && !document.hidden && !isRead()) look(); }, 1e3);
  // "On the site now" ends by time alone, so the page asks again once a minute although nothing has happened.
  setInterval(() => { if (!document.hidden) look(); }, 60e3);
})();
