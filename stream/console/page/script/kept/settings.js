// What this browser keeps: colours, time zone, the chart's layers, and watch lists.
const KEY = "tickertape";

function read() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
}

class Kept extends EventTarget {
  #values = read();

  get(name, otherwise) { return this.#values[name] ?? otherwise; }

  set(name, value) {
    this.#values[name] = value;
    try { localStorage.setItem(KEY, JSON.stringify(this.#values)); } catch { /* full or forbidden: kept until the page closes */ }
    this.dispatchEvent(new CustomEvent(name, { detail: value }));
  }
}

export const kept = new Kept();

// Another tab may have changed them; the newest wins when this one writes.
export const lists = {
  all() { return kept.get("lists", {}); },
  has(name, symbol) { return (this.all()[name] ?? []).includes(symbol); },
  put(name, symbols) { kept.set("lists", { ...this.all(), [name]: symbols }); },
  remove(name) { const { [name]: _, ...others } = this.all(); kept.set("lists", others); },
  toggle(name, symbol) {
    const symbols = this.all()[name] ?? [];
    this.put(name, symbols.includes(symbol) ? symbols.filter((one) => one !== symbol) : [...symbols, symbol]);
  },
};

export const STARRED = "Starred";
