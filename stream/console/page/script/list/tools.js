// Above the watch list: which list, the filter, and saving what is shown as a list.
import { by, options, write } from "../look/dom.js";
import { seldom } from "../look/frame.js";
import { kept, lists, STARRED } from "../kept/settings.js";
import { place } from "../kept/place.js";

const FILTER_MS = 80;
const REMOVE = " remove";

export function setUpTools(board, list) {
  const which = by("list-which"), find = by("list-find"), save = by("save"), name = by("save-as");

  const fill = () => {
    const names = [...new Set([STARRED, ...Object.keys(lists.all())])];
    const chosen = place.get("list");
    const pairs = [["", "All symbols"], ...names.map((one) => [one, `${one} (${(lists.all()[one] ?? []).length})`])];
    if (chosen && chosen in lists.all()) pairs.push([REMOVE, `Remove “${chosen}”`]);
    if (chosen && !names.includes(chosen)) pairs.push([chosen, chosen]);
    options(which, pairs, chosen);
  };
  which.addEventListener("change", () => {
    if (which.value === REMOVE) {
      const gone = place.get("list");
      place.set({ list: "" });
      lists.remove(gone);
    } else place.set({ list: which.value });
    fill();
  });
  kept.addEventListener("lists", fill);
  place.addEventListener("move", (event) => {
    if (event.detail.has("list")) fill();
    // Not while a word is being typed after a space.
    if (event.detail.has("find") && find.value.trim() !== place.get("find")) find.value = place.get("find");
  });

  const filter = seldom(() => place.set({ find: find.value.trim() }), FILTER_MS);
  find.value = place.get("find");
  find.addEventListener("input", filter);
  find.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { find.value = ""; filter(); by("grid").focus(); }
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      place.set({ find: find.value.trim() });
      list.reorder();
      if (list.order.length && !list.order.includes(board.row(place.get("symbol")))) place.set({ symbol: board.symbols[list.order[0]] });
      by("grid").focus();
    }
  });

  by("list-save").addEventListener("click", () => {
    write(by("save-what"), `The ${list.order.length.toLocaleString("en-GB")} symbols that the list shows now. It stays in this browser.`);
    name.value = place.get("list") || place.get("find");
    save.returnValue = "";
    save.showModal();
    name.select();
  });
  save.addEventListener("close", () => {
    const title = name.value.trim();
    if (save.returnValue !== "save" || !title) return;
    lists.put(title, list.order.map((row) => board.symbols[row]));
    place.set({ list: title, find: "" });
  });
  // Enter saves; without this it would press the first button, which cancels.
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); if (name.value.trim()) save.close("save"); }
  });
  fill();
}
