// The newest values of every symbol, as columns; what the watch list and the movers show.
const SPARK_POINTS = 60;

export class Board extends EventTarget {
  columns = []; symbols = []; values = {}; spark = [];
  #rows = new Map(); #changed = new Set();

  constructor(connection) {
    super();
    connection.watch({ watch: "board" }, { snapshot: (data) => this.#load(data), delta: (data) => this.#apply(data) });
  }

  row(symbol) { return this.#rows.get(symbol); }
  value(symbol, column) { return this.values[column]?.[this.#rows.get(symbol)] ?? null; }
  has(column) { return column in this.values; }
  column(name) { return this.columns.find((one) => one.name === name); }

  // The rows that changed since the last call.
  takeChanged() {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  #load(data) {
    this.columns = data.columns;
    this.symbols = data.symbols;
    this.values = data.values;
    this.spark = data.spark ?? [];
    this.#rows = new Map(data.symbols.map((symbol, row) => [symbol, row]));
    this.dispatchEvent(new Event("load"));
  }

  #apply(data) {
    for (const symbol of data.symbols ?? []) {
      this.#rows.set(symbol, this.symbols.length);
      this.symbols.push(symbol);
      this.spark[this.symbols.length - 1] = [];
    }
    for (const [name, values] of Object.entries(data.values ?? {})) {
      const column = (this.values[name] ??= []);
      data.rows.forEach((row, at) => { column[row] = values[at]; });
    }
    for (const row of data.rows ?? []) this.#changed.add(row);
    for (const [row, close] of data.spark ?? []) {
      const points = (this.spark[row] ??= []);
      points.push(close);
      if (points.length > SPARK_POINTS) points.splice(0, points.length - SPARK_POINTS);
      this.#changed.add(row);
    }
    this.dispatchEvent(new Event(data.symbols?.length ? "load" : "change"));
  }
}
