// Social: the price beside posts, their baseline and mood; hashtags and copies of the newest window; who is talked about.
import { by, el, write } from "../look/dom.js";
import { count, number, signed } from "../look/format.js";
import { place } from "../kept/place.js";
import { LiveChart } from "../chart/live-chart.js";
import { BASELINE, MENTIONS, MOOD, PRICE_LINE } from "../chart/layers.js";
import { fillChooser, resolutionOf } from "./chooser.js";

const LOUDEST = 6;
const HASHTAGS = 6;
const COPIED = 6;
const MINUTE_MS = 60_000;

export class Social {
  #view = by("view-social"); #live; #chart; #cards = "";

  constructor({ connection, board, outputs }) {
    this.#live = { board, outputs };
    this.#chart = new LiveChart(by("social-chart"), connection);
  }

  get resolutions() { return this.#live.outputs.resolutions("social"); }
  get resolution() { return resolutionOf(this.resolutions, this.resolutions[0]); }

  show() {
    const symbol = place.get("symbol"), { outputs } = this.#live;
    fillChooser(this.#view, outputs, this.resolutions, this.resolution);
    write(this.#view.querySelector(".name"), symbol || "No symbol yet");
    this.#cards = "";
    if (!outputs.has("social")) { by("social-chart").dataset.empty = "This pipeline has no posts."; return; }
    if (!symbol) return;
    // The price comes first, because its windows give the chart its times.
    const layers = [PRICE_LINE, MENTIONS, BASELINE, MOOD].filter((layer) => outputs.resolutions(layer.topic, layer.kind).includes(this.resolution));
    if (!layers.includes(PRICE_LINE)) layers[0] = { ...layers[0], main: true, fields: ["mentions"] };
    this.#chart.show({ symbol, source: place.get("source", "all"), resolution: this.resolution, layers, last: 400, drawn: () => this.frame() });
    this.frame();
  }

  hide() { this.#chart.hide(); }

  frame() {
    const { board } = this.#live, symbol = place.get("symbol");
    const windows = lastMinute(this.#chart.results("social")), newest = windows.at(-1);
    const posts = board.value(symbol, "posts"), mood = board.value(symbol, "mood");
    write(this.#view.querySelector(".talk"), posts === null ? "nobody talks about it now" : `${count(posts)} posts in this minute, mood ${signed(mood)}`);
    const loud = this.#loudest(board);
    const now = JSON.stringify([newest?.start_ms, newest?.revision, loud]);
    if (now === this.#cards) return;
    this.#cards = now;
    this.#ranks("card-hashtags", most(windows, "hashtags", HASHTAGS).map(([tag, posts]) => [`#${tag}`, posts]), "No hashtags in the last minute");
    this.#ranks("card-copied", most(windows, "most_copied", COPIED).map(([post, copies]) => [`post ${post}`, copies]), "No copies in the last minute");
    this.#ranks("card-loud", loud, "Nobody is talked about yet");
  }

  #loudest(board) {
    const posts = board.values.posts ?? [];
    return board.symbols.map((symbol, row) => [symbol, posts[row] ?? 0]).filter(([, one]) => one > 0).sort((a, b) => b[1] - a[1]).slice(0, LOUDEST);
  }

  #ranks(card, ranks, none) {
    const body = by(card).querySelector(".body");
    if (!ranks.length) { body.replaceChildren(el("p.none", {}, none)); return; }
    const most = ranks[0][1], choose = card === "card-loud";
    body.replaceChildren(el("div.ranks", {}, ...ranks.map(([name, value]) => {
      const fill = el("i.fill", { "aria-hidden": "true" });
      fill.style.width = `${(100 * value) / most}%`;
      const parts = [fill, el("span", {}, name), el("span", {}, number(value))];
      return choose ? el("button", { type: "button", onclick: () => place.set({ symbol: name }) }, ...parts) : el("div.rank", {}, ...parts);
    })));
  }
}

// The windows that began in the last minute, or the newest one where windows are longer.
function lastMinute(windows) {
  const newest = windows.at(-1);
  return newest ? windows.filter((one) => one.start_ms > newest.start_ms - MINUTE_MS) : [];
}

// What windows name most often, by the sum of their numbers. These are lower bounds, and so is the sum.
function most(windows, field, shown) {
  const sums = new Map();
  for (const one of windows) for (const [name, number] of one[field] ?? []) sums.set(name, (sums.get(name) ?? 0) + number);
  return [...sums].sort((a, b) => b[1] - a[1]).slice(0, shown);
}
