// Pipeline: the picture that moves, the sums, and what happened.
import { by, el, write } from "../look/dom.js";
import { bytes, count, number, seconds, timeOf } from "../look/format.js";
import { onFrame } from "../look/frame.js";
import { kept } from "../kept/settings.js";
import { Picture } from "../pipeline/picture.js";
import { short } from "../pipeline/store.js";
import { pairsIn } from "./pairs.js";

const NAMES = { counted: "Counted", late: "Late", rejected: "Rejected", repeated: "Repeated", unmatched: "Unmatched" };
const BAD_SECONDS = 30;

export class PipelineView {
  #pipeline; #picture = new Picture(); #on = false;

  constructor({ pipeline }) {
    this.#pipeline = pipeline;
    pipeline.addEventListener("change", () => { this.#pulse(); if (this.#on) onFrame(this.#draw); });
    pipeline.addEventListener("event", () => { if (this.#on) onFrame(this.#told); });
    kept.addEventListener("zone", () => { if (this.#on) onFrame(this.#told); });
  }

  show() {
    this.#on = true;
    this.#picture.start();
    this.#draw();
    this.#told();
  }

  hide() {
    this.#on = false;
    this.#picture.stop();
  }

  // The sums in the head of the page, in every view.
  #pulse() {
    if (!this.#pipeline.state) return;
    const { sums, workers } = this.#pipeline.state;
    const up = workers.filter((one) => one.up).length;
    write(by("pulse-rate"), sums.rate === null ? "–" : number(Math.round(sums.rate)));
    write(by("pulse-lag"), sums.lag === null ? "–" : number(sums.lag));
    write(by("pulse-age"), seconds(sums.ageSeconds));
    write(by("pulse-workers"), up === workers.length ? String(up) : `${up} of ${workers.length}`);
    by("pulse-workers").classList.toggle("bad", up < workers.length || !up);
    by("pulse-age").classList.toggle("bad", sums.ageSeconds > BAD_SECONDS);
  }

  #draw = () => {
    const { state, trouble } = this.#pipeline;
    write(by("pipeline-story"), trouble || (state ? told(state) : ""));
    if (!state) return;
    this.#picture.draw(state);
    const { sums, recent, workers } = state;
    const facts = [
      ["Events a second", sums.rate === null ? "–" : number(Math.round(sums.rate))], ["Lag", count(sums.lag)], ["Watermark age", seconds(sums.ageSeconds)],
      ["Workers", `${workers.filter((one) => one.up).length} of ${workers.length}`], ["Restarts", count(sums.restarts)], ["Their memory", bytes(sums.memory)],
      ["Page's memory", bytes(recent.bytes)],
      ...Object.entries(NAMES).filter(([name]) => name in sums.tallies).map(([name, title]) => [title, number(sums.tallies[name])]),
    ];
    pairsIn(by("pipeline-facts"), facts);
  };

  #told = () => {
    const { events } = this.#pipeline;
    by("pipeline-events").replaceChildren(...(events.length ? events.map((one) => el("li", {}, el("time", {}, timeOf(one.atMs)), el("span", {}, one.text)))
      : [el("li.none", {}, "Nothing since this page was opened")]));
  };
}

function told(state) {
  const away = state.workers.filter((one) => !one.up).map((one) => short(one.name));
  const orphans = [...state.inputs, ...state.shards].filter((one) => !one.owner).length;
  if (!state.workers.length) return "No worker runs. Records wait on Kafka, and none is lost.";
  if (away.length) return `${away.join(", ")} is away. Its partitions wait until it is back or the others take over.`;
  if (orphans) return `${orphans} partitions wait for an owner.`;
  return "Workers read partitions and fold what they read into shards; each shard publishes results.";
}
