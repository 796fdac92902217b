// The watch list: thousands of symbols, of which only those in sight are elements of the page.
import { by, el, write } from "../look/dom.js";
import { colours, faint } from "../look/colours.js";
import { NONE, shown, signed } from "../look/format.js";
import { onFrame, seldom } from "../look/frame.js";
import { kept, lists, STARRED } from "../kept/settings.js";
import { place } from "../kept/place.js";
import { drawSpark } from "./spark.js";
import { orderOf } from "./order.js";

const ROW = 30;
const MORE = 3; // rows above and below those in sight
const RESORT_MS = 2000;
const FLASH_MS = 900;
const SIGNED = new Set(["percent", "signed"]);
// How much room a column gets.
const SHARES = { last: 1.6, change: 1.1, spark: 1.2, volume: 1.2, notional: 1.2, spread: 1.35, rate: 1.15 };
// A narrow list leaves out columns of a high rank first.
const RANKS = { last: 1, change: 1, spark: 1, posts: 1, rate: 2, volume: 2, rsi: 3 };
const COLUMNS = {
  market: { without: ["notional", "posts"], first: [] },
  social: { without: ["notional", "volume", "spread", "rate", "rsi"], first: ["posts", "mood"], ranks: { last: 2 } },
  results: { without: ["notional", "posts", "mood", "spread"], first: [] },
};
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class WatchList {
  #board; #order = []; #pool = []; #columns = []; #shown = ""; #unordered = false; #over = false;
  #grid = by("grid"); #filler = by("grid-filler"); #head = by("grid-head");

  constructor(board) {
    this.#board = board;
    const resort = seldom(() => { if (!this.#over) this.reorder(); }, RESORT_MS);
    board.addEventListener("load", () => this.reorder());
    board.addEventListener("change", () => { resort(); onFrame(this.#paint); });
    place.addEventListener("move", (event) => this.#moved(event.detail));
    kept.addEventListener("lists", () => this.reorder());
    colours.addEventListener("change", () => this.#repaint());
    this.#grid.addEventListener("scroll", () => onFrame(this.#paint), { passive: true });
    // Rows don't move away under a pointer.
    this.#grid.addEventListener("pointerenter", () => { this.#over = true; });
    this.#grid.addEventListener("pointerleave", () => { this.#over = false; });
    new ResizeObserver(() => this.#repaint()).observe(this.#grid);
    this.#filler.addEventListener("click", (event) => this.#clicked(event));
    this.#grid.addEventListener("keydown", (event) => this.#key(event));
  }

  // The height in which rows are in sight, below the headings.
  get #room() { return this.#grid.clientHeight - this.#head.offsetHeight; }

  get order() { return this.#order; }

  reorder() {
    this.#setColumns();
    const sort = place.get("sort", this.#board.has("notional") ? "-notional" : "symbol");
    this.#order = orderOf(this.#board, { list: place.get("list"), find: place.get("find"), sort });
    this.#filler.style.height = `${this.#order.length * ROW}px`;
    this.#grid.setAttribute("aria-rowcount", this.#order.length + 1);
    const all = this.#board.symbols.length;
    write(by("list-count"), this.#order.length === all ? `${all.toLocaleString("en-GB")}` : `${this.#order.length.toLocaleString("en-GB")} of ${all.toLocaleString("en-GB")}`);
    const empty = by("grid-empty");
    empty.hidden = this.#order.length > 0;
    write(empty, all ? "No symbol fits this list and filter." : "No results yet. Symbols appear with their first trades.");
    this.#heading(sort);
    if (!place.get("symbol") && this.#order.length) place.set({ symbol: this.#board.symbols[this.#order[0]] });
    this.#repaint();
  }

  // Choose the symbol that is so many rows further down.
  step(rows) {
    if (!this.#order.length) return;
    const now = this.#order.indexOf(this.#board.row(place.get("symbol")));
    const next = Math.min(this.#order.length - 1, Math.max(0, now + rows));
    place.set({ symbol: this.#board.symbols[this.#order[next]] });
    this.reveal();
  }

  reveal() {
    const at = this.#order.indexOf(this.#board.row(place.get("symbol")));
    if (at < 0) return;
    const top = at * ROW, bottom = top + ROW - this.#room;
    if (this.#grid.scrollTop > top) this.#grid.scrollTop = top;
    else if (this.#grid.scrollTop < bottom) this.#grid.scrollTop = bottom;
    onFrame(this.#paint);
  }

  #setColumns() {
    const { without, first, ranks } = COLUMNS[place.view] ?? COLUMNS.market;
    // A column of which nothing is known yet, as an indicator in its first minutes, gives its room to the others.
    const known = ({ name }) => name === "spark" || this.#board.values[name]?.some((value) => value !== null);
    const there = this.#board.columns.filter((column) => !without.includes(column.name) && known(column));
    const columns = [...first.map((name) => there.find((one) => one.name === name)).filter(Boolean), ...there.filter((one) => !first.includes(one.name))];
    const names = columns.map((one) => one.name).join();
    if (names === this.#shown) return;
    this.#shown = names;
    this.#columns = columns.map((column) => ({ ...column, rank: first.includes(column.name) ? 1 : ranks?.[column.name] ?? RANKS[column.name] ?? 4 }));
    for (const most of [1, 2, 3, 4]) {
      const tracks = this.#columns.filter((column) => column.rank <= most).map((column) => `minmax(0, ${SHARES[column.name] ?? 1}fr)`);
      this.#grid.style.setProperty(`--tracks-${most}`, `16px minmax(78px, 1.7fr) ${tracks.join(" ")}`);
    }
    this.#grid.setAttribute("aria-colcount", columns.length + 2);
    for (const row of this.#pool) row.element.remove();
    this.#pool = [];
  }

  #heading(sort) {
    const name = sort.replace("-", "");
    const heading = (column, title, hint, extra = {}, kind = "") => {
      const sorted = column === name ? (sort.startsWith("-") ? "descending" : "ascending") : null;
      const button = el("button", { type: "button", title: hint, onclick: () => this.#sortBy(column) }, title + (sorted ? (sorted === "descending" ? " ↓" : " ↑") : ""));
      return el(`div${kind}`, { role: "columnheader", "aria-sort": sorted, ...extra }, button);
    };
    const star = el("div", { role: "columnheader" }, el("span.unseen", {}, "Starred"));
    const cells = this.#columns.map((column) => {
      const title = SHORT[column.name] ?? column.title;
      const hint = [column.title, column.unit && `(${column.unit})`].filter(Boolean).join(" ");
      if (column.name !== "spark") return heading(column.name, title, hint, { "data-rank": column.rank });
      return el("div", { role: "columnheader", "data-rank": column.rank }, el("span.unseen", {}, hint));
    });
    this.#head.replaceChildren(star, heading("symbol", "Symbol", "Symbol", {}, ".name"), ...cells);
  }

  #sortBy(name) {
    const now = place.get("sort", "");
    const first = name === "symbol" ? name : `-${name}`;
    place.set({ sort: now === first ? (first.startsWith("-") ? name : `-${name}`) : first });
  }

  #moved(changed) {
    if (["list", "find", "sort", "view"].some((name) => changed.has(name))) {
      this.reorder();
      if (!changed.has("view")) this.#grid.scrollTop = 0;
    }
    if (changed.has("symbol")) this.#repaint();
  }

  #clicked(event) {
    const row = this.#pool.find((one) => one.element.contains(event.target));
    if (!row) return;
    const symbol = this.#board.symbols[row.row];
    if (event.target === row.star) lists.toggle(starList(), symbol);
    else place.set({ symbol });
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.#room / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.step(steps[event.key]);
  }

  #repaint() {
    this.#unordered = true;
    onFrame(this.#paint);
  }

  #paint = () => {
    const changed = this.#board.takeChanged();
    const all = this.#unordered;
    this.#unordered = false;
    const height = this.#room;
    if (height <= 0) return;
    const first = Math.max(0, Math.floor(this.#grid.scrollTop / ROW) - MORE);
    const count = Math.min(this.#order.length - first, Math.ceil(height / ROW) + 2 * MORE);
    while (this.#pool.length < count) this.#pool.push(this.#newRow());
    this.#pool.forEach((row, at) => { row.element.hidden = at >= count; });
    const chosen = this.#board.row(place.get("symbol"));
    // A row in sight keeps its element while the list scrolls, so that nothing is drawn twice.
    for (let at = first; at < first + count; at++) {
      const row = this.#pool[at % count];
      const index = this.#order[at];
      const moved = row.row !== index || row.at !== at;
      if (moved) this.#bind(row, index, at);
      if (moved || all || changed.has(index)) this.#fill(row, !moved && !all);
      const selected = index === chosen;
      if (row.selected !== selected || all) {
        row.selected = selected;
        row.element.setAttribute("aria-selected", String(selected));
      }
      if (selected) this.#grid.setAttribute("aria-activedescendant", row.element.id);
    }
  };

  #newRow() {
    const star = el("div.cell.star", { role: "gridcell" }, "★");
    const name = el("div.cell.name", { role: "rowheader" });
    const cells = this.#columns.map((column) => {
      const cell = el("div.cell", { role: "gridcell", "data-rank": column.rank });
      if (column.name === "spark") cell.append(el("canvas", { "aria-hidden": "true" }));
      return cell;
    });
    const element = el("div.row", { role: "row", id: `row-${this.#pool.length}` }, star, name, ...cells);
    this.#filler.append(element);
    return { element, star, name, cells, row: -1, at: -1, selected: null, last: null, flashed: 0 };
  }

  #bind(row, index, at) {
    row.row = index;
    row.at = at;
    row.last = null;
    row.element.style.transform = `translateY(${at * ROW}px)`;
    row.element.setAttribute("aria-rowindex", at + 2);
    write(row.name, this.#board.symbols[index]);
  }

  #fill(row, flashes) {
    const symbol = this.#board.symbols[row.row];
    const starred = lists.has(starList(), symbol);
    row.star.classList.toggle("on", starred);
    row.star.setAttribute("aria-label", starred ? "starred" : "not starred");
    this.#columns.forEach((column, at) => {
      const cell = row.cells[at];
      if (column.name === "spark") {
        drawSpark(cell.firstChild, this.#board.spark[row.row]);
        return;
      }
      const value = this.#board.values[column.name]?.[row.row] ?? null;
      const text = column.format === "percent" ? signed(value === null ? null : value * 100) : shown(value, column.format);
      write(cell, text);
      cell.classList.toggle("none", text === NONE);
      if (SIGNED.has(column.format)) {
        cell.classList.toggle("up", value > 0);
        cell.classList.toggle("down", value < 0);
      }
      if (column.name === "last") this.#flash(row, cell, value, flashes);
    });
  }

  #flash(row, cell, value, flashes) {
    const before = row.last;
    row.last = value;
    const now = performance.now();
    if (!flashes || before === null || before === value || now - row.flashed < FLASH_MS || calm.matches) return;
    row.flashed = now;
    const colour = value > before ? colours.up : colours.down;
    cell.animate([{ backgroundColor: faint(colour, 0.16) }, {}], { duration: FLASH_MS, easing: "ease-out" });
  }
}

// A star puts a symbol on the list that is shown, or else on the list of starred symbols.
export const starList = () => place.get("list", STARRED);

const SHORT = { last: "Last", change: "Chg %", volume: "Volume", spread: "Spread bp", rate: "Trades/s", rsi: "RSI", mood: "Mood", posts: "Posts" };
