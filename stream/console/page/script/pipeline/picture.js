// The picture of partitions, workers and shards: a box for each, which stays as long as what it stands for.
import { by, el, write } from "../look/dom.js";
import { bytes, count, NONE, number, seconds } from "../look/format.js";
import { SHARDS } from "./state.js";
import { short } from "./store.js";
import { Flow } from "./flow.js";

// A bar begins at so many seconds between the last commit and the log's end, and is full at so many more. A worker
// commits once a second.
const BEHIND_SECONDS = 2.5;
const FULL_SECONDS = 10;
const BACK_MS = 2000;

function behind(place) {
  if (!place.lag) return 0;
  const late = place.rate > 0 ? place.lag / place.rate : FULL_SECONDS;
  return Math.min(1, Math.max(0, late - BEHIND_SECONDS) / FULL_SECONDS);
}

export class Picture {
  #flow = new Flow(by("picture-flow")); #nodes = new Map();

  start() { this.#flow.start(); }
  stop() { this.#flow.stop(); }

  draw(state) {
    const used = new Set();
    this.#places(by("picture-inputs"), state.inputs, state, used);
    for (const worker of state.workers) this.#worker(worker, used);
    this.#places(by("picture-shards"), state.shards, state, used);
    for (const [key, node] of this.#nodes) if (!used.has(key)) { node.element.remove(); this.#nodes.delete(key); }
    this.#order(by("picture-inputs"), state.inputs);
    this.#order(by("picture-shards"), state.shards);
    const workers = by("picture-workers");
    state.workers.forEach((one) => workers.append(this.#nodes.get(`worker ${one.name}`).element));
    this.#flow.set(this.#links(state));
  }

  #places(column, places, state, used) {
    for (const place of places) {
      const node = this.#node(place.key, used, () => {
        const parts = { name: el("b"), rate: el("span"), note: el("span.note"), fill: el("i.fill") };
        return { ...parts, element: el("div.node", {}, el("div.title", {}, parts.name, parts.note, parts.rate), parts.fill) };
      });
      write(node.name, place.topic === SHARDS ? `shard ${place.partition}` : `${place.topic} ${place.partition}`);
      write(node.rate, place.rate === null ? "" : `${number(Math.round(place.rate))}/s`);
      const age = place.watermarkMs ? `, ${seconds(Math.max(0, state.atMs - place.watermarkMs) / 1000)} old` : "";
      write(node.note, place.lag === null ? "" : `lag ${count(place.lag)}${age}`);
      node.fill.style.width = `${100 * behind(place)}%`;
      node.element.classList.toggle("away", !place.owner);
      node.element.title = place.owner ? `owned by ${short(place.owner)}` : "owned by no worker now";
    }
  }

  #worker(worker, used) {
    const node = this.#node(`worker ${worker.name}`, used, () => {
      const parts = { name: el("b"), tag: el("span.tag") };
      const rows = ["input", "partitions", "shards", "memory", "restarts"];
      for (const name of rows) parts[name] = el("dd");
      const list = el("dl", {}, ...rows.flatMap((name) => [el("dt", {}, name), parts[name]]));
      return { ...parts, up: worker.up, element: el("div.node.worker", {}, el("div.title", {}, parts.name, parts.tag), list) };
    });
    write(node.name, short(worker.name));
    node.element.title = worker.name;
    write(node.tag, worker.up ? "● running" : "✕ away");
    write(node.input, worker.rate === null ? NONE : `${number(Math.round(worker.rate))}/s`);
    write(node.partitions, count(worker.inputs.length));
    write(node.shards, count(worker.shards.length));
    write(node.memory, bytes(worker.memory));
    write(node.restarts, count(worker.restarts));
    node.element.classList.toggle("away", !worker.up);
    if (worker.up && !node.up) {
      node.element.classList.add("back");
      setTimeout(() => node.element.classList.remove("back"), BACK_MS);
    }
    node.up = worker.up;
  }

  #node(key, used, make) {
    used.add(key);
    if (!this.#nodes.has(key)) this.#nodes.set(key, make());
    return this.#nodes.get(key);
  }

  #order(column, places) {
    const wanted = places.map((one) => this.#nodes.get(one.key).element);
    const now = [...column.querySelectorAll(".node")];
    if (wanted.length === now.length && wanted.every((element, at) => element === now[at])) return;
    column.append(...wanted);
  }

  #links(state) {
    const links = [];
    const worker = (name) => this.#nodes.get(`worker ${name}`)?.element;
    const last = this.#owners ??= new Map();
    for (const place of [...state.inputs, ...state.shards]) {
      // A place without an owner hangs on its last one, dashed, until it is taken over.
      const owner = place.owner ?? last.get(place.key);
      if (place.owner) last.set(place.key, place.owner);
      const element = worker(owner);
      if (!element) continue;
      const gone = !place.owner || !state.workers.find((one) => one.name === owner)?.up;
      const shard = place.topic === SHARDS;
      const own = (shard ? state.shards : state.inputs).filter((one) => (one.owner ?? last.get(one.key)) === owner);
      const share = own.length > 1 ? own.indexOf(place) / (own.length - 1) : 0.5;
      const box = this.#nodes.get(place.key).element;
      links.push(shard
        ? { key: place.key, from: element, to: box, fromShare: share, rate: place.rate, broken: gone, shard }
        : { key: place.key, from: box, to: element, toShare: share, rate: place.rate, broken: gone, shard });
    }
    return links;
  }

  #owners;
}
