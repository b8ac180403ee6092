// A list of leads that others add to while it is read. What is being read stays where it is; what is new is counted,
// said, and told to whoever is not looking.
//
// Enters: the list, #newest-intents or the first [data-lead-list], whose rows are [data-lead] with an id and, if they
// can, data-at (the millisecond at which the lead came in: without it the top row is taken for the newest). With
// data-hold on the list new rows wait outside it until somebody asks for them; without it they come in at once, and the
// row under the reader's eyes stays there. Besides, each only if the page has it: #new-leads (the button "2 new"),
// #announce (what is read out), [data-alert=sound|notify] (switches of templates/lead_alerts.html).
// Leaves: om:leads on document.body, detail {news: ids, unseen, said: what was read out}. A page that keeps its new leads
// in a way of its own (the queue) loads this without a list and sends om:leads itself: title, sound and notification
// are the same everywhere.
(() => {
  "use strict";
  const list = document.getElementById("newest-intents") || document.querySelector("[data-lead-list]");
  const pill = document.getElementById("new-leads");
  const announce = document.getElementById("announce");

  // How many are new, in the tab's title. Others name the tab too, a record over the list for one: the number is put
  // before whatever it is called. While nobody looks it only grows.
  let counted = 0, count = 0;
  function name(n) {
    count = n;
    const now = document.hidden ? Math.max(counted, n) : n;
    if (now === counted) return;
    counted = now;
    const bare = document.title.replace(/^\(\d+\) /, "");
    document.title = counted ? `(${counted}) ${bare}` : bare;
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) name(count); });
  document.body.addEventListener("om:leads", ({ detail }) => {
    name(detail.unseen);
    if (detail.news.length) alertTo(detail.news, detail.said);
  });

  function text(template, n) { return (n === 1 ? template.one : template.other).replace("#", n); }
  const stored = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },  // none where cookies are refused
    set(name, value) { try { localStorage.setItem(name, value); } catch { /* then it holds for this page alone */ } },
  };

  // The list.
  if (list) {
    const ROW = "[data-lead]:not(button)";  // a button that decides says of which lead, by the same word
    const rows = (root) => [...root.querySelectorAll(ROW)];
    let known = new Set(rows(list).map((row) => row.id));
    let newest = latest(rows(list)), anchor = null, letIn = false;
    let unseen = 0, waiting = new Set();

    function latest(some) { return Math.max(0, ...some.map((row) => Number(row.dataset.at) || 0)); }
    function inView() { return list.getBoundingClientRect().top > -40 && !document.hidden; }
    function isList(event) {
      const { ctx, tasks } = event.detail;
      return ctx.target === list || (tasks || []).some((task) => task.target === list);
    }
    // Rows that slid in at the end when one above went away are not news, nor is an old lead that is waiting again.
    function newsAmong(some) {
      const fresh = some.filter((row) => !known.has(row.id) && !waiting.has(row.id));
      if (some.some((row) => row.dataset.at)) return fresh.filter((row) => Number(row.dataset.at) > newest);
      return fresh.filter((row) => some.indexOf(row) < fresh.length);
    }

    document.addEventListener("htmx:before:swap", (event) => {
      if (!isList(event)) return;
      anchor = null;
      if (list.getBoundingClientRect().top < 0) {
        const row = rows(list).find((each) => each.getBoundingClientRect().bottom > 0);
        anchor = row && { id: row.id, top: row.getBoundingClientRect().top };
      }
      if ("hold" in list.dataset && !letIn && known.size) hold(event);
    });
    function hold(event) {
      const main = (event.detail.tasks || []).find((task) => task.target === list);
      if (!main) return;
      const some = rows(main.fragment), news = newsAmong(some);
      for (const row of news) waiting.add(row.id);
      newest = Math.max(newest, latest(news));
      const there = new Set(some.map((row) => row.id));
      for (const id of waiting) if (!there.has(id)) waiting.delete(id);  // decided or gone before anybody asked
      for (const row of some) if (waiting.has(row.id)) row.remove();
      if (news.length) tell(news.map((row) => row.id));
    }

    document.addEventListener("htmx:after:swap", (event) => {
      if (!isList(event)) return;
      const kept = anchor && document.getElementById(anchor.id);
      if (kept) window.scrollBy({ top: kept.getBoundingClientRect().top - anchor.top, behavior: "instant" });
      const now = rows(list), news = newsAmong(now), asked = now.filter((row) => waiting.has(row.id));
      if (letIn) { letIn = false; waiting.clear(); }
      known = new Set(now.map((row) => row.id));
      newest = Math.max(newest, latest(now));
      for (const row of [...news, ...asked]) row.classList.add("is-new");
      if (news.length) {
        if (!inView()) unseen += news.length;
        tell(news.map((row) => row.id));
      }
      show();
    });

    function all() { return waiting.size + unseen; }
    function tell(news) {
      const said = announce ? text(announce.dataset, news.length) : "";
      if (announce) announce.textContent = said;
      show();
      document.body.dispatchEvent(new CustomEvent("om:leads", { detail: { news, unseen: all(), said } }));
    }
    function show() {
      name(all());
      if (!pill) return;
      pill.hidden = !waiting.size && (!unseen || list.getBoundingClientRect().top > -40);
      if (!pill.hidden) pill.lastElementChild.textContent = text(pill.dataset, all());
    }
    function seen() { if (unseen && inView()) unseen = 0; show(); }
    pill?.addEventListener("click", () => {
      const top = list.closest("section") || list;
      if (waiting.size) {
        letIn = true;
        document.body.dispatchEvent(new CustomEvent("om:intents"));
      }
      if (list.getBoundingClientRect().top < 0) top.scrollIntoView({ behavior: "smooth" });
    });
    addEventListener("scroll", seen, { passive: true });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) seen(); });
    document.addEventListener("htmx:after:settle", () => { if (!document.hidden) seen(); });
  }

  // Telling whoever is not looking: a sound, and a word of the browser's own. Both are off until somebody wants them.
  const SOUND = "om-sound", NOTIFY = "om-notify", RANG = "om-rang";
  let audio = null;
  const wants = (what) => stored.get(what) === "on";
  const notifies = () => wants(NOTIFY) && "Notification" in window && Notification.permission === "granted";

  // A browser lets a page sound only after somebody has touched it, so the first touch wakes it.
  function wake() {
    if (!window.AudioContext) return;
    audio ||= new AudioContext();
    if (audio.state === "suspended") audio.resume().then(showSwitches, () => {});
  }
  if (wants(SOUND)) for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, wake, { once: true, capture: true });
  function ring() {
    if (!audio || audio.state !== "running") return;
    // Two tones that rise, soft at both ends: heard in a workshop, and no alarm.
    for (const [after, hertz] of [[0, 660], [0.16, 880]]) {
      const at = audio.currentTime + after, tone = audio.createOscillator(), loudness = audio.createGain();
      tone.frequency.value = hertz;
      loudness.gain.setValueAtTime(0, at);
      loudness.gain.linearRampToValueAtTime(0.2, at + 0.02);
      loudness.gain.exponentialRampToValueAtTime(0.001, at + 0.4);
      tone.connect(loudness).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.42);
    }
  }
  function alertTo(ids, said) {
    const last = ids.join(" ");
    const first = stored.get(RANG) !== last;  // another tab of the same page has told it already
    stored.set(RANG, last);
    if (wants(SOUND) && first) ring();
    if (said && notifies() && (document.hidden || !document.hasFocus())) notify(said, last);
  }
  function notify(words, tag) {
    try {
      const note = new Notification(words, { body: document.title.replace(/^\(\d+\) /, ""), tag, icon: "/static/icon.svg" });
      note.addEventListener("click", () => { window.focus(); note.close(); });
      return true;
    } catch { return false; }  // some phones take them from installed apps only
  }

  function showSwitches() {
    for (const box of document.querySelectorAll("[data-alert]")) {
      const sound = box.dataset.alert === "sound";
      box.checked = sound ? wants(SOUND) : notifies();
      const say = document.getElementById(`${box.id}-state`), on = box.checked;
      if (!say) continue;
      let word = on ? "on" : "off";
      if (sound && on && audio?.state !== "running") word = "touch";
      if (!sound && (!("Notification" in window) || box.dataset.refused)) word = "cannot";
      else if (!sound && Notification.permission === "denied") word = "denied";
      box.disabled = word === "cannot" || word === "denied";
      say.textContent = say.dataset[word];
    }
  }
  document.addEventListener("change", async (event) => {
    const box = event.target;
    if (box.dataset?.alert === "sound") {
      stored.set(SOUND, box.checked ? "on" : "off");
      if (box.checked) { wake(); if (audio) { await audio.resume(); ring(); } }  // this is how it will sound
    } else if (box.dataset?.alert === "notify") {
      const allowed = box.checked && (await Notification.requestPermission()) === "granted";
      stored.set(NOTIFY, allowed ? "on" : "off");
      if (allowed && !notify(box.dataset.example, "om-example")) { stored.set(NOTIFY, "off"); box.dataset.refused = "true"; }
    } else return;
    showSwitches();
  });
  addEventListener("storage", showSwitches);  // switched in another tab
  for (const group of document.querySelectorAll("[data-needs-script]")) group.hidden = false;
  showSwitches();
})();
