// The script tag: which site this is, where its events go, and what the site's owner chose.
import { attempt, attribute } from "./browser.js";

const NAMES = ["data-site-id", "data-ops-site-id", "data-site"];
const siteOf = (element) => NAMES.map((name) => attribute(element, name)).find(Boolean);

// A tag manager may run us from another script element, or from none: then look for the tag by its attribute.
const current = document.currentScript;
const tag = siteOf(current) ? current : document.querySelector("script[" + NAMES.join("],script[") + "]");
const option = (name) => attribute(tag, "data-" + name);

export const site = siteOf(tag);
export const consentRequired = option("consent") === "required";
export const trackHash = /^(|true)$/.test(option("track-hash"));

/** How long an ad click is remembered, in ms: data-window in days, 90 if absent (Google's own longest window). */
export const clickWindow = (option("window") || 90) * 864e5;

/** Where events are posted: data-api (a path counts from the page), else /v1/events where this script came from. */
const given = option("api");
export const door =
  attempt(() => (given ? new URL(given, location.href) : new URL("/v1/events", tag.src || location.href)).href) ||
  "/v1/events";
