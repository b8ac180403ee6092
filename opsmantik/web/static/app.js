// What every page has: times that stay true, countries in the reader's words, and a button that copies.
(() => {
  "use strict";
  const words = document.body.dataset;
  const MINUTE = 60e3, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

  function ago(age) {
    if (age < MINUTE) return words.agoNow;
    if (age < HOUR) return words.agoMinutes.replace("#", Math.floor(age / MINUTE));
    return words.agoHours.replace("#", Math.floor(age / HOUR));
  }

  function tick(root) {
    const now = Date.now();
    for (const time of root.querySelectorAll("time[data-ago]")) {
      const age = now - Date.parse(time.dateTime);
      if (age < DAY) {
        const text = ago(age);
        if (time.textContent !== text) time.textContent = text;
      }
    }
  }

  // The server knows every country in English; the browser knows it in the page's language.
  let names = null;
  try { names = new Intl.DisplayNames([document.documentElement.lang], { type: "region" }); } catch { /* stays English */ }
  function countries(root) {
    if (!names) return;
    for (const place of root.querySelectorAll("[data-country]")) {
      place.textContent = names.of(place.dataset.country);
    }
    for (const select of root.querySelectorAll("select[data-countries]")) {
      const chosen = select.value;
      const options = [...select.options];
      for (const option of options) {
        try { option.textContent = names.of(option.value); } catch { /* a code that is no country, such as 001 */ }
      }
      options.sort((a, b) => a.textContent.localeCompare(b.textContent, document.documentElement.lang));
      select.append(...options);
      select.value = chosen;
    }
  }

  function freshen() { tick(document); countries(document); }
  freshen();
  setInterval(() => { if (!document.hidden) tick(document); }, 10e3);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(document); });
  document.addEventListener("htmx:after:swap", freshen);

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      const before = button.textContent;
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = before; }, 2000);
    });
  }
})();
