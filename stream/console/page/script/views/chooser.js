// The resolution and the source of a view, as buttons and a list.
import { choices, options } from "../look/dom.js";
import { place } from "../kept/place.js";

export function resolutionOf(there, usual) {
  const asked = place.get("resolution");
  return there.includes(asked) ? asked : there.includes(usual) ? usual : there[0] ?? "1s";
}

export function fillChooser(view, outputs, there, chosen) {
  const symbol = place.get("symbol");
  outputs.learnSources(symbol).catch(() => { /* the next choice of a symbol asks again */ });
  choices(view.querySelector(".resolutions"), there, chosen, (resolution) => place.set({ resolution }));
  const select = view.querySelector(".sources");
  const sources = outputs.sources(symbol), source = place.get("source", "all");
  if (!sources.includes(source)) sources.push(source);
  options(select, sources.map((one) => [one, one === "all" ? "All sources" : one]), source);
  select.onchange = () => place.set({ source: select.value === "all" ? "" : select.value });
}
