// Market: the chosen symbol's candles and what lies on them, best bid and ask, movers, and the newest bar.
import { by, el, write } from "../look/dom.js";
import { number, percent, price, one } from "../look/format.js";
import { kept, lists } from "../kept/settings.js";
import { place } from "../kept/place.js";
import { LiveChart } from "../chart/live-chart.js";
import { CANDLES, MARKET, MARKET_USUAL } from "../chart/layers.js";
import { starList } from "../list/list.js";
import { Book } from "./book.js";
import { showMovers } from "./movers.js";
import { pairsIn } from "./pairs.js";
import { fillChooser, resolutionOf } from "./chooser.js";

export class Market {
  #view = by("view-market"); #live; #chart; #book; #signals; #title = "";

  constructor({ connection, board, outputs, signals }) {
    this.#live = { board, outputs };
    this.#signals = signals;
    this.#chart = new LiveChart(by("market-chart"), connection);
    this.#book = new Book(by("card-book").querySelector(".body"), connection);
    this.#view.querySelector(".star").addEventListener("click", () => lists.toggle(starList(), place.get("symbol")));
    kept.addEventListener("lists", () => this.#star());
    signals.addEventListener("change", () => this.#chart.remark());
  }

  get resolutions() { return this.#live.outputs.resolutions("bars"); }
  get resolution() { return resolutionOf(this.resolutions, "1s"); }

  show() {
    const symbol = place.get("symbol");
    this.#layerButtons();
    fillChooser(this.#view, this.#live.outputs, this.resolutions, this.resolution);
    write(this.#view.querySelector(".name"), symbol || "No symbol yet");
    this.#star();
    if (!symbol) return;
    const { outputs } = this.#live, source = place.get("source", "all");
    const layers = [CANDLES, ...this.#on.flatMap((group) => MARKET[group] ?? [])].filter((layer) => outputs.resolutions(layer.topic, layer.kind).includes(this.resolution));
    this.#chart.show({
      symbol, source, resolution: this.resolution, layers,
      extra: (bars, width) => this.#signals.marks(symbol, bars, width), drawn: () => this.frame(),
    });
    if (outputs.has("quote-bars")) this.#book.show(symbol, source);
    else this.#book.none();
  }

  hide() { this.#chart.hide(); this.#book.hide(); }
  sources() { fillChooser(this.#view, this.#live.outputs, this.resolutions, this.resolution); }

  frame() {
    const { board } = this.#live, symbol = place.get("symbol");
    const bar = this.#chart.newest("bars");
    const last = board.value(symbol, "last") ?? bar?.close ?? null, change = board.value(symbol, "change");
    write(this.#view.querySelector(".price"), price(last));
    const output = this.#view.querySelector(".change");
    write(output, percent(change));
    output.className = `change ${change > 0 ? "up" : change < 0 ? "down" : ""}`;
    const title = symbol ? `${price(last)} ${symbol} · Tickertape` : "Tickertape";
    if (title !== this.#title) document.title = this.#title = title;
    showMovers(by("card-movers").querySelector(".body"), board);
    this.#newest(bar);
  }

  get #on() { return kept.get("layers", MARKET_USUAL); }

  #star() {
    const on = lists.has(starList(), place.get("symbol"));
    const star = this.#view.querySelector(".star");
    star.setAttribute("aria-pressed", String(on));
    write(star, on ? "★" : "☆");
  }

  #layerButtons() {
    const bar = this.#view.querySelector(".layers"), { outputs } = this.#live;
    const buttons = Object.entries(MARKET).filter(([, [layer]]) => outputs.has(layer.topic, layer.kind)).map(([group, [layer]]) => {
      const there = outputs.resolutions(layer.topic, layer.kind).includes(this.resolution);
      const button = el("button", { type: "button", "data-hue": layer.hue, "aria-pressed": String(there && this.#on.includes(group)), onclick: () => this.#toggle(group) }, layer.name);
      button.disabled = !there;
      button.title = there ? "" : `not published at ${this.resolution}`;
      return button;
    });
    bar.replaceChildren(...buttons);
  }

  #toggle(group) {
    kept.set("layers", this.#on.includes(group) ? this.#on.filter((one) => one !== group) : [...this.#on, group]);
    const at = [...this.#view.querySelectorAll(".layers button")].indexOf(document.activeElement);
    this.show();
    if (at >= 0) this.#view.querySelectorAll(".layers button")[at].focus();
  }

  #newest(bar) {
    const body = by("card-newest").querySelector(".body");
    if (!bar) { body.replaceChildren(el("p.none", {}, "No bar yet")); return; }
    const pairs = [
      ["Volume", number(bar.volume)], ["Notional", number(bar.notional)], ["VWAP", price(bar.vwap)], ["Trades", number(bar.trades ?? bar.count)],
      ["Bought", bar.buy_share === null ? "–" : `${one(bar.buy_share * 100)} %`], ["Largest", number(bar.largest)],
      ["Range", percent(bar.high / bar.low - 1).replace("+", "")], ["State", bar.corrected ? "corrected" : bar.final ? "final" : "open"],
    ];
    if (!body.querySelector(".pairs")) body.replaceChildren(el("dl.pairs"));
    pairsIn(body.firstChild, pairs);
  }
}
