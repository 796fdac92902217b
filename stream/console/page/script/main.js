// Where the page begins: its parts, its views, and the keys.
import { Connection } from "./live/connection.js";
import { Board } from "./live/board.js";
import { Outputs } from "./live/outputs.js";
import { Signals } from "./live/signals.js";
import { Pipeline } from "./pipeline/store.js";
import { setUpDemo } from "./pipeline/demo.js";
import { WatchList } from "./list/list.js";
import { setUpTools } from "./list/tools.js";
import { place } from "./kept/place.js";
import { colours } from "./look/colours.js";
import { by, write } from "./look/dom.js";
import { onFrame } from "./look/frame.js";
import { setUpZone } from "./look/zone.js";
import { setUpKeys } from "./keys.js";
import { Market } from "./views/market.js";
import { Social } from "./views/social.js";
import { SignalsView } from "./views/signals.js";
import { PipelineView } from "./views/pipeline.js";
import { Results } from "./views/results.js";

const STATES = { connecting: "connecting", live: "live", away: "connection lost, trying again", resting: "resting" };
const AGAIN_MS = 2000;

// The token came with the first request, and is a cookie now.
const address = new URL(location.href);
if (address.searchParams.has("token")) {
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

const connection = new Connection(new URL("api/v1/live", address.origin.replace(/^http/, "ws") + address.pathname));
const board = new Board(connection);
const outputs = new Outputs();
const signals = new Signals(connection);
const pipeline = new Pipeline(connection);
const parts = { connection, board, outputs, signals, pipeline };
const views = { market: new Market(parts), social: new Social(parts), signals: new SignalsView(parts), pipeline: new PipelineView(parts), results: new Results(parts) };
const list = new WatchList(board);

let shown = null;
function show() {
  const view = place.view;
  if (shown !== view) {
    views[shown]?.hide();
    shown = view;
    document.body.dataset.view = view;
    for (const name of Object.keys(views)) by(`view-${name}`).hidden = name !== view;
    for (const link of document.querySelectorAll(".views a")) {
      if (link.dataset.view === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }
  if (outputs.all.length || view === "pipeline") views[view].show();
}

const WHAT_MOVES = ["view", "symbol", "resolution", "source", "output", "field"];
place.addEventListener("move", ({ detail }) => {
  if (detail.has("view") || (WHAT_MOVES.some((name) => detail.has(name)) && ["market", "social", "results"].includes(place.view))) show();
});
outputs.addEventListener("load", show);
outputs.addEventListener("sources", () => views[place.view].sources?.());
board.addEventListener("load", () => onFrame(() => views[place.view].frame?.()));
board.addEventListener("change", () => onFrame(frame));
function frame() { views[place.view].frame?.(); }

for (const link of document.querySelectorAll(".views a")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    place.set({ view: link.dataset.view });
  });
}

connection.addEventListener("state", ({ detail }) => {
  document.body.dataset.state = detail;
  write(by("state-text"), STATES[detail]);
});
// At once, beside the socket; and again when that comes back, because after a restart the pipeline may publish other topics.
learn();
let met = false;
connection.addEventListener("hello", () => { if (met) learn(); met = true; });
async function learn() {
  try { await outputs.load(); } catch { setTimeout(learn, AGAIN_MS); }
}

colours.button(by("theme"));
setUpZone(by("zone"), by("clock"));
setUpTools(board, list);
setUpDemo(connection, pipeline);
setUpKeys({ list, resolutions: () => views[place.view].resolutions ?? [], resolution: () => views[place.view].resolution });
show();
