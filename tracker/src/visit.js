// Who is here, and how they came: consent, visitor, session, and the ad click behind the visit.
import { attempt, isUuid, keepOnDevice, keys, load, read, remove, save, text, uuid, write } from "./browser.js";
import { clickWindow, consentRequired } from "./tag.js";

const TIMEOUT = 18e5; // 30 minutes without a sign of life end a session
const SESSION = "opsmantik_session";
const CLICK = "opsmantik_click";
const CONSENT = "opsmantik_consent";
// The first generation's keys, kept under their names: nobody becomes a new visitor by our update.
const VISITOR = "opmantik_session_fp";
const TAB_SESSION = "opmantik_session_sid";

/** What the visitor said: {analytics, marketing}, or undefined when nobody asked. */
export let consent;
/** May we measure? Otherwise only taps on phone and WhatsApp links go out, without any lasting id. */
export let allowed = !consentRequired;

/** Recalls an earlier choice. Until there is one where one is required, the device is left as it is. */
export const recallConsent = () => {
  keepOnDevice(true);
  const earlier = load(CONSENT);
  if ("analytics" in earlier) {
    consent = earlier;
    allowed = !!earlier.analytics;
  }
  keepOnDevice(allowed);
};

/** The visitor's choice. A refusal wipes what we kept; only leads not yet sent stay, in memory. */
export const setConsent = (choice) => {
  consent = { analytics: !!choice.analytics, marketing: !!choice.marketing };
  allowed = consent.analytics;
  keepOnDevice(true);
  const unsent = {};
  if (!allowed) {
    for (const key of keys("op")) {
      if (/^opsmantik_q_.*_0\d{13}_/.test(key)) unsent[key] = read(key);
      if (/^ops?mantik_(?!debug|disabled)/.test(key)) remove(key);
    }
  } else if (!consent.marketing) remove(CLICK);
  // Where no answer means yes, a no has to be remembered too. It names nobody.
  if (allowed || !consentRequired) save(CONSENT, consent);
  keepOnDevice(allowed);
  for (const key of Object.keys(unsent)) write(key, unsent[key]);
};

/** A random name for this browser. One that the first generation left is kept, whatever it is. */
export const visitor = () => {
  if (!read(VISITOR)) write(VISITOR, uuid());
  return text(read(VISITOR), 64);
};

/** The living session {id, at, pulse}, shared by all tabs. Read afresh: another tab may have moved it on. */
export const livingSession = () => {
  const found = load(SESSION);
  return isUuid(found.id) && found.pulse && Math.abs(Date.now() - found.at) < TIMEOUT ? found : undefined;
};

export const newSession = () => {
  // A session that the first generation began in this tab goes on under its id.
  const begun = allowed && !read(SESSION) && attempt(() => sessionStorage.getItem(TAB_SESSION));
  return { id: isUuid(begun) ? begun : uuid(), at: Date.now(), pulse: { scroll: 0, hovers: 0, focus: 0, active: 0 } };
};

export const saveSession = (session) => {
  save(SESSION, session);
  if (allowed) attempt(() => sessionStorage.setItem(TAB_SESSION, session.id));
};

/** The remembered ad click {gclid, wbraid, gbraid, url, ref, at}, until the attribution window closes. */
export const click = () => {
  const found = load(CLICK);
  return Date.now() - found.at < clickWindow ? found : undefined;
};

const ids = (of) => [of.gclid, of.wbraid, of.gbraid].join("");

/**
 * Remembers the ad click in a URL, its query or its fragment. A later click replaces an earlier one, a landing with
 * nothing but UTMs does not, and the same URL again (reload, bookmark, back button) does not make the click younger.
 */
export const rememberClick = (url, referrer, fresh) => {
  const found = { url: text(url), ref: referrer, at: Date.now() };
  url.replace(/[?&#](gclid|[wg]braid)=([\w.~-]+)/gi, (_, name, value) => (found[name.toLowerCase()] = text(value, 512)));
  const earlier = click() || {};
  const paid = ids(found);
  if (
    (consent && !consent.marketing) ||
    !(paid || /[?&#]utm_\w+=[^&#{%]/i.test(url)) ||
    earlier.url === found.url ||
    (ids(earlier) && (!fresh || !paid || ids(earlier) === paid))
  )
    return;
  save(CLICK, found);
};
