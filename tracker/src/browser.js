// What the tracker borrows from the browser. Any of it may be missing, refused by a setting, or replaced by the
// host page with something that throws; so every use sits behind a catch, and nothing is ever thrown or printed.

const V4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i;
const SHELVES = [() => localStorage, () => sessionStorage];

// Values the device refuses to keep (or that we may not keep there yet) live here, for as long as the page does.
const memory = {};
let durable = false;

/** What a function returns, or undefined if it throws. */
export const attempt = (fn) => {
  try {
    return fn();
  } catch (error) {
    debug(error);
  }
};

/** The same function, made safe to hand to the host page: it never throws. */
export const guard = (fn) =>
  function () {
    return attempt(() => fn.apply(this, arguments));
  };

/** Prints only when the site's owner asked for it with localStorage opsmantik_debug = "1". */
export const debug = (what) => {
  try {
    if (localStorage.getItem("opsmantik_debug") === "1") console.log("[opsmantik]", what);
  } catch (error) {
    // Storage or console refused: then there is nobody to tell.
  }
};

/** Listens in the capture phase: what the page stops later, we have already seen. Passive: we never cancel. */
export const listen = (target, type, fn) =>
  target.addEventListener(type, guard(fn), { capture: true, passive: true });

/** getAttribute that a form field named "id" or "getAttribute" cannot shadow; undefined for what is no element. */
export const attribute = (element, name) =>
  element instanceof Element ? Element.prototype.getAttribute.call(element, name) : undefined;

/** The value as text of a bounded length; undefined for what is no text (a clobbered document.title is an element). */
export const text = (value, length) => (typeof value === "string" ? value.slice(0, length || 2048) : undefined);

export const isUuid = (value) => V4.test(value);

/** A random UUIDv4. crypto.randomUUID exists on https pages only, so this makes its own. */
export const uuid = () =>
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) => {
    const strong = attempt(() => crypto.getRandomValues(new Uint8Array(1))[0]);
    const random = strong === undefined ? Math.random() * 256 : strong; // a weaker id is better than no event
    return (digit ^ (random & (15 >> (digit / 4)))).toString(16);
  });

// ---- storage -----------------------------------------------------------------------------------------------------

/** From now on values may (or may not) be written to the device. Those in memory move there; never over others. */
export const keepOnDevice = (permitted) => {
  durable = permitted;
  for (const key of permitted ? Object.keys(memory) : []) {
    const value = memory[key];
    delete memory[key];
    if (!read(key)) write(key, value);
  }
};

/** Would the value die with this page? */
export const isVolatile = (key) => key in memory;

const shelves = (fn) => (durable ? SHELVES : []).map((shelf) => attempt(() => fn(shelf())));

/** The text under a key; a falsy value if there is none. */
export const read = (key) => memory[key] || shelves((shelf) => shelf.getItem(key)).find(Boolean);

export const write = (key, value) => {
  const put = (shelf) => durable && attempt(() => (shelf().setItem(key, value), true));
  if (!put(SHELVES[0])) {
    remove(key); // where a shelf is full, the old value must not outlive the new one
    if (!put(SHELVES[1])) return (memory[key] = value);
  }
  delete memory[key];
};

export const remove = (key) => {
  delete memory[key];
  shelves((shelf) => shelf.removeItem(key));
};

/** All keys with a prefix, sorted. */
export const keys = (prefix) =>
  [...new Set(Object.keys(memory).concat(...shelves((shelf) => Object.keys(shelf))))]
    .filter((key) => key && key.indexOf(prefix) === 0)
    .sort();

/** The object under a key; an empty one if there is none or it is damaged. */
export const load = (key) => attempt(() => JSON.parse(read(key) || "{}")) || {};

export const save = (key, object) => write(key, JSON.stringify(object));
