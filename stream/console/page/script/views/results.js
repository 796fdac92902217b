// Results: whatever the pipeline publishes, by its schema; a new agent's output appears here without an edit.
import { by, el, options, write } from "../look/dom.js";
import { momentOf, number } from "../look/format.js";
import { place } from "../kept/place.js";
import { LiveChart } from "../chart/live-chart.js";
import { anyField } from "../chart/layers.js";
import { isNumeric } from "../live/outputs.js";
import { seldom } from "../look/frame.js";
import { fillChooser, resolutionOf } from "./chooser.js";

const ROWS = 24;
const LONG = 48;
const EVERY_MS = 500;
const LEFT_OUT = new Set(["symbol", "source", "resolution", "kind"]);
const nameOf = (output) => (output.kind ? `${output.topic}/${output.kind}` : output.topic);

export class Results {
  #view = by("view-results"); #outputs; #chart; #drawn = "";

  constructor({ connection, outputs }) {
    this.#outputs = outputs;
    this.#chart = new LiveChart(by("results-chart"), connection);
    by("results-output").addEventListener("change", (event) => place.set({ output: event.target.value, field: "" }));
    by("results-field").addEventListener("change", (event) => place.set({ field: event.target.value }));
  }

  // Signals have a view of their own, and come with no field to draw.
  get #charted() { return this.#outputs.all.filter((one) => one.topic !== "signals"); }

  get #output() {
    return this.#charted.find((one) => nameOf(one) === place.get("output")) ?? this.#charted[0];
  }

  get resolutions() { const output = this.#output; return output ? this.#outputs.resolutions(output.topic, output.kind) : []; }
  get resolution() { return resolutionOf(this.resolutions, this.resolutions[0]); }

  show() {
    const output = this.#output, symbol = place.get("symbol");
    if (!output) { by("results-chart").dataset.empty = "This pipeline publishes nothing yet."; return; }
    options(by("results-output"), this.#charted.map((one) => [nameOf(one), nameOf(one)]), nameOf(output));
    const numeric = output.fields.filter(isNumeric);
    const usual = numeric.find((one) => one.name === (output.kind || "")) ?? numeric.find((one) => one.name === "close" && output.topic === "bars") ?? numeric[0];
    const field = numeric.find((one) => one.name === place.get("field")) ?? usual;
    options(by("results-field"), numeric.map((one) => [one.name, one.unit ? `${one.name} (${one.unit})` : one.name]), field?.name ?? "");
    fillChooser(this.#view, this.#outputs, this.resolutions, this.resolution);
    write(this.#view.querySelector(".chosen-symbol"), symbol ? `of ${symbol}` : "");
    this.#fields(output);
    this.#drawn = "";
    by("results-newest").replaceChildren(el("p.none", {}, "Nothing yet"));
    if (!symbol || !field) return;
    this.#chart.show({ symbol, source: place.get("source", "all"), resolution: this.resolution, layers: [anyField(output, field)], last: 400, drawn: this.#later });
  }

  hide() { this.#chart.hide(); }
  frame() {}

  #later = seldom(() => { if (this.#output) this.#newest(this.#output); }, EVERY_MS);

  #fields(output) {
    const head = el("tr", {}, ...["Field", "Unit", "What it is"].map((name) => el("th", { scope: "col" }, name)));
    const rows = output.fields.filter((field) => !LEFT_OUT.has(field.name)).map((field) => el("tr", {}, el("td", {}, el("code", {}, field.name)), el("td.dim", {}, field.unit || field.type), el("td.words", {}, field.meaning)));
    by("results-fields").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
  }

  #newest(output) {
    const results = this.#chart.results(output.topic, output.kind ?? "").slice(-ROWS).reverse();
    const now = JSON.stringify(results[0] ?? null);
    if (!results.length || now === this.#drawn) return;
    this.#drawn = now;
    const names = output.fields.map((field) => field.name).filter((name) => !LEFT_OUT.has(name));
    const head = el("tr", {}, ...names.map((name) => el(name === "start_ms" ? "th" : "th.number", { scope: "col" }, name)));
    const rows = results.map((result) => el("tr", {}, ...names.map((name) => el(name === "start_ms" ? "td" : "td.number", {}, text(name, result[name])))));
    by("results-newest").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
  }
}

function text(name, value) {
  if (value === null || value === undefined) return "–";
  if (name.endsWith("_ms") && value > 1e11) return momentOf(value);
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  return whole.length > LONG ? `${whole.slice(0, LONG)}…` : whole;
}
