// The list of sites under the name in the bar: asked for when it is first opened, closed by Esc or a click elsewhere,
// walked with the arrow keys, narrowed down by typing. Without this script there is still the way to all sites.
(() => {
  "use strict";
  const switcher = document.getElementById("switcher");
  if (!switcher) return;
  const list = switcher.querySelector(".switcher-list");
  let asked = false;

  function shown() { return [...list.querySelectorAll("li:not([hidden]) a, p:not([hidden]) > a")]; }

  function narrow(text) {
    const wanted = text.trim().toLocaleLowerCase(document.documentElement.lang);
    let some = false;
    for (const item of list.querySelectorAll("li")) {
      item.hidden = !item.textContent.toLocaleLowerCase(document.documentElement.lang).includes(wanted);
      some ||= !item.hidden;
    }
    list.querySelector("#switcher-none").hidden = some;
  }

  async function fill() {
    asked = true;
    try {
      const answer = await fetch(switcher.dataset.list, { headers: { "HX-Request": "true" } });
      if (!answer.ok) throw new Error(String(answer.status));
      list.innerHTML = await answer.text();
      const find = list.querySelector("input");
      find?.addEventListener("input", () => narrow(find.value));
      (find ?? list.querySelector("[aria-current]") ?? shown()[0])?.focus({ preventScroll: true });
    } catch {
      asked = false; // the way to all sites is still there; the next opening asks again
    }
  }

  switcher.addEventListener("toggle", () => { if (switcher.open && !asked) fill(); });
  document.addEventListener("click", (event) => { if (!switcher.contains(event.target)) switcher.open = false; });
  switcher.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !switcher.contains(event.relatedTarget)) switcher.open = false;
  });
  switcher.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && switcher.open) {
      switcher.open = false;
      switcher.querySelector("summary").focus();
      event.stopPropagation();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && switcher.open) {
      const links = shown();
      const next = links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
      event.preventDefault();
    }
  });
})();
