// What is looked at, which the address of the page holds.
const NAMES = ["view", "symbol", "resolution", "source", "find", "list", "sort", "output", "field"];
export const VIEWS = ["market", "social", "signals", "pipeline", "results"];

class Place extends EventTarget {
  #values = {};

  constructor() {
    super();
    this.#read();
    addEventListener("popstate", () => { const before = this.#values; this.#read(); this.#told(before); });
  }

  get(name, otherwise = "") { return this.#values[name] || otherwise; }
  get view() { return VIEWS.includes(this.#values.view) ? this.#values.view : "market"; }

  // A new view is a step that the browser's back button undoes; the rest replaces the address.
  set(values) {
    const before = this.#values;
    this.#values = { ...before, ...values };
    const query = new URLSearchParams();
    for (const name of NAMES) if (this.#values[name]) query.set(name, this.#values[name]);
    const text = query.toString();
    const url = text ? `?${text}` : location.pathname;
    if (values.view && values.view !== before.view) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
    this.#told(before);
  }

  #read() {
    const query = new URLSearchParams(location.search);
    this.#values = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
  }

  #told(before) {
    const changed = new Set(NAMES.filter((name) => (before[name] ?? "") !== (this.#values[name] ?? "")));
    if (changed.size) this.dispatchEvent(new CustomEvent("move", { detail: changed }));
  }
}

export const place = new Place();
