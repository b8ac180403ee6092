// How long somebody really looked: visible time, scrolling, hovering, filling in a form.
import { guard, listen } from "./browser.js";
import { lastCall } from "./outbox.js";
import { isCta } from "./taps.js";

const BEAT = 3e4; // ms between heartbeats, while the page is visible

// Not yet added to the session's totals:
let hovers = 0;
let focus = 0; // ms in form fields
let active = 0; // ms visible
let scroll = 0; // deepest point of this page, in %
// and the state they are counted from:
let visible = false;
let focused = false;
let since = 0;

/** When the visitor last touched something, in epoch ms. */
export let signOfLife = Date.now();

/** Counts the time since the last call, once: as visible, as spent in a form field, or not at all. */
const accrue = () => {
  const now = Date.now();
  // No tick is longer than a beat: a longer one means that the machine slept.
  const passed = Math.max(0, Math.min(now - since, BEAT + 5e3));
  since = now;
  if (visible) active += passed;
  if (visible && focused) focus += passed;
  visible = document.visibilityState !== "hidden";
};

/** Adds what was counted to the session's totals. */
export const total = (session) => {
  const sum = session.pulse;
  accrue();
  sum.active += active / 1e3;
  sum.focus += focus / 1e3;
  sum.hovers += hovers;
  sum.scroll = Math.max(sum.scroll, scroll);
  active = focus = hovers = 0;
};

/** The session's totals so far, in whole numbers; what is still 0 is left out. */
export const pulseOf = (session) => {
  const pulse = {};
  for (const name of Object.keys(session.pulse)) {
    const value = Math.round(session.pulse[name]);
    if (value > 0) pulse[name] = value;
  }
  return pulse;
};

/** A view begins: the depth of the page before it does not count for it. */
export const newPage = () => {
  scroll = 0;
  signOfLife = Date.now();
};

/** Calls emit(...) as things happen, and awake() at the first sign of life after a quiet minute. */
export const watchAttention = (emit, awake) => {
  const alive = () => {
    const quiet = Date.now() - signOfLife;
    signOfLife += quiet;
    if (quiet > 6e4) awake();
  };

  const beat = () => emit("system", "heartbeat", "session_active");

  const onScroll = () => {
    const page = document.scrollingElement || document.documentElement;
    const room = page.scrollHeight - innerHeight;
    const depth = room > 0 ? Math.min(100, Math.round((page.scrollTop / room) * 100)) : 0;
    const before = scroll;
    scroll = Math.max(scroll, depth);
    for (const mark of [50, 90]) {
      if (before < mark && scroll >= mark) emit("interaction", "scroll_depth", mark + "%", mark);
    }
  };

  let waiting;
  listen(window, "scroll", () => {
    alive();
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = 0;
      guard(onScroll)();
    }, 150);
  });
  listen(window, "pointerdown", alive);
  listen(window, "keydown", alive);
  listen(window, "focusin", (event) => {
    accrue();
    focused = /^(input|textarea|select)$/i.test(event.composedPath()[0].tagName);
  });
  listen(window, "focusout", () => {
    accrue();
    focused = false;
  });
  // A finger's tap enters the element as well: that is no hover.
  listen(document, "pointerenter", (event) => {
    if (event.pointerType !== "touch" && isCta(event.target)) hovers++;
  });
  listen(document, "visibilitychange", () => {
    accrue();
    if (visible) return alive();
    // A phone may end the page from here without a word, so the totals leave now.
    if (active > 1e3) beat();
    lastCall();
  });
  setInterval(
    guard(() => {
      accrue();
      if (visible) beat();
    }),
    BEAT,
  );
  accrue();
};
