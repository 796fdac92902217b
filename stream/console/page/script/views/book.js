// The best bid and ask of a symbol, how much is there on either side, and the spread. Whole books will lie here too.
import { el, write } from "../look/dom.js";
import { number, one, price, signed } from "../look/format.js";
import { onFrame } from "../look/frame.js";
import { pairsIn } from "./pairs.js";
import { Series } from "../live/series.js";

export class Book {
  #body; #connection; #watch = null; #series = new Series(3); #parts = null;

  constructor(body, connection) {
    this.#body = body;
    this.#connection = connection;
  }

  show(symbol, source) {
    this.hide();
    this.#series = new Series(3);
    this.#parts = null;
    this.#body.replaceChildren(el("p.none", {}, "No quotes yet"));
    const request = { watch: "results", topic: "quote-bars", kind: "", symbol, source, resolution: "1s", last: 2 };
    const take = (data) => { data.results.forEach((result) => this.#series.add(result)); onFrame(this.#draw); };
    this.#watch = this.#connection.watch(request, { snapshot: take, delta: take });
  }

  hide() { this.#watch?.end(); this.#watch = null; }

  none() {
    this.hide();
    this.#body.replaceChildren(el("p.none", {}, "This pipeline has no quotes."));
  }

  #draw = () => {
    const at = this.#series.last;
    if (!at) return;
    const parts = (this.#parts ??= this.#build());
    write(parts.bid, price(at.bid));
    write(parts.ask, price(at.ask));
    write(parts.bidSize, number(at.bid_quantity));
    write(parts.askSize, number(at.ask_quantity));
    // Above 1 in all, for else they wouldn't fill the line.
    const all = at.bid_quantity + at.ask_quantity || 1;
    parts.left.style.flexGrow = (100 * at.bid_quantity) / all;
    parts.right.style.flexGrow = (100 * at.ask_quantity) / all;
    pairsIn(parts.pairs, [
      ["Spread, bps", one(at.spread_bps)], ["by time", one(at.time_weighted_spread_bps)], ["Imbalance", signed(at.imbalance)], ["Quotes/s", number(at.count)],
    ]);
  };

  #build() {
    const parts = {};
    for (const name of ["bid", "ask"]) parts[name] = el("strong", {});
    for (const name of ["bidSize", "askSize"]) parts[name] = el("span", {});
    parts.pairs = el("dl.pairs");
    parts.left = el("i");
    parts.right = el("i");
    this.#body.replaceChildren(el("div.book", {},
      el("div.side.bid", {}, el("span.up", {}, "Bid"), parts.bid, parts.bidSize),
      el("div.side.ask", {}, el("span.down", {}, "Ask"), parts.ask, parts.askSize),
      el("div.depth", { "aria-hidden": "true" }, parts.left, parts.right),
      parts.pairs));
    return parts;
  }
}
