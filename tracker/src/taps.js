// Which link is a lead, and hearing the tap on it without touching it.
import { attempt, attribute, guard, listen } from "./browser.js";

// Host and rest of a WhatsApp link; the app's own scheme has no host.
const WHATSAPP = /^(?:(?:(?:https?:)?\/\/)?(?:(wa\.me)|(?:www\.|api\.|web\.)?whatsapp\.com)|whatsapp:\/)\/?(.*)/i;
const INLINE = /(?:tel:|whatsapp:\/\/|https?:\/\/(?:[a-z]+\.)?(?:wa\.me|whatsapp\.com)\/)[^'"\s]+/i;

/** Digits once percent escapes (%2B is a plus) and everything else is left out. */
const digits = (value) => value.replace(/%..|\D/g, "").length;

/**
 * "phone_call", "whatsapp" or null. A share link, a group invite and a channel name nobody to talk to: not a lead.
 */
export const leadIn = (href) => {
  const link = href.trim();
  if (/^tel:/i.test(link)) return digits(link) ? "phone_call" : null;
  const [, short, rest] = WHATSAPP.exec(link) || [];
  if (rest === undefined) return null;
  const path = rest.split(/[?#]/)[0];
  const named = /[?&]p(?:hone)?=([^&#]*)/i.exec(rest);
  return /^(message|qr)\/\w/i.test(path) ||
    (named && /^(send\/?)?$/i.test(path) && digits(named[1]) > 4) ||
    (short && /^(c\/)?(%..|[+\d().\s-])+\/?$/i.test(path) && digits(path) > 4)
    ? "whatsapp"
    : null;
};

/** The lead {act, href} that an element leads to, if any: by its link, our attributes, or an inline handler. */
export const leadOf = (element) => {
  const own = (name) => attribute(element, name) || "";
  const number = own("data-om-whatsapp");
  return [
    own("href") || own("xlink:href"),
    own("data-om-tel").replace(/^(tel:)?(?=.)/i, "tel:"),
    /[/:]/.test(number) ? number : number && "https://wa.me/" + number,
    own("data-href"),
    (INLINE.exec(own("onclick")) || [""])[0],
  ]
    .map((href) => ({ act: leadIn(href), href: href.trim() }))
    .find((lead) => lead.act);
};

const ignored = (element) => typeof attribute(element, "data-om-ignore") === "string";

/** Worth counting when a mouse comes to rest on it: what leads to a conversation, or what the page says is. */
export const isCta = (element) => {
  const cta = attribute(element, "data-om-cta");
  return cta ? cta !== "false" : cta === "" || leadOf(element);
};

/** Calls lead(act, label) once a tap or a submitted form, and custom(name, label, value) for data-om-event. */
export const watchTaps = (lead, custom) => {
  let latest;
  let until = 0;
  // A widget that clicks a link of its own inside our click, or a double click, is still one tap.
  const once = (act, label) => {
    const now = Date.now();
    if (latest !== act + label || now > until) lead(act, label);
    latest = act + label;
    until = now + 1e3;
  };

  const onClick = (event) => {
    const path = event.composedPath(); // through open shadow roots too
    if (path.some(ignored)) return;
    const found = path.map(leadOf).find(Boolean);
    if (found) once(found.act, found.href);
    const named = path.find((node) => attribute(node, "data-om-event"));
    if (named) {
      const of = (name) => attribute(named, "data-om-" + name) || undefined;
      custom(of("event"), of("label"), of("value"));
    }
  };
  // On window, not document: the first stop of the capture phase, before any listener of the page can end it.
  // "click" is what a finger, a mouse and the Enter key end in; touchstart would count a scrolling thumb.
  listen(window, "click", onClick);
  listen(window, "auxclick", (event) => {
    if (event.button === 1) onClick(event); // the middle button opens the link in a new tab
  });

  listen(window, "submit", (event) => {
    const form = event.target;
    if (ignored(form) || attribute(form, "role") === "search") return;
    // Never form.id: a field named "id" takes its place.
    once("form_submit", attribute(form, "id") || attribute(form, "name") || "form");
  });

  // Chat widgets open WhatsApp by script. The call goes through as it came; we only read the address.
  const open = window.open;
  const look = guard((href) => {
    const act = leadIn(String(href));
    if (act) once(act, String(href).trim());
  });
  attempt(() => {
    window.open = function (href) {
      look(href);
      return open.apply(this, arguments);
    };
  });
};
