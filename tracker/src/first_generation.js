// What the tracker before this one left behind on the visitor's device.
import { load, read, remove, save, uuid } from "./browser.js";
import { door, site } from "./tag.js";

const OUTBOX = "opsmantik_outbox_v2";
const plain = (id) => String(id).replace(/-/g, "").toLowerCase();

export const hasLeftovers = () => read(OUTBOX);

/**
 * Hands over its stuck queue, a list of {id, ts, payload, attempts}, item by item: keep(conversion?, time, event, body).
 * body is the old request, for the endpoint that it was made for; any other gets the event, converted.
 */
export const adopt = (keep) => {
  const old = load(OUTBOX);
  const foreign = []; // another site's on the same origin: not ours to send
  for (const entry of Array.isArray(old) ? old : []) {
    const body = (entry || {}).payload || {};
    if (plain(body.s) !== plain(site)) {
      foreign.push(entry);
      continue;
    }
    const ts = +new Date(entry.ts) || Date.now();
    const url = body.url || body.u;
    const meta = body.meta || {};
    const event = {
      id: uuid(),
      ts,
      sid: body.sid,
      vid: meta.fp,
      cat: body.ec,
      act: body.ea,
      label: body.el,
      value: body.ev,
      url,
      ref: body.r,
      click: meta.gclid ? { gclid: meta.gclid, url, at: ts } : undefined,
      meta,
    };
    keep(body.ec === "conversion", ts, event, /\/api\/sync$/.test(door) ? JSON.stringify(body) : "");
  }
  if (foreign[0]) save(OUTBOX, foreign);
  else remove(OUTBOX);
};
