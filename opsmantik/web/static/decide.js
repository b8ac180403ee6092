// Deciding about leads, on any page that includes decide_dialogs.html. A press on
//   <button data-decide="seal|junk|suspect|pend|restore|undo" data-lead data-version data-site>
// opens its dialog or acts at once. On document there is then
//   om:deciding  before it is sent: {site, lead, version, body}. Whoever prevents it has shown the outcome already, and
//                the dialog closes at once instead of waiting for the answer.
//   om:decided   {site, lead, action, status, version, name}; an undo says action "undo"
//   om:refused   {site, lead, http, code, kind, action, status, version, who, at, text}; text is for the reader. Whoever
//                prevents it has shown it themselves
//   om:undoable  {n}: how many decisions undo would take back, one by one, at this moment
// For decks and bulk: om.decide(site, lead, version, body) and om.undo(site, lead, version) send, tell nobody but these
// events, and answer {ok, …the same}; om.act(…, name) does so and says it in a toast, as a button does. om.open(action,
// {site, lead, version, name, at}) opens a dialog, om.undoLast() takes back what the toast tells of.
(() => {
  "use strict";
  const told = document.getElementById("decide-words");
  if (!told || (window.om && window.om.decide)) return;
  const words = told.dataset, language = document.documentElement.lang;
  const om = window.om = window.om || {};
  // The day before the month, as on all our pages.
  const MANNER = language === "en" ? "en-GB" : language;
  const UNDO_FOR = 10e3, AGAIN_AFTER = 1e3, OLD = 48 * 3600e3;
  const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
  const camel = (word) => word.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

  // Sending.
  async function ask(address, body) {
    const options = {
      method: "POST", keepalive: true, body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", Accept: "application/json" },
    };
    // When no answer comes, nobody knows whether it was stored. Asking again with the same version does no harm: it is
    // refused if it was, and the refusal then names us.
    for (let tries = 1; ; tries++) {
      try {
        const response = await fetch(address, options);
        let answer = {};
        try { answer = await response.json(); } catch { /* a proxy's own page */ }
        return { http: response.status, ok: response.ok, answer, tries };
      } catch {
        if (tries === 2) return { http: 0, ok: false, answer: {}, tries };
        await new Promise((wake) => setTimeout(wake, AGAIN_AFTER));
      }
    }
  }

  async function send(site, lead, version, path, body, action) {
    const got = await ask(`/api/v1/sites/${site}/intents/${lead}/${path}`, { ...body, version });
    const lost = got.answer.conflict || {};
    const ours = got.tries > 1 && lost.actor === words.person && lost.action === action && lost.version === version + 1;
    if (got.ok || ours) {
      const now = got.ok ? got.answer : lost;
      for (const button of document.querySelectorAll(`[data-decide][data-lead="${CSS.escape(lead)}"]`)) {
        button.dataset.version = now.version;
      }
      const detail = { site, lead, action, status: now.status, version: now.version };
      document.dispatchEvent(new CustomEvent("om:decided", { detail }));
      return { ok: true, ...detail };
    }
    const detail = {
      site, lead, http: got.http, code: got.answer.code || "", kind: got.answer.kind || "", action: lost.action || "",
      status: lost.status || "", version: lost.version || version, who: lost.actor_name || "", at: lost.at || "",
    };
    detail.text = refusal(detail, lost, got.answer);
    const isShown = !document.dispatchEvent(new CustomEvent("om:refused", { detail, cancelable: true }));
    return { ok: false, isShown, ...detail };
  }

  om.decide = (site, lead, version, body) => send(site, lead, version, "decisions", body, body.action);
  om.undo = (site, lead, version) => send(site, lead, version, "undo", {}, "undo");

  // A refusal in the reader's words: who was faster, what they did, and how the lead stands now.
  function refusal(detail, lost, answer) {
    if (detail.code === "conflict") return lostTo(lost);
    if (detail.kind) {
      const known = words[camel(`refused_${detail.kind}`)];
      if (known) return known.replace("{time}", moment(opened.at) || "—");
    }
    if (detail.code === "merged_tap") return words.refusedMerged;
    if (detail.code === "move_refused") return words.refusedMove;
    switch (detail.http) {
      case 0: return words.refusedNoAnswer;
      case 401: return words.signedOut;
      case 403: return words.refusedRole;
      case 404: return words.refusedGone;
      case 422: return answer.detail || words.refusedOther;
      default: return detail.http === 429 || detail.http >= 500 ? words.refusedBusy : words.refusedOther;
    }
  }
  /** What was done to a lead, by whom and when, of {action, actor, actor_kind, actor_name, at, status}. */
  function lostTo(lost, isRace = true) {
    const own = lost.actor && lost.actor === words.person;
    const who = own ? words.you : lost.actor_kind === "rule" ? words.aRule : lost.actor_name || words.somebody;
    const did = lost.at ? words[`lost${capital(lost.action || "other")}`] : words.lostOther;
    const said = (did || words.lostOther).replace("{who}", who).replace("{time}", clock(lost.at));
    const status = words[`status${capital(lost.status || "")}`] || lost.status;
    return [own || !isRace ? "" : words.faster, said, status ? words.stands.replace("{status}", status) : ""].filter(Boolean).join(" ");
  }
  om.whatWasDone = (lost) => lostTo(lost, false);

  // Times, by the site's clock.
  function shown(at, options) {
    try { return new Intl.DateTimeFormat(MANNER, { timeZone: words.zone, ...options }).format(new Date(at)); } catch { return ""; }
  }
  function clock(at) {
    if (!at) return "";
    const today = shown(at, { dateStyle: "short" }) === shown(Date.now(), { dateStyle: "short" });
    return today ? shown(at, { timeStyle: "short" }) : moment(at);
  }
  function moment(at) { return at ? shown(at, { dateStyle: "medium", timeStyle: "short" }) : ""; }
  function offset(instant) {
    const parts = {};
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: words.zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric",
      minute: "numeric", second: "numeric",
    });
    for (const part of format.formatToParts(instant)) parts[part.type] = Number(part.value);
    const wall = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
    return wall - Math.floor(instant / 1e3) * 1e3;
  }
  /** The instant of what a clock of the site shows; where that clock jumps, the nearest there is. */
  function instantOf(wall) {
    const naive = Date.parse(`${wall}Z`);
    if (Number.isNaN(naive)) return null;
    return naive - offset(naive - offset(naive));
  }
  om.instantOf = instantOf;
  function wallOf(instant) { return new Date(instant + offset(instant)).toISOString().slice(0, 16); }

  // Amounts, in the reader's manner: 1.250,50 where the page is Turkish, 1,250.50 where it is English. What can only be
  // meant in the other manner is read so; what could be meant either way is read in the page's own.
  const POINT = language === "tr" ? "," : ".", COMMA = language === "tr" ? "." : ",";
  om.readAmount = (text) => {
    // A sign or a code before or after it says nothing new; letters in between do.
    const plain = text.replace(/[\s\u00a0\u202f'’]/g, "").replace(/^[\p{Sc}\p{L}]+|[\p{Sc}\p{L}]+$/gu, "");
    const read = (point, comma) => {
      const shape = new RegExp(`^(\\d{1,3}(?:\\${comma}\\d{3})+|\\d+)(?:\\${point}(\\d+))?$`);
      const found = shape.exec(plain);
      return found && found[1].split(comma).join("") + (found[2] ? `.${found[2]}` : "");
    };
    return read(POINT, COMMA) || read(COMMA, POINT) || null;
  };
  function money(amount, currency) {
    try { return new Intl.NumberFormat(MANNER, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(amount); } catch { return `${amount} ${currency}`; }
  }

  // The dialogs.
  const seal = document.getElementById("seal-dialog"), junk = document.getElementById("junk-dialog");
  const field = (form, name) => form.elements[name];
  let opened = {};      // what the open dialog is about: {site, lead, version, name, at}

  function open(dialog, about) {
    const form = dialog.querySelector("form");
    if (opened.lead !== about.lead || opened.dialog !== dialog) { form.reset(); dialog.querySelector("details")?.removeAttribute("open"); }
    opened = { ...about, dialog };
    dialog.querySelector("[data-lead-name]").textContent = [about.name, moment(about.at)].filter(Boolean).join(" · ");
    problem(dialog, "");
    for (const button of form.querySelectorAll("[type=submit]")) button.disabled = false;
    if (dialog === seal) {
      const sale = field(form, "sale");
      sale.max = wallOf(Date.now());
      sale.min = about.at ? wallOf(Date.parse(about.at)) : "";
      changed();
    }
    if (!dialog.open) dialog.showModal();
    form.querySelector(dialog === seal ? "input[name=chip]:checked" : "button[name=reason]").focus();
  }
  om.open = (action, about) => open(action === "seal" ? seal : junk, about);
  function problem(dialog, text) { dialog.querySelector("[data-problem]").textContent = text; }

  // What is typed is read back at once, so that nobody seals a thousand times too much.
  const sealForm = seal.querySelector("form");
  function changed() {
    const own = field(sealForm, "chip").value === "own", amount = field(sealForm, "amount"), said = document.getElementById("seal-amount-read");
    seal.querySelector("[data-own]").hidden = !own;
    const read = om.readAmount(amount.value), currency = field(sealForm, "currency").value.trim().toUpperCase();
    const like = words.amountLike.replace("{example}", `1${COMMA}250${POINT}50`);
    said.textContent = !amount.value ? like : read ? `= ${money(read, currency)}` : `${words.amountUnread} ${like}`;
    if (amount.value && !read) amount.setAttribute("aria-invalid", "true"); else amount.removeAttribute("aria-invalid");
    const sale = field(sealForm, "sale").value, at = sale ? instantOf(sale) : null;
    document.getElementById("seal-sale-old").textContent = at && Date.now() - at > OLD ? words.saleOld : "";
  }
  sealForm.addEventListener("input", changed);
  sealForm.addEventListener("change", (event) => {
    changed();
    if (event.target.name === "chip" && event.target.value === "own" && event.target.matches(":checked")) field(sealForm, "amount").focus();
  });

  function sealing() {
    const body = { action: "seal" }, chip = field(sealForm, "chip").value;
    if (chip === "own") {
      const amount = field(sealForm, "amount");
      const read = om.readAmount(amount.value);
      if (!read) { amount.focus(); changed(); problem(seal, words.amountUnread); return null; }
      body.amount = read;
      body.currency = field(sealForm, "currency").value.trim().toUpperCase() || words.currency;
    } else if (chip) body.amount = chip;
    const quality = field(sealForm, "quality").value, note = field(sealForm, "note").value.trim(), sale = field(sealForm, "sale").value;
    if (quality) body.quality = Number(quality);
    if (note) body.note = note;
    if (sale) body.sale_at = new Date(instantOf(sale)).toISOString();
    return body;
  }

  seal.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = sealing();
    if (body) act(opened, body, seal);
  });
  junk.addEventListener("submit", (event) => {
    event.preventDefault();
    const own = field(junk.querySelector("form"), "own").value.trim();
    // Enter in the text means the text; the first button of the form is pressed by the browser then.
    const typed = document.activeElement && document.activeElement.name === "own";
    const reason = typed || !event.submitter || !event.submitter.value ? own : event.submitter.value;
    if (!reason) { problem(junk, words.refusedNoReason); field(junk.querySelector("form"), "own").focus(); return; }
    act(opened, { action: "junk", reason }, junk);
  });
  // In the dialog of reasons a digit is a reason, and J none in particular.
  junk.addEventListener("keydown", (event) => {
    if (event.target.name === "own" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const wanted = [...junk.querySelectorAll("button[name=reason]")].find((button) => {
      const key = button.querySelector("kbd");
      return key && key.textContent.toLowerCase() === event.key.toLowerCase();
    });
    if (wanted) { event.preventDefault(); wanted.click(); }
  });
  for (const dialog of [seal, junk]) {
    dialog.addEventListener("click", (event) => { if (event.target.closest("[data-decide-close]")) dialog.close(); });
  }

  // An act, from a dialog or at once.
  const FIXABLE = (result) => result.http === 422 || (result.http === 403 && result.kind);
  async function act(about, body, dialog = null) {
    const { site, lead, version, name } = about, detail = { site, lead, version, body };
    const isShown = !document.dispatchEvent(new CustomEvent("om:deciding", { detail, cancelable: true }));
    const buttons = dialog ? [...dialog.querySelectorAll("[type=submit]")] : [];
    if (dialog && isShown) dialog.close();
    else for (const button of buttons) button.disabled = true;
    const result = await (body.action === "undo" ? om.undo(site, lead, version) : om.decide(site, lead, version, body));
    for (const button of buttons) button.disabled = false;
    const mine = dialog && opened.lead === lead && opened.dialog === dialog;
    if (result.ok) {
      if (mine && dialog.open && !isShown) dialog.close();
      if (mine) { dialog.querySelector("form").reset(); opened = {}; }
      done(result, name);
    } else if (mine && FIXABLE(result) && !document.querySelector("dialog.decide[open]:not(#" + dialog.id + ")")) {
      if (!dialog.open) dialog.showModal();  // with all that was typed
      problem(dialog, result.text);
    } else if (mine && dialog.open && !isShown) {
      problem(dialog, result.text);
      // Nothing can be decided here any more; the reader closes it when they have read it.
      if (result.code === "conflict" || result.http === 404) for (const button of buttons) button.disabled = true;
    } else if (!result.isShown) refused(result, name);
    return result;
  }
  om.act = (site, lead, version, body, name, at) => act({ site, lead, version, name, at }, body);

  // What was done, with the way back, for ten seconds; longer while somebody points at it.
  const toast = document.getElementById("decide-toast"), alarm = document.getElementById("decide-refusal");
  let stack = [], timer = 0;
  function done(result, name) {
    if (result.action === "undo") stack = stack.filter((each) => each.lead !== result.lead);
    else stack.push({ ...result, name });
    const word = words[`done${capital(result.action)}`] || words.doneOther;
    say(toast, name ? `${word}: ${name}` : word);
    toast.querySelector("[data-undo-last]").hidden = !stack.length;
    undoable();
    wait();
  }
  function wait() {
    clearTimeout(timer);
    timer = setTimeout(() => { if (toast.matches(":hover, :focus-within")) wait(); else forget(); }, UNDO_FOR);
  }
  function forget() { clearTimeout(timer); stack = []; undoable(); hide(toast); }
  function undoable() { document.dispatchEvent(new CustomEvent("om:undoable", { detail: { n: stack.length } })); }
  function refused(result, name) {
    say(alarm, name ? `${name}: ${result.text}` : result.text);
    const way = alarm.querySelector("[data-sign-in]");
    way.hidden = result.http !== 401;
    way.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  }
  om.refused = refused;
  om.undoLast = () => {
    const last = stack[stack.length - 1];
    if (!last || last.busy) return false;
    last.busy = true;
    act(last, { action: "undo" }).then((result) => { if (!result.ok) { stack = stack.filter((each) => each !== last); if (!stack.length) forget(); } });
    return true;
  };

  // A toast is of no use below a modal dialog, where nothing can be pressed: it goes with the topmost.
  const modals = [];
  function home(box) {
    const place = modals.filter((dialog) => dialog.isConnected && dialog.open).pop() || document.body;
    if (box.parentNode === place) return;
    const isOpen = box.matches(":popover-open");
    place.append(box);
    if (isOpen) box.showPopover();
  }
  function rehome() { for (const box of [toast, alarm]) home(box); }
  function say(box, text) {
    home(box);
    if (!box.matches(":popover-open")) box.showPopover();
    const line = box.querySelector("[data-text]");
    line.textContent = "";
    setTimeout(() => { line.textContent = text; });  // a change of what is there is what is read out
  }
  function hide(box) { if (box.matches(":popover-open")) box.hidePopover(); }
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.tagName !== "DIALOG") continue;
      const at = modals.indexOf(target);
      if (at >= 0) modals.splice(at, 1);
      if (target.open && target.matches(":modal") && !target.classList.contains("decide")) modals.push(target);
      rehome();
    }
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["open"], subtree: true });

  document.addEventListener("click", (event) => {
    const at = event.target;
    if (!(at instanceof Element)) return;
    if (at.closest("[data-undo-last]")) { om.undoLast(); return; }
    const close = at.closest("[data-toast-close]");
    if (close) { if (close.closest("#decide-toast")) forget(); else hide(alarm); return; }
    const button = at.closest("[data-decide]");
    if (!button || button.disabled || button.getAttribute("aria-disabled") === "true") return;
    event.preventDefault();
    const { decide: action, site, lead, name = "", at: came = "" } = button.dataset;
    const version = button.dataset.version ? Number(button.dataset.version) : null;
    const about = { site, lead, version, name, at: came };
    if (action === "seal" || action === "junk") om.open(action, about);
    else {
      button.setAttribute("aria-disabled", "true");
      act(about, { action }).finally(() => button.removeAttribute("aria-disabled"));
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "u" || (om.isPlainKey && !om.isPlainKey(event, true))) return;
    if (document.querySelector("dialog.decide[open]")) return;
    if (om.undoLast()) event.preventDefault();
  });
})();
