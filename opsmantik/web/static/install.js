// Looks again by itself: every two seconds while something is amiss or somebody has just come, every ten once all has been
// well for a while. Not while nobody sees the page.
(() => {
  "use strict";
  const verifier = document.getElementById("verifier");
  const OFTEN = Number(verifier.dataset.seconds) * 1e3;
  const SELDOM = 5 * OFTEN;
  const JUST_COME = 300e3;
  let last = Date.now(), came = last;

  function isWell() { return verifier.querySelector(".verdict").dataset.level === "fine"; }
  function look() {
    last = Date.now();
    document.body.dispatchEvent(new CustomEvent("om:look"));
  }
  setInterval(() => {
    const now = Date.now(), every = isWell() && now - came > JUST_COME ? SELDOM : OFTEN;
    if (!document.hidden && now - last >= every - 100) look();
  }, OFTEN);
  // Back from the site that was opened in another tab: what happened there is what they come to see.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    came = Date.now();
    look();
  });
  // A test tap has just been sent from here.
  document.addEventListener("htmx:after:swap", (event) => { if (event.detail.ctx.target.id === "try-result") look(); });
})();
