// Signals as they come, the chart around the chosen one, and the rules with their state as far as it is seen.
import { by, el, options, write } from "../look/dom.js";
import { count, number, percent, seconds, timeOf } from "../look/format.js";
import { onFrame } from "../look/frame.js";
import { place } from "../kept/place.js";
import { LiveChart } from "../chart/live-chart.js";
import { CANDLES, VOLUME } from "../chart/layers.js";
import { Signals } from "../live/signals.js";
import { widthMs } from "../live/outputs.js";

const SHOWN = 200;
const WIDE = 60; // of so many bars at least, when the resolution for a signal's chart is chosen

export class SignalsView {
  #signals; #outputs; #chart; #feed = by("signals-feed"); #rule = by("signals-rule"); #chosen = null; #seen = new Set(); #on = false; #timer = 0; #charted = "";

  constructor({ connection, outputs, signals }) {
    this.#signals = signals;
    this.#outputs = outputs;
    this.#chart = new LiveChart(by("signals-chart"), connection);
    signals.addEventListener("change", () => { if (this.#on) onFrame(this.#draw); this.#badge(); });
    this.#rule.addEventListener("change", () => onFrame(this.#draw));
    this.#feed.addEventListener("keydown", (event) => this.#key(event));
  }

  show() {
    this.#on = true;
    this.#signals.arrived = 0;
    this.#badge();
    this.#charted = "";
    this.#draw();
    this.#timer = setInterval(() => this.#rules(), 1000);
  }

  hide() {
    this.#on = false;
    clearInterval(this.#timer);
    this.#chart.hide();
  }

  #badge() {
    if (this.#on) this.#signals.arrived = 0;
    const badge = by("signals-new"), news = this.#signals.arrived;
    badge.hidden = !news;
    write(badge, news > 99 ? "99+" : String(news));
    badge.setAttribute("aria-label", `${news} new`);
  }

  get #shown() {
    const rule = this.#rule.value;
    return this.#signals.all.filter((one) => !rule || one.rule === rule).slice(0, SHOWN);
  }

  #draw = () => {
    const rules = [...new Set(this.#signals.all.map((one) => one.rule))].sort();
    options(this.#rule, [["", "All rules"], ...rules.map((rule) => [rule, rule])], this.#rule.value);
    const shown = this.#shown;
    if (!shown.length) {
      this.#feed.replaceChildren(el("li.card.none", {}, "No signal yet. A rule's signals appear here as they come; docs/signals.md says how to write a rule."));
      by("signals-chart").dataset.empty = "The chart around a signal appears here";
      this.#rules();
      return;
    }
    if (!this.#chosen || !this.#signals.all.includes(this.#chosen)) this.#chosen = shown[0];
    const held = this.#feed.contains(document.activeElement) ? document.activeElement.dataset?.key : null;
    const first = this.#seen.size === 0;
    this.#feed.replaceChildren(...shown.map((one) => this.#item(one, !first && !this.#seen.has(one.key))));
    shown.forEach((one) => this.#seen.add(one.key));
    if (held) this.#feed.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
    this.#around();
    this.#rules();
  };

  #item(one, isNew) {
    const rose = one.value > one.level;
    const button = el("button", { type: "button", "data-key": one.key, "aria-pressed": String(one === this.#chosen), onclick: () => this.#choose(one) },
      el("time.dim", {}, timeOf(Signals.endMs(one))),
      el("span.what", {}, `${one.symbol}  ${one.rule}`),
      el(`span.value.${rose ? "up" : "down"}`, {}, this.#told(one, one.value)),
      el("span.why", {}, `${one.on} ${one.resolution}: ${one.field} passed ${this.#told(one, one.level)}${one.final ? "" : ", provisional"}${one.incomplete ? ", lacks records" : ""}`));
    return el(isNew ? "li.new" : "li", {}, button);
  }

  // A value of the field that a signal is about, in percent if that is a share.
  #told(one, value) {
    const [topic, kind = ""] = one.on.split("/");
    const unit = this.#outputs.find(topic, kind)?.fields.find((field) => field.name === one.field)?.unit;
    return unit === "share" ? percent(value) : number(value);
  }

  #choose(one) {
    this.#chosen = one;
    for (const button of this.#feed.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.key === one.key));
    this.#around();
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const shown = this.#shown;
    if (!step || !shown.length) return;
    event.preventDefault();
    event.stopPropagation();
    const next = shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(this.#chosen) + step))];
    this.#choose(next);
    this.#feed.querySelector(`[data-key="${CSS.escape(next.key)}"]`)?.focus();
  }

  // The chart around the chosen signal, at the finest resolution of bars that its window spans.
  #around() {
    const one = this.#chosen;
    if (this.#charted === one.key) { this.#chart.remark(); return; }
    this.#charted = one.key;
    const there = this.#outputs.resolutions("bars");
    const resolution = there.findLast((name) => widthMs(name) * WIDE <= Math.max(widthMs(one.resolution), 60_000)) ?? there[0] ?? "1s";
    by("signals-chosen").replaceChildren(`${one.symbol}: ${one.rule} `, el("span.dim", {}, `at ${timeOf(Signals.endMs(one))}, bars of ${resolution} `),
      el("a", { href: `?symbol=${encodeURIComponent(one.symbol)}&resolution=${resolution}`, onclick: (event) => { event.preventDefault(); place.set({ view: "market", symbol: one.symbol, resolution }); } }, "open in Market"));
    let centred = false;
    const atMs = Signals.barMs(one, widthMs(resolution));
    this.#chart.show({
      symbol: one.symbol, source: one.source, resolution, layers: [CANDLES, VOLUME], last: 900,
      extra: (bars, width) => this.#signals.marks(one.symbol, bars, width),
      drawn: () => { if (!centred && this.#chart.newest("bars")) { centred = true; this.#chart.centre(atMs); } },
    });
  }

  #rules() {
    const rules = new Map();
    for (const one of this.#signals.all) {
      const known = rules.get(one.rule) ?? { last: one, signals: 0, symbols: new Set() };
      known.signals++;
      known.symbols.add(one.symbol);
      rules.set(one.rule, known);
    }
    const head = el("tr", {}, ...["Rule", "Checks", "Level", "Signals", "Symbols", "Last"].map((name, at) => el(at > 1 ? "th.number" : "th", { scope: "col" }, name)));
    const rows = [...rules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([rule, { last, signals, symbols }]) => el("tr", {},
      el("td", {}, rule), el("td.dim", {}, `${last.on} ${last.field}`), el("td.number", {}, this.#told(last, last.level)), el("td.number", {}, count(signals)),
      el("td.number", {}, count(symbols.size)), el("td.number", {}, `${last.symbol}, ${seconds(Math.max(0, (Date.now() - Signals.endMs(last)) / 1000))} ago`)));
    by("rules").replaceChildren(rows.length ? el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)) : el("p.none", {}, "A rule appears here with its first signal."));
  }
}
