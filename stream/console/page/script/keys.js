// The keys of the whole page; lists have their own.
import { by } from "./look/dom.js";
import { lists } from "./kept/settings.js";
import { place, VIEWS } from "./kept/place.js";
import { starList } from "./list/list.js";

export function setUpKeys({ list, resolutions, resolution }) {
  by("help-open").addEventListener("click", () => by("help").showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    const step = { "[": -1, "]": 1 }[event.key];
    if (VIEWS[Number(event.key) - 1]) place.set({ view: VIEWS[Number(event.key) - 1] });
    else if (event.key === "/") {
      if (["signals", "pipeline"].includes(place.view)) place.set({ view: "market" });
      by("list-find").focus();
      by("list-find").select();
    } else if (event.key === "?") by("help").showModal();
    else if (event.key === "s" && place.get("symbol")) lists.toggle(starList(), place.get("symbol"));
    else if (event.key === "Escape" && place.get("find")) place.set({ find: "" });
    else if (step && resolutions().length) {
      const there = resolutions(), next = there[there.indexOf(resolution()) + step];
      if (next) place.set({ resolution: next });
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target === document.body && !["signals", "pipeline"].includes(place.view)) {
      list.step(event.key === "ArrowDown" ? 1 : -1);
    } else return;
    event.preventDefault();
  });
}
