// All signals of late, newest first. A signal that is published again, as final or corrected, stays one.
import { widthMs } from "./outputs.js";
import { colours } from "../look/colours.js";

const MOST = 500;
const keyOf = (one) => [one.symbol, one.source, one.resolution, one.start_ms, one.rule].join("|");

export class Signals extends EventTarget {
  all = []; arrived = 0; #byKey = new Map();

  constructor(connection) {
    super();
    connection.watch({ watch: "results", topic: "signals", kind: "", source: "", resolution: "", last: MOST }, {
      snapshot: (data) => { this.#add(data.results, false); },
      delta: (data) => { this.#add(data.results, true); },
    });
  }

  // When a signal's window ends, which is when the rule became true.
  static endMs(signal) { return signal.start_ms + widthMs(signal.resolution); }

  // Marks of a symbol's signals on a chart of its bars.
  marks(symbol, bars, width) {
    if (!bars.length) return [];
    const from = bars[0].start_ms;
    return this.all.filter((one) => one.symbol === symbol && Signals.endMs(one) > from).map((one) => {
      const rose = one.value > one.level;
      return { time: Signals.barMs(one, width) / 1000, position: rose ? "belowBar" : "aboveBar", shape: rose ? "arrowUp" : "arrowDown", color: colours.violet, text: one.rule, size: 0.8 };
    });
  }

  // The start of the bar in which its window ends.
  static barMs(signal, width) { return Math.floor((Signals.endMs(signal) - 1) / width) * width; }

  #add(results, live) {
    for (const one of results) {
      const key = keyOf(one), known = this.#byKey.get(key);
      if (known) {
        if (one.final >= known.final) Object.assign(known, one);
        continue;
      }
      const signal = { ...one, key, live };
      this.#byKey.set(key, signal);
      this.all.push(signal);
      if (live) this.arrived++;
    }
    this.all.sort((a, b) => b.start_ms + widthMs(b.resolution) - (a.start_ms + widthMs(a.resolution)));
    for (const gone of this.all.splice(MOST)) this.#byKey.delete(gone.key);
    this.dispatchEvent(new Event("change"));
  }
}
