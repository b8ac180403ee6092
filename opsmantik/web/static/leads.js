// The leads' list: found while one types, longer as one scrolls, and many decided at once.
//
// Enters: #leads-form, #leads-narrow, #leads-found with its parts (templates/leads_found.html), and where the asker
// decides #bulk, #bulk-told and #bulk-dialog. The first tbody, #leads-head, is what new_leads.js watches: it stays the same
// element whatever is found, and is refreshed from its newest row to its last one, so that no row falls between it and
// the pages below. Those are a tbody each; of pages far away only the height is kept.
(() => {
  "use strict";
  const form = document.getElementById("leads-form"), head = document.getElementById("leads-head");
  if (!form || !head) return;
  const language = document.documentElement.lang;
  const byId = (id) => document.getElementById(id);
  const found = byId("leads-found"), narrow = byId("leads-narrow"), more = byId("leads-more"), said = byId("leads-said");
  const table = head.closest("table"), bulk = byId("bulk");
  const picked = new Map();        // the leads that are selected, with the versions that were seen
  let every = false, lastPicked = null;
  const number = (n) => new Intl.NumberFormat(language).format(n);

  async function fetchPart(address, signal) {
    const response = await fetch(address, { headers: { "HX-Request": "true", Accept: "text/html" }, signal });
    if (response.redirected || !response.ok) throw new Error(String(response.status));
    const text = await response.text();
    const holder = document.createElement("template");
    holder.innerHTML = text;
    return { content: holder.content, next: response.headers.get("x-next-cursor") || "" };
  }

  // Searching.
  let asked = null, timer = 0;
  function query() {
    const words = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (String(value).trim()) words.append(name, String(value).trim());
    // Days of one's own replace the range that the page was opened with; half of them is none.
    const own = words.has("first") && words.has("last");
    for (const field of form.querySelectorAll("[data-range]")) if (own) words.delete(field.name);
    if (!own) { words.delete("first"); words.delete("last"); }
    return words.toString().replace(/\+/g, "%20");
  }
  async function search() {
    clearTimeout(timer);
    asked?.abort();
    const mine = asked = new AbortController();
    const address = `${form.getAttribute("action")}${query() ? `?${query()}` : ""}`;
    found.setAttribute("aria-busy", "true");
    try {
      const { content } = await fetchPart(address, mine.signal);
      if (mine !== asked) return;
      put(content);
      history.replaceState(history.state, "", address);
      said.textContent = byId("leads-count").firstChild.textContent.trim();
    } catch (error) {
      // Whatever the server has against it, its own page says in words.
      if (error.name !== "AbortError") location.assign(address);
    } finally {
      if (mine === asked) found.removeAttribute("aria-busy");
    }
  }
  function put(content) {
    const now = content.querySelector("#leads-found"), rows = content.querySelector("#leads-head");
    narrow.replaceChildren(...content.querySelector("#leads-narrow").childNodes);
    Object.assign(found.dataset, now.dataset);
    byId("leads-count").replaceChildren(...now.querySelector("#leads-count").childNodes);
    for (const id of ["leads-csv", "leads-csv-excel"]) byId(id).href = now.querySelector(`#${id}`).getAttribute("href");
    for (const page of pages) { watcher.unobserve(page); page.remove(); }
    pages.length = 0;
    kept.clear();
    head.setAttribute("hx-get", rows.getAttribute("hx-get"));
    head.replaceChildren(...rows.childNodes);
    table.hidden = now.querySelector("table").hidden;
    byId("leads-empty").hidden = now.querySelector("#leads-empty").hidden;
    byId("leads-empty").replaceChildren(...now.querySelector("#leads-empty").childNodes);
    more.dataset.rows = now.querySelector("#leads-more").dataset.rows;
    more.dataset.next = now.querySelector("#leads-more").dataset.next;
    more.replaceChildren(...now.querySelector("#leads-more").childNodes);
    const name = byId("view-query");
    if (name) name.value = found.dataset.query;
    if (bulk) clear();
    window.htmx?.process(head);
  }
  form.addEventListener("input", (event) => {
    if (event.target.name !== "q" && event.target.type !== "text") return;
    clearTimeout(timer);
    timer = setTimeout(search, 250);
  });
  form.addEventListener("change", (event) => { if (event.target.name !== "q") search(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    byId("leads-filters").open = false;
    search();
  });
  // A panel that is not asked for any more.
  document.addEventListener("click", (event) => {
    for (const id of ["leads-filters", "views"]) {
      const panel = byId(id);
      if (panel?.open && !panel.contains(event.target)) panel.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const id of ["leads-filters", "views"]) {
      const panel = byId(id);
      if (panel?.open) { panel.open = false; panel.querySelector("summary").focus(); event.preventDefault(); }
    }
  });

  // Longer, page by page; far pages are put away and come back as they were.
  const pages = [], kept = new Map();
  let fetching = false;
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) bringBack(target); else putAway(target);
  }, { rootMargin: "4000px 0px" });
  function putAway(page) {
    if (kept.has(page) || !page.isConnected || page.contains(document.activeElement)) return;
    const height = page.getBoundingClientRect().height;
    if (!height) return;
    const rows = document.createDocumentFragment();
    rows.append(...page.childNodes);
    kept.set(page, rows);
    const row = document.createElement("tr"), cell = document.createElement("td");
    row.className = "spacer";
    cell.colSpan = 10;
    cell.style.height = `${height}px`;
    row.append(cell);
    page.append(row);
  }
  function bringBack(page) {
    const rows = kept.get(page);
    if (!rows) return;
    kept.delete(page);
    page.replaceChildren(rows);
  }
  async function older() {
    const cursor = more.dataset.next;
    if (!cursor || fetching) return;
    fetching = true;
    try {
      const address = `${more.dataset.rows}${more.dataset.rows.includes("?") ? "&" : "?"}cursor=${cursor}`;
      const { content, next } = await fetchPart(address);
      if (cursor !== more.dataset.next) return;   // another search has begun
      const page = document.createElement("tbody");
      page.append(content);
      table.append(page);
      pages.push(page);
      watcher.observe(page);
      more.dataset.next = next;
      if (!next) byId("leads-older")?.remove();
      window.htmx?.process(page);
      for (const row of page.querySelectorAll("[data-pick]")) row.checked = picked.has(row.dataset.pick);
    } catch {
      const link = byId("leads-older");
      if (link) link.textContent = more.dataset.failed;
      return;
    } finally {
      fetching = false;
    }
    if (more.getBoundingClientRect().top < innerHeight + 1200) older();
  }
  new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) older(); }, { rootMargin: "1200px 0px" }).observe(more);
  more.addEventListener("click", (event) => {
    if (!event.target.closest("#leads-older")) return;
    event.preventDefault();
    older();
  });

  // A row as it is now, after a decision about it, here or in the drawer.
  async function refresh(ids) {
    const rows = ids.map((id) => [id, rowOf(id)]).filter(([, row]) => row);
    for (let first = 0; first < rows.length; first += 100) {
      const some = rows.slice(first, first + 100);
      try {
        const path = more.dataset.rows.split("?")[0];
        const by = new URLSearchParams(more.dataset.rows.split("?")[1] || "").get("by");
        const { content } = await fetchPart(`${path}?ids=${some.map(([id]) => id).join(",")}${by ? `&by=${by}` : ""}`);
        for (const [id, row] of some) {
          const now = content.getElementById(`lead-${id}`);
          if (!now) continue;
          const box = now.querySelector("[data-pick]");
          if (box) box.checked = picked.has(id);
          const focused = row.contains(document.activeElement);
          row.replaceWith(now);
          if (focused) now.querySelector("a")?.focus();
          if (picked.has(id)) picked.set(id, Number(now.dataset.version));
        }
      } catch { return; }   // the row says what it said; the next refresh puts it right
    }
  }
  function rowOf(id) {
    const shown = byId(`lead-${id}`);
    if (shown) return shown;
    for (const rows of kept.values()) { const row = rows.getElementById?.(`lead-${id}`) || rows.querySelector(`[data-lead="${CSS.escape(id)}"]`); if (row) return row; }
    return null;
  }
  document.addEventListener("om:decided", (event) => { refresh([event.detail.lead]); });
  document.addEventListener("om:refused", (event) => { if (event.detail.code === "conflict") refresh([event.detail.lead]); });

  // Selecting.
  if (!bulk) return;
  const words = bulk.dataset, told = byId("bulk-told"), dialog = byId("bulk-dialog"), all = byId("pick-all");
  const boxes = () => [...table.querySelectorAll("[data-pick]")];
  const matching = () => (found.dataset.count === "" ? null : Number(found.dataset.count));
  const many = (name, n) => (n === 1 ? words[`${name}One`] : words[`${name}Other`]).replace("#", number(n));

  function pick(box, on) {
    box.checked = on;
    if (on) picked.set(box.dataset.pick, Number(box.closest("tr").dataset.version));
    else picked.delete(box.dataset.pick);
  }
  function clear() {
    picked.clear();
    every = false;
    lastPicked = null;
    for (const box of boxes()) box.checked = false;
    showPicked();
  }
  function showPicked() {
    bulk.hidden = !picked.size && !every;
    const n = every ? matching() : picked.size;
    bulk.querySelector("[data-count]").textContent = every ? words.all.replace("#", number(n)) : (n === 1 ? words.one : words.other).replace("#", number(n));
    const count = matching(), rest = bulk.querySelector("[data-every]");
    // Only where all that is shown is selected: more than that is not meant by accident.
    const whole = !every && boxes().length > 0 && picked.size >= boxes().length && (count === null || count > picked.size);
    rest.hidden = !whole;
    const tooMany = count === null || count > Number(words.most);
    rest.disabled = tooMany;
    rest.textContent = tooMany ? words.tooMany : words.every.replace("#", number(count));
    const shown = boxes(), on = shown.filter((box) => box.checked).length;
    all.checked = shown.length > 0 && on === shown.length;
    all.indeterminate = on > 0 && on < shown.length;
  }
  table.addEventListener("click", (event) => {
    const box = event.target.closest("[data-pick]");
    if (!box) return;
    every = false;
    const list = boxes(), from = list.findIndex((each) => each.dataset.pick === lastPicked), to = list.indexOf(box);
    if (event.shiftKey && from >= 0) {
      for (const each of list.slice(Math.min(from, to), Math.max(from, to) + 1)) pick(each, box.checked);
    } else pick(box, box.checked);
    lastPicked = box.dataset.pick;
    showPicked();
  });
  all.addEventListener("change", () => {
    every = false;
    for (const box of boxes()) pick(box, all.checked);
    if (!all.checked) picked.clear();
    showPicked();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "x" || !window.om?.isPlainKey?.(event)) return;
    const row = document.activeElement?.closest("[data-lead]:not(button)");
    const box = row?.querySelector("[data-pick]");
    if (box) { every = false; pick(box, !box.checked); lastPicked = box.dataset.pick; showPicked(); }
  });
  // What is swapped in by a refresh does not know what is selected.
  document.addEventListener("htmx:after:swap", () => {
    for (const box of boxes()) if (box.checked !== picked.has(box.dataset.pick)) box.checked = picked.has(box.dataset.pick);
    showPicked();
  });
  bulk.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("clear" in button.dataset) clear();
    else if ("every" in button.dataset) { every = true; showPicked(); }
    else if (button.dataset.bulk === "seal" || button.dataset.bulk === "junk") ask(button.dataset.bulk);
    else if (button.dataset.bulk) send({ action: button.dataset.bulk });
  });

  // Deciding.
  function ask(action) {
    const n = every ? matching() : picked.size, title = byId("bulk-title");
    title.textContent = title.dataset[action].replace("#", number(n));
    for (const part of dialog.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== action;
    const go = dialog.querySelector("[value=go]");
    go.textContent = action === "seal" ? go.dataset.goSeal : go.dataset.goJunk;
    dialog.returnValue = "";
    dialog.dataset.action = action;
    dialog.showModal();
  }
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "go") return;
    const action = dialog.dataset.action;
    send(action === "junk" ? { action, reason: byId("bulk-reason").value } : { action, confirmed: true });
  });
  async function send(body, leads = null) {
    const which = leads ? { leads } : every
      ? { query: found.dataset.query, expected: matching(), until: found.dataset.until }
      : { leads: [...picked] };
    const bar = told.querySelector("progress"), list = told.querySelector("ul"), text = told.querySelector("p");
    const done = [], lost = [];
    let of = 0, broken = false;
    bulk.hidden = true;
    told.hidden = false;
    list.hidden = true;
    told.querySelector("[data-undo]").hidden = true;
    bar.hidden = false;
    bar.removeAttribute("value");
    try {
      const response = await fetch(words.post, {
        method: "POST", headers: { "Content-Type": "application/json", Accept: "application/x-ndjson", "X-CSRF-Token": words.token }, body: JSON.stringify({ ...body, ...which }),
      });
      if (!response.ok) {
        const answer = await response.json().catch(() => ({}));
        text.textContent = answer.kind === "other_count" ? words.changed : answer.kind === "many" ? words.tooMany : words.failed;
        bar.hidden = true;
        if (answer.kind === "other_count") search();
        return;
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done: ended, value } = await reader.read();
        rest += value || "";
        const lines = rest.split("\n");
        rest = lines.pop();
        for (const line of lines) {
          const part = JSON.parse(line);
          if (part.of !== undefined) { of = part.of; bar.max = of || 1; }
          if (part.broken) broken = true;
          done.push(...(part.done || []));
          lost.push(...(part.lost || []));
          bar.value = done.length + lost.length;
          text.textContent = words.working.replace("{done}", number(done.length + lost.length)).replace("{of}", number(of));
        }
        if (ended) break;
      }
      broken ||= done.length + lost.length < of;
    } catch { broken = true; }
    bar.hidden = true;
    tell(body.action, done, lost, broken);
    clear();
    await refresh([...done.map(([id]) => id), ...lost.map((each) => each.lead)]);
    document.body.dispatchEvent(new CustomEvent("om:tiles"));
  }
  // "198 leads done. 2 left as they are: 2 decided by Mehmet meanwhile": and which, so that one can look.
  function tell(action, done, lost, broken) {
    const list = told.querySelector("ul"), groups = new Map();
    for (const each of lost) {
      const line = each.why === "conflict" ? words.lostTo.replace("{who}", each.who || words.somebody) : each.why === "gone" ? words.gone : words.refused;
      groups.set(line, [...(groups.get(line) || []), each]);
    }
    told.querySelector("p").textContent = [
      broken ? words.broken : "", many(action === "undo" ? "undone" : "done", done.length),
      lost.length ? words.lost.replace("{n}", number(lost.length)) : "",
    ].filter(Boolean).join(" ");
    list.replaceChildren(...[...groups].map(([line, some]) => {
      const item = document.createElement("li");
      item.append(`${line.replace("{n}", number(some.length))}: `);
      some.slice(0, 20).forEach((each, place) => {
        const link = document.createElement("a");
        link.href = `${form.getAttribute("action")}/${each.lead}`;
        link.dataset.drawer = "";
        link.textContent = rowOf(each.lead)?.querySelector(".row-who a > span:last-child")?.textContent || each.lead.slice(0, 8);
        item.append(place ? ", " : "", link);
      });
      if (some.length > 20) item.append(" …");
      return item;
    }));
    list.hidden = !lost.length;
    const undo = told.querySelector("[data-undo]");
    undo.hidden = action === "undo" || !done.length;
    undo.onclick = () => send({ action: "undo" }, done);
  }
  told.querySelector("[data-close]").addEventListener("click", () => { told.hidden = true; showPicked(); });
})();
