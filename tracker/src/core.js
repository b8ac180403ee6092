// OpsMantik's browser script: views, leads, and how long somebody really looked. README.md tells what it does;
// the other files here are its parts. Nothing in it delays, prevents or alters what the visitor does.
import { newPage, pulseOf, signOfLife, total, watchAttention } from "./attention.js";
import { attempt, guard, listen, text, uuid } from "./browser.js";
import { CONVERSION, FAREWELL, ORDINARY, PULSE, backOnline, comeBack, lastCall, put, schedule } from "./outbox.js";
import { site, trackHash } from "./tag.js";
import { watchTaps } from "./taps.js";
import {
  allowed,
  click,
  consent,
  livingSession,
  newSession,
  recallConsent,
  rememberClick,
  saveSession,
  setConsent,
  visitor,
} from "./visit.js";

const RANKS = { session_end: FAREWELL, heartbeat: PULSE, scroll_depth: PULSE };

let started = false;
let referrer = text(document.referrer);
let address = location.href; // of the latest view
let place = ""; // the part of it whose change makes a new view

// ---- events ------------------------------------------------------------------------------------------------------

const emit = (cat, act, label, value, meta) => {
  const lead = act === "phone_call" || act === "whatsapp";
  const system = cat === "system";
  if (!allowed && !lead) return;
  const living = livingSession();
  if (system && !living) return; // a tab left open begins no session by itself
  const session = living || newSession();
  const event = {
    id: uuid(),
    ts: Date.now(),
    sid: session.id,
    cat: String(cat),
    act: String(act),
    label: text(label && String(label)),
    value: isFinite(parseFloat(value)) ? parseFloat(value) : undefined,
    url: text(location.href),
  };
  if (allowed) total(session);
  session.at = system ? Math.max(session.at, signOfLife) : event.ts;
  saveSession(session);
  if (allowed) {
    event.vid = visitor();
    event.pulse = pulseOf(session);
    event.meta = meta || undefined;
    if (!system) {
      event.ref = referrer;
      event.title = text(document.title, 300);
      event.click = click();
      event.env = attempt(environment);
    }
  } else {
    // The call itself is what the visitor asked for; who they are and which ad they clicked is not. The names of
    // the campaign say what was advertised, not to whom.
    event.url = location.origin + location.pathname + campaign();
  }
  event.consent = consent || (allowed ? undefined : { analytics: false, marketing: false });
  put(cat === "conversion" ? CONVERSION : RANKS[act] || ORDINARY, event);
  if (!living && act !== "view" && started) view(); // a visitor back after half an hour: a session has a view
};

const campaign = () => {
  const kept = location.search.split(/[?&]/).filter((pair) => /^utm_(?!id)/.test(pair));
  return kept[0] ? "?" + kept.join("&") : "";
};

const view = () => {
  newPage();
  emit("interaction", "view");
};

const environment = () => ({
  lang: navigator.language,
  tz: attempt(() => Intl.DateTimeFormat().resolvedOptions().timeZone),
  sw: screen.width,
  sh: screen.height,
  dpr: devicePixelRatio,
  mem: navigator.deviceMemory,
  cores: navigator.hardwareConcurrency,
  net: (navigator.connection || {}).effectiveType,
});

// ---- pages -------------------------------------------------------------------------------------------------------

const here = (pathOnly) =>
  location.pathname + (pathOnly ? "" : location.search + (trackHash ? location.hash : ""));

/** A route of a single-page app is a view. Rewriting the query in place (replaceState) is not. */
const route = (pathOnly) => {
  const moved = pathOnly ? here(true) !== place.split(/[?#]/)[0] : here() !== place;
  place = here();
  if (!started || !moved) return;
  referrer = text(address);
  address = location.href;
  rememberClick(address, referrer, true);
  view();
};

const watchRoutes = () => {
  for (const name of ["pushState", "replaceState"]) {
    const original = history[name];
    const later = guard(() => setTimeout(guard(route), 0, name === "replaceState")); // the title is set after the call
    attempt(() => {
      history[name] = function () {
        const result = original.apply(this, arguments);
        later();
        return result;
      };
    });
  }
  listen(window, "popstate", () => setTimeout(guard(route)));
  listen(window, "hashchange", () => setTimeout(guard(route)));
};

const start = () => {
  if (started || !allowed) return;
  if (document.prerendering) {
    listen(document, "prerenderingchange", start);
    return;
  }
  started = true;
  total({ pulse: {} }); // what was seen before it was allowed is not counted
  address = location.href;
  place = here();
  // The page may have tidied its URL before this script ran; the navigation entry still has it.
  const arrival = attempt(() => performance.getEntriesByType("navigation")[0]) || {};
  const fresh = !arrival.type || arrival.type === "navigate";
  rememberClick(location.href, referrer, fresh);
  if (arrival.name) rememberClick(arrival.name, referrer, fresh);
  view();
};

// ---- the page's side ---------------------------------------------------------------------------------------------

const api = function (method) {
  const call = api[method];
  return call && call.apply(api, [].slice.call(arguments, 1));
};
api.send = guard((category, action, label, value, metadata) => emit(category, action, label, value, metadata));
api.session = guard(() => {
  const session = livingSession() || newSession();
  saveSession(session);
  return { sessionId: session.id, fingerprint: allowed ? visitor() : null, context: (click() || {}).gclid || null };
});
api.consent = guard((choice) => {
  setConsent(choice);
  start();
});
api._initialized = true;

const boot = () => {
  const stubs = [window.opsmantik, window.opmantik];
  if (!site || stubs.some((stub) => (stub || {})._initialized) || optedOut()) return;
  window.opmantik = window.opsmantik = api;
  recallConsent();
  for (const stub of stubs) for (const call of (stub || {}).q || []) attempt(() => api.apply(null, call));
  watchTaps(
    (act, label) => emit("conversion", act, label),
    (name, label, value) => emit("custom", name, label, value),
  );
  watchAttention(emit, () => started && !livingSession() && view());
  watchRoutes();
  listen(window, "online", backOnline);
  listen(window, "pagehide", () => {
    emit("system", "session_end", "page_unload");
    lastCall(true);
  });
  listen(window, "pageshow", (event) => {
    comeBack();
    if (!event.persisted || !started) return;
    view();
  });
  start();
  schedule(200);
};

const optedOut = () => attempt(() => localStorage.getItem("opsmantik_disabled"));

attempt(boot);
