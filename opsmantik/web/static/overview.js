// The overview's chart, its range picker, and its list held still under a hand.
//
// The chart is drawn from the table below it, #trend-table: the server wrote every figure and every word there once, for
// those who read it and for this. Enters: the table's rows (data-label, data-tick, data-before, data-state; cells with
// data-n), #chart with its words. Figures of the range are bars, those of the range before a line behind them, and what is
// not over yet is an outline.
(() => {
  "use strict";
  const SERIES = ["sessions", "leads", "sealed"];
  const KEPT = "om-series";
  const chart = document.getElementById("chart");
  const readout = document.getElementById("readout");
  const numbers = new Intl.NumberFormat(document.documentElement.lang);
  let plot = null, drawn = "", look = "", data = null, at = null;

  // What the table holds.
  function read() {
    const table = document.getElementById("trend-table");
    const compares = table.tHead.rows[0].cells.length > 1 + SERIES.length;
    const width = compares ? 2 : 1;
    const place = SERIES.indexOf(chosen()) * width + 1;
    const cell = (row, n) => { const found = row.cells[n]?.dataset.n; return found === undefined ? null : Number(found); };
    const rows = [...table.tBodies[0].rows];
    const now = rows.map((row) => cell(row, place));
    return {
      rows, compares, now,
      before: rows.map((row) => (compares ? cell(row, place + 1) : null)),
      done: now.map((n, i) => (rows[i].dataset.state === "done" ? n : null)),
      open: now.map((n, i) => (rows[i].dataset.state === "open" ? n : null)),
    };
  }
  function chosen() { return document.querySelector("#trend-series :checked")?.value || SERIES[1]; }
  function said(i) {
    const row = data.rows[i].dataset, words = chart.dataset, say = (template, label, n) => template
      .replace("{label}", label).replace("{n}", numbers.format(n)).replace("{what}", words[chosen()]);
    let text = data.now[i] === null ? row.label : say(words.say, row.label, data.now[i]);
    if (row.state === "open") text += ` ${words.sayOpen}`;
    if (data.before[i] !== null && row.before) text += say(words.sayBefore, row.before, data.before[i]);
    return text;
  }

  // Drawing. Colours are the page's own, asked for when they are needed: they change with the theme. A chart is made anew
  // only for other colours or another number of buckets; other figures are put into the one that there is.
  function draw() {
    if (!window.uPlot) return;
    data = read();
    const values = [data.rows.map((_, i) => i), data.done, data.open, data.before];
    const figures = JSON.stringify(values), made = colours().join();
    if (plot && look === made && plot.data[0].length === data.rows.length) {
      if (figures !== drawn) plot.setData(values);
      drawn = figures;
      return;
    }
    look = made;
    drawn = figures;
    plot?.destroy();
    plot = new window.uPlot(options(), values, chart);
    if (at !== null) point(Math.min(at, data.rows.length - 1));
  }
  function colours() {
    const style = getComputedStyle(document.documentElement);
    return ["accent", "line", "line-strong", "ink-2", "surface"].map((name) => style.getPropertyValue(`--${name}`).trim());
  }
  function options() {
    const [accent, line, strong, ink] = colours();
    const count = data.rows.length, font = '13px "Inter", system-ui, sans-serif';
    const bars = window.uPlot.paths.bars({ size: [count > 60 ? 0.9 : 0.7, 40], radius: count > 60 ? 0 : 0.1, gap: 0 });
    const grid = { stroke: line, width: 1 }, axis = { stroke: ink, font, ticks: { show: false } };
    return {
      width: chart.clientWidth, height: chart.clientHeight, padding: [10, 6, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: [-0.5, count - 0.5] },
        y: { range: (_, least, most) => [0, Math.max(4, most * 1.08 || 0)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 28, splits: ticks, values: (_, places) => places.map((i) => data.rows[i].dataset.tick) },
        { ...axis, grid, size: (_, values) => 14 + 8 * Math.max(2, ...(values || []).map((v) => v.length)), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7],
          values: (_, places) => places.map((n) => numbers.format(n)) },
      ],
      series: [
        {},
        { fill: accent, stroke: accent, width: 0, paths: bars, points: { show: false } },
        { stroke: accent, width: 1.5, dash: [4, 3], paths: bars, points: { show: false } },
        { stroke: strong, width: 2, spanGaps: false, points: { show: count === 1 } },
      ],
      hooks: { setCursor: [(u) => { if (u.cursor.idx !== undefined) tell(u.cursor.left < 0 ? null : u.cursor.idx); }] },
    };
  }
  // As many of the rows that have a word for the axis as there is room for.
  function ticks(u) {
    const all = data.rows.map((_, i) => i).filter((i) => data.rows[i].dataset.tick);
    const room = Math.max(1, Math.floor((u.bbox.width / devicePixelRatio || chart.clientWidth) / 64));
    const step = Math.ceil(all.length / room);
    return all.filter((_, n) => n % step === 0);
  }
  function tell(i) {
    at = i;
    readout.textContent = i === null || i === undefined || !data.rows[i] ? "" : said(i);
    if (i !== null && data.rows[i]) {
      chart.setAttribute("aria-valuenow", i + 1);
      chart.setAttribute("aria-valuetext", said(i));
    }
  }
  function point(i) {
    plot.setCursor({ left: plot.valToPos(i, "x"), top: plot.bbox.height / devicePixelRatio / 2 });
  }

  if (chart) {
    try {
      const kept = localStorage.getItem(KEPT);
      const radio = SERIES.includes(kept) && document.querySelector(`#trend-series [value=${kept}]`);
      if (radio) radio.checked = true;
    } catch { /* no storage: it begins with the leads */ }
    const label = () => `${chart.dataset.label}: ${chart.dataset[chosen()]}`;
    function name() {
      chart.setAttribute("aria-label", label());
      chart.setAttribute("aria-valuemax", data?.rows.length || 1);
    }
    chart.tabIndex = 0;
    chart.setAttribute("role", "slider");
    chart.setAttribute("aria-valuemin", 1);
    draw();
    name();
    tellLast();
    document.getElementById("trend-series").addEventListener("change", () => {
      try { localStorage.setItem(KEPT, chosen()); } catch { /* then it holds for this page alone */ }
      draw();
      name();
      if (at === null) tellLast(); else tell(at);
    });
    // The arrow keys go from bucket to bucket, as on any slider.
    chart.addEventListener("keydown", (event) => {
      const last = data.rows.length - 1, from = at ?? newest();
      const to = {
        ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, Home: 0, End: last,
        PageUp: from + Math.ceil(last / 6), PageDown: from - Math.ceil(last / 6),
      }[event.key];
      if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      point(Math.max(0, Math.min(last, to)));
    });
    chart.addEventListener("focus", () => { if (chart.matches(":focus-visible")) point(at ?? newest()); });
    chart.addEventListener("blur", () => { plot?.setCursor({ left: -10, top: -10 }); });
    new ResizeObserver(() => {
      if (plot && (plot.width !== chart.clientWidth || plot.height !== chart.clientHeight)) {
        plot.setSize({ width: chart.clientWidth, height: chart.clientHeight });
      }
    }).observe(chart);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
    document.addEventListener("htmx:after:swap", () => { draw(); name(); if (at === null) tellLast(); else tell(at); });
  }
  function newest() {
    const done = data.rows.findLastIndex((row) => row.dataset.state !== "ahead");
    return done < 0 ? data.rows.length - 1 : done;
  }
  // A slider has a value from the beginning: the newest bucket.
  function tellLast() {
    if (!data) return;
    chart.setAttribute("aria-valuenow", newest() + 1);
    chart.setAttribute("aria-valuetext", said(newest()));
  }

  // A range of one's own: what cannot be had is said beside it, before anything is sent.
  const form = document.querySelector(".picker-form");
  if (form) {
    const { first, last } = form.elements, problem = document.getElementById("range-problem");
    const picker = form.closest("details");
    function wrong() {
      if (!first.value || !last.value || !first.validity.valid || !last.validity.valid) return form.dataset.missing;
      if (first.value > last.value) return form.dataset.order;
      const days = (Date.parse(last.value) - Date.parse(first.value)) / 864e5 + 1;
      return days > Number(form.dataset.longest) ? form.dataset.long : "";
    }
    function check() {
      const words = wrong();
      problem.textContent = words;
      for (const input of [first, last]) input.setAttribute("aria-invalid", String(Boolean(words)));
      return !words;
    }
    form.addEventListener("submit", (event) => {
      if (check()) return;
      event.preventDefault();
      first.focus();
    });
    form.addEventListener("change", check);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && picker.open) { picker.open = false; picker.querySelector("summary").focus(); }
    });
    document.addEventListener("pointerdown", (event) => {
      if (picker.open && !picker.contains(event.target)) picker.open = false;
    });
  }

  // The table, as a spreadsheet takes it.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy-table]");
    if (!button) return;
    const rows = [...document.getElementById(button.dataset.copyTable).rows];
    const text = rows.map((row) => [...row.cells].map((cell) => cell.dataset.n ?? cell.textContent.trim().replace(/\s+/g, " ")).join("\t"));
    await navigator.clipboard.writeText(text.join("\n"));
    const before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = before; }, 2000);
  });
  const showCopy = () => {
    for (const button of document.querySelectorAll("[data-copy-table]")) button.hidden = !navigator.clipboard;
  };
  showCopy();
  document.addEventListener("htmx:after:swap", showCopy);

  // The list of those who wait does not move under a hand: it is asked for again when the hand has been still.
  const list = document.getElementById("waiting-leads"), STILL = 3e3;
  let touched = 0, later = 0;
  for (const kind of ["pointermove", "pointerdown"]) {
    list?.addEventListener(kind, (event) => {
      if (kind === "pointerdown" || event.movementX || event.movementY) touched = Date.now();
    }, { passive: true });
  }
  list?.addEventListener("htmx:before:request", (event) => {
    if (event.target !== list || Date.now() - touched >= STILL) return;
    event.preventDefault();
    clearTimeout(later);
    later = setTimeout(() => list.dispatchEvent(new CustomEvent("om:again")), STILL);
  });

  // The first event of all has come: now there is something to see.
  document.addEventListener("htmx:after:swap", () => {
    if (document.getElementById("no-event") && document.querySelector("#tiles[data-events=some]")) location.reload();
  });
})();
