// What is known of the pipeline: its newest state, and what happened to it, told from one state to the next.
import { SHARDS, stateOf } from "./state.js";

const EVENTS = 100;

export class Pipeline extends EventTarget {
  state = null; events = []; trouble = "";
  // By name of a worker that was killed: how far its partitions were read then.
  #away = new Map();

  constructor(connection) {
    super();
    const take = (data) => this.#take(data);
    connection.watch({ watch: "pipeline" }, { snapshot: take, delta: take });
  }

  tell(text, atMs = Date.now()) {
    this.events.unshift({ atMs, text });
    this.events.length = Math.min(this.events.length, EVENTS);
    this.dispatchEvent(new Event("event"));
  }

  #take(data) {
    this.trouble = data.error ?? "";
    if (!data.error) {
      const before = this.state, now = stateOf(data);
      if (before) this.#follow(before, now);
      this.state = now;
    }
    this.dispatchEvent(new Event("change"));
  }

  // A worker that was killed is away until one of its partitions is read on, by itself or by another.
  #follow(before, now) {
    for (const worker of now.workers) {
      const old = before.workers.find((one) => one.name === worker.name);
      const killed = old && ((old.up && !worker.up) || (old.restarts !== null && worker.restarts > old.restarts));
      if (killed && !this.#away.has(worker.name)) {
        this.#away.set(worker.name, new Map([...old.inputs, ...old.shards].map((one) => [one.key, one.upto])));
        this.tell(`${short(worker.name)} died; it owned ${plural(old.inputs.length, "partition")} and ${plural(old.shards.length, "shard")}`, now.atMs);
      } else if (this.#away.has(worker.name)) {
        const since = this.#away.get(worker.name);
        const goesOn = [...worker.inputs, ...worker.shards].some((one) => since.has(one.key) && one.upto > since.get(one.key));
        if (goesOn || (!worker.inputs.length && !worker.shards.length && worker.up)) {
          this.#away.delete(worker.name);
          this.tell(`${short(worker.name)} is back, and goes on where it was`, now.atMs);
        }
      }
      worker.up &&= !this.#away.has(worker.name);
    }
    for (const name of this.#away.keys()) if (!now.workers.some((one) => one.name === name)) this.#away.delete(name);
    for (const text of changes(before, now)) this.tell(text, now.atMs);
  }
}

const plural = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

// A slot is named after its machine and a number, "box-1"; the number is what tells them apart on one machine.
export const short = (name) => name.replace(/^.*-(\d+)$/, "worker-$1");

// What changed between two states in who owns what, in words.
export function* changes(before, now) {
  const names = (state) => new Set(state.workers.map((one) => one.name));
  const old = names(before), there = names(now);
  for (const name of there) if (!old.has(name)) yield `${short(name)} joined`;
  for (const name of old) if (!there.has(name)) yield `${short(name)} left the group`;
  const owners = new Map([...before.inputs, ...before.shards].map((one) => [one.key, one.owner]));
  const moved = new Map(), added = new Map();
  const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
  for (const one of [...now.inputs, ...now.shards]) {
    if (!owners.has(one.key)) count(added, one.topic);
    else if (one.owner && owners.get(one.key) !== one.owner) count(moved, JSON.stringify([one.owner, one.topic]));
  }
  for (const [key, number] of moved) {
    const [owner, topic] = JSON.parse(key);
    yield `${short(owner)} took over ${topic === SHARDS ? plural(number, "shard") : `${plural(number, "partition")} of ${topic}`}`;
  }
  for (const [topic, number] of added) yield `${topic} has ${number} more partitions`;
}
