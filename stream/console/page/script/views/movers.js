// The symbols whose price changed most, up and down.
import { el } from "../look/dom.js";
import { signed } from "../look/format.js";
import { place } from "../kept/place.js";

const SHOWN = 5;
const EVERY_MS = 1000;
const LEAST = 0.00005; // what isn't 0 when it is shown
const drawn = new WeakMap();

export function showMovers(body, board) {
  // Once a second is calm, and sorting thousands of symbols more often would be waste.
  const now = performance.now();
  if (now - (drawn.get(body) ?? -EVERY_MS) < EVERY_MS) return;
  drawn.set(body, now);
  const changes = board.values.change ?? [];
  const rows = board.symbols.map((_, row) => row).filter((row) => changes[row] !== null && changes[row] !== undefined);
  rows.sort((a, b) => changes[b] - changes[a]);
  const up = rows.filter((row) => changes[row] >= LEAST).slice(0, SHOWN), down = rows.filter((row) => changes[row] <= -LEAST).slice(-SHOWN).reverse();
  if (!up.length && !down.length) { body.replaceChildren(el("p.none", {}, "No price has changed yet")); return; }
  const held = body.contains(document.activeElement) ? document.activeElement.dataset.symbol : null;
  const button = (row) => el("button", { type: "button", "data-symbol": board.symbols[row], onclick: () => place.set({ symbol: board.symbols[row] }) },
    el("span", {}, board.symbols[row]), el(changes[row] > 0 ? "span.up" : "span.down", {}, signed(changes[row] * 100)));
  body.replaceChildren(el("div.movers", {}, el("div", {}, ...up.map(button)), el("div", {}, ...down.map(button))));
  if (held) body.querySelector(`[data-symbol="${CSS.escape(held)}"]`)?.focus();
}
