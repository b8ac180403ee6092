// One tab at a time: exactly, where the browser has locks; else by a lease in storage that two may share very rarely.
import { attempt, load, remove, save, uuid } from "./browser.js";

const LEASE = "opsmantik_lease";
const tab = uuid();

/** Runs work (a function that returns a promise) unless another tab is at it: then later() is called instead. */
export const alone = (name, work, later) => {
  const lease = () => {
    const { by, t } = load(LEASE);
    const left = t - Date.now();
    if (left > 0 && left < 6e4 && by !== tab) return later();
    save(LEASE, { by: tab, t: Date.now() + 3e4 });
    // Two may have written at once: after a moment both see who was last.
    return new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 50)).then(() =>
      load(LEASE).by === tab ? work().then(release, release) : later(),
    );
  };
  return Promise.resolve(
    attempt(() => navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? work() : later()))) ||
      Promise.reject(),
  ).catch(lease);
};

/** Gives the lease back, if this tab has it. */
export const release = () => {
  if (load(LEASE).by === tab) remove(LEASE);
};
