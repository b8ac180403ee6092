// The outbox: every event waits here until the server has said that it is stored.
//
// One storage key per event, so no tab can erase what another has just added. The key sorts by rank, then by time:
// conversions leave first and are shed last. An event goes out at least once and carries its id, so the server keeps
// one of two. Only answers count: 2xx means stored; 408, 425, 429, 5xx and silence mean "later"; any other 4xx is about
// the contents, so the batch is halved until the bad event stands alone and can be put aside without harming others.
import { alone, release } from "./alone.js";
import { attempt, debug, guard, isVolatile, keys, load, read, remove, save } from "./browser.js";
import { adopt, hasLeftovers } from "./first_generation.js";
import { door, site } from "./tag.js";

export const CONVERSION = 0;
export const ORDINARY = 1;
export const FAREWELL = 2; // session_end
export const PULSE = 3; // heartbeat, scroll: the first to be shed

const VERSION = "1.0.0";
const PREFIX = "opsmantik_q_" + site + "_";
const PAUSE = "opsmantik_pause";

const CAPACITY = 100;
const BATCH = 20;
const LETTERS = 2e4; // of JSON a request; at most 60 kB as UTF-8, under the 64 KiB that keepalive and beacons allow
const ANSWER = 1e4; // ms to wait for an answer
const HOLD = 15e3; // ms for which nobody else sends an event that is on its way
const DAY = 864e5;

const ours = {}; // keys that this page added
const flying = {}; // keys that this page is sending
let timer;
let due = Infinity;
let busy = false;
let again = false;
let leaving = false; // the browser drops a leaving page's requests from its sight, though they go on: no failure

// An item as stored: k = its own key, e = the event, t = its time, r = a ready body (first generation), h = not before,
// n = how often it failed by itself.
const keep = (item) => save(item.k, item);
const update = (item) => read(item.k) && keep(item); // what is gone meanwhile (delivered, consent withdrawn) stays gone
const keyOf = (rank, event) => PREFIX + rank + event.ts + "_" + event.id;
const rankOf = (key) => +key[PREFIX.length];

// ---- adding -----------------------------------------------------------------------------------------------------

/** Keeps an event until it is delivered. A conversion sets out at once, everything else with the next batch. */
export const put = (rank, event) => {
  // The caller's own data is all that can be endless or unserialisable: the event matters more.
  const meta = attempt(() => JSON.stringify(event.meta));
  if (!meta || meta.length > LETTERS / 2) delete event.meta;
  const urgent = !rank && !resting();
  const item = {
    // A heartbeat carries running totals: one still waiting is replaced.
    k: event.act === "heartbeat" ? PREFIX + rank + "_" + event.sid : keyOf(rank, event),
    e: event,
    t: event.ts,
    h: urgent ? event.ts + HOLD : 0,
  };
  ours[item.k] = 1;
  keep(item);
  shed();
  if (!urgent) schedule(rank > ORDINARY ? 2e3 : 200);
  // A fetch that outlives the page is better than a beacon, which filter lists block and whose answer nobody sees.
  else if (attempt(() => !("keepalive" in Request.prototype)) && beacon([item])) schedule(HOLD);
  else deliver([item]).then(() => schedule(200));
};

const shed = () => {
  const all = keys(PREFIX);
  const worst = all.filter((key) => rankOf(key) === rankOf(all[all.length - 1]));
  if (all.length > CAPACITY) remove(worst[0]);
};

// ---- talking to the server ---------------------------------------------------------------------------------------

const bodyOf = (batch) =>
  batch[0].r || JSON.stringify({ site, sent: Date.now(), v: VERSION, events: batch.map((item) => item.e) });

const beacon = (batch) => attempt(() => navigator.sendBeacon(door, bodyOf(batch)));

/** Posts a batch as text, so without a preflight; resolves, never rejects, with [status (0: none), Retry-After, body]. */
const post = (batch) =>
  new Promise((resolve) => {
    const body = bodyOf(batch);
    const silence = () => resolve([0]);
    const sent = attempt(() => {
      const cancel = new AbortController();
      setTimeout(() => {
        silence();
        cancel.abort();
      }, ANSWER);
      return fetch(door, { method: "POST", body, keepalive: body.length <= LETTERS, signal: cancel.signal });
    });
    // No usable fetch: a beacon's word is the best there is.
    if (!sent) return resolve([beacon(batch) ? 204 : 0]);
    sent.then((response) => {
      const end = (answer) => resolve([response.status, response.headers.get("Retry-After"), answer]);
      return response.text().then(end, () => end());
    }).catch(silence);
  });

/** Acts on an answer. True: go on with the next batch; false: later. */
const settle = (batch, [status, after, answer]) => {
  debug([status, batch]);
  const { results } = attempt(() => JSON.parse(answer)) || {};
  if (status > 199 && status < 300) {
    for (const item of batch) {
      const result = results && results.find((one) => one.id === item.e.id);
      // Accepted, duplicate and rejected are final; what is not listed was accepted.
      if (result && !/^(acc|dup|rej)/.test(result.status)) rest(item);
      else remove(item.k);
    }
    remove(PAUSE);
    return true;
  }
  if (!status && leaving) return false;
  if (status < 400 || /408|425|429|5../.test(status)) {
    for (const item of batch) {
      item.h = 0;
      // One event may be what the server fails on: after two such answers each of the batch is tried alone, and the
      // one that fails alone waits by itself.
      if (status === 500) rest(item, batch[1]);
      else update(item);
    }
    pause(after);
    return false;
  }
  // With results the server has looked at each event, and refused them all.
  if (batch[1] && !results) {
    const half = batch.length >> 1;
    return deliver(batch.slice(0, half)).then((go) => go && deliver(batch.slice(half)));
  }
  // 401 to 405 often mean that the site's set-up is not finished: a lead gets a few more chances.
  for (const item of batch) {
    if (/40[1-5]/.test(status) && !rankOf(item.k) && !(item.n > 4)) rest(item);
    else remove(item.k);
  }
  return true;
};

const rest = (item, inCompany) => {
  item.n = (item.n || 0) + 1;
  item.h = inCompany ? 0 : Date.now() + patience(6e4, item.n, 36e5);
  update(item);
};

const travelsAlone = (item) => item.r || item.n > 1;

/** Doubling with every failure up to a limit, in ms; the random half keeps a thousand visitors from coming back at once. */
const patience = (first, tries, most) => Math.min(most, first * Math.pow(2, tries)) * (0.5 + Math.random() / 2);

const deliver = (batch) => {
  for (const item of batch) flying[item.k] = 1;
  return post(batch)
    .then((answer) => settle(batch, answer))
    .catch(debug)
    .then((go) => {
      for (const item of batch) delete flying[item.k];
      return go;
    });
};

// ---- when -------------------------------------------------------------------------------------------------------

/** ms that the server, or our own patience, still asks us to wait. Shared by all tabs. */
const resting = () => {
  const left = load(PAUSE).t - Date.now();
  return left > 0 && left < 36e5 ? left : 0;
};

const pause = (after) => {
  const n = (load(PAUSE).n || 0) + 1;
  const asked = isNaN(after) ? new Date(after) - Date.now() : after * 1e3; // seconds or a date
  const wait = asked > 0 ? Math.min(asked, 35e5) + Math.random() * 1e3 : patience(1e3, n, 3e5);
  save(PAUSE, { n, t: Date.now() + wait, asked: asked > 0 });
  schedule(wait);
};

/** Sends what waits, at the latest in so many ms. */
export const schedule = (ms) => {
  const at = Date.now() + ms;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(guard(flush), ms);
};

/** Sends what waits, unless somebody else is at it or it is too early. */
const flush = () => {
  due = Infinity;
  if (resting()) return schedule(resting());
  again = busy;
  if (busy || !(keys(PREFIX)[0] || hasLeftovers())) return;
  busy = true;
  const done = () => {
    busy = false;
    if (again) schedule(200);
  };
  const work = () => {
    attempt(() =>
      adopt((lead, t, e, r) => keep({ k: keyOf(lead ? CONVERSION : ORDINARY, e), e, t, r })),
    );
    return drain();
  };
  alone(PREFIX, work, () => schedule(300 + Math.random() * 500)).then(done, done);
};

const drain = () => {
  const batch = nextBatch();
  return batch[0] ? deliver(batch).then((go) => go && drain()) : Promise.resolve();
};

const nextBatch = () => {
  const now = Date.now();
  const batch = [];
  let letters = 0;
  for (const key of keys(PREFIX)) {
    const item = load(key);
    if (flying[key]) continue;
    if (!(now - item.t < 30 * DAY)) remove(key);
    else if (item.h > now && item.h < now + DAY) schedule(item.h - now);
    else {
      letters += read(key).length;
      if (batch[0] && (letters > LETTERS || travelsAlone(item))) break;
      batch.push(item);
      if (batch.length >= BATCH || travelsAlone(item)) break;
    }
  }
  return batch;
};

/**
 * The page is put aside or goes away: what it has not sent leaves now, without waiting for another tab. At the very
 * end as beacons; leads and views then stay here too, until an answer (to another page) confirms them.
 */
export const lastCall = (final) => {
  if (leaving) return; // a page that goes away is hidden as well
  leaving = final;
  const held = Date.now() + HOLD;
  let batch = [];
  let letters = 0;
  const hold = (item) => {
    item.h = held;
    keep(item);
  };
  const leave = () => {
    if (!batch[0]) return;
    const gone = final && beacon(batch);
    for (const item of batch) {
      if (gone && rankOf(item.k) >= FAREWELL) remove(item.k);
      else hold(item);
    }
    if (!gone) deliver(batch);
    batch = [];
    letters = 0;
  };
  for (const key of keys(PREFIX)) {
    const item = load(key);
    if (flying[key]) {
      if (final) hold(item); // its request goes on without the page
    } else if (ours[key] && !(item.h > Date.now()) && (!resting() || (final && isVolatile(key)))) {
      letters += read(key).length;
      if (batch.length >= BATCH || letters > LETTERS) leave();
      batch.push(item);
    }
  }
  leave();
  if (final) release();
};

/** The page was only put aside (back-forward cache). */
export const comeBack = () => (leaving = false);

/** Silence was the network's fault: no need to be patient any longer. What the server asked for still holds. */
export const backOnline = () => {
  if (!load(PAUSE).asked) remove(PAUSE);
  schedule(0);
};
