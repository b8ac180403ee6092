// The list of sites stays true by itself while somebody looks at it, and the order in which it was opened stays.
(() => {
  "use strict";
  const EVERY = 15e3;
  let asked = Date.now();
  function ask() {
    asked = Date.now();
    document.body.dispatchEvent(new CustomEvent("om:sites"));
  }
  setInterval(() => { if (!document.hidden && Date.now() - asked >= EVERY) ask(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - asked >= EVERY) ask(); });

  // What needs attention is told by each site's own words at once; its place it gets when the page is opened anew.
  document.addEventListener("htmx:before:swap", (event) => {
    const main = (event.detail.tasks || []).find((task) => task.fragment?.querySelector?.(".sites"));
    const mine = document.querySelector(".sites"), theirs = main?.fragment.querySelector(".sites");
    if (!mine || !theirs) return;
    const place = new Map([...mine.children].map((site, n) => [site.id, n]));
    const ordered = [...theirs.children].sort((a, b) => (place.get(a.id) ?? Infinity) - (place.get(b.id) ?? Infinity) || 0);
    theirs.replaceChildren(...ordered);
  });
})();
