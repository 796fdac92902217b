// What the pipeline publishes: topics, kinds, resolutions and fields, as the API describes them.
const WIDTHS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const KEYS = new Set(["symbol", "source", "resolution", "start_ms", "kind", "final", "revision", "incomplete", "corrected"]);

export class Outputs extends EventTarget {
  all = []; #sources = new Map();

  async load() {
    const [topics, symbols] = await Promise.all([read("api/v1/topics"), read("api/v1/symbols")]);
    this.all = topics;
    for (const one of symbols) this.#sources.set(one.symbol, one.sources);
    this.dispatchEvent(new Event("load"));
  }

  find(topic, kind = "") { return this.all.find((one) => one.topic === topic && (one.kind ?? "") === kind); }
  has(topic, kind = "") { return this.find(topic, kind) !== undefined; }
  // The names of its resolutions, the finest first.
  resolutions(topic, kind = "") {
    const widths = this.find(topic, kind)?.resolutions ?? {};
    return Object.keys(widths).sort((a, b) => widths[a] - widths[b]);
  }

  // All sources taken together come first.
  sources(symbol) { return [...new Set(["all", ...(this.#sources.get(symbol) ?? [])])]; }

  // Symbols that came after the page was opened have sources too.
  async learnSources(symbol) {
    if (!symbol || this.#sources.has(symbol)) return;
    for (const one of await read("api/v1/symbols")) this.#sources.set(one.symbol, one.sources);
    if (this.#sources.has(symbol)) this.dispatchEvent(new Event("sources"));
  }
}

export const widthMs = (resolution) => {
  const [, number, unit] = /^(\d+)([a-z]+)$/.exec(resolution) ?? [0, 1, "s"];
  return number * (WIDTHS_MS[unit] ?? 1000);
};

export const isNumeric = (field) => (field.type === "number" || field.type === "integer") && !KEYS.has(field.name);

async function read(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
