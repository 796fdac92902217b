// The buttons of the demo, and what the demo says while it runs.
import { by } from "../look/dom.js";

const REST_MS = 3000;

export function setUpDemo(connection, pipeline) {
  const kill = by("demo-kill"), scale = by("demo-scale");
  let notes = null;
  connection.addEventListener("hello", ({ detail }) => {
    by("demo-buttons").hidden = !detail.demo;
    notes?.close();
    notes = detail.demo ? listen(pipeline) : null;
  });
  connection.addEventListener("state", ({ detail }) => { if (detail !== "live") { notes?.close(); notes = null; } });
  kill.addEventListener("click", () => press(kill, "api/v1/demo/kill", pipeline));
  scale.addEventListener("click", () => press(scale, "api/v1/demo/scale", pipeline));
}

async function press(button, path, pipeline) {
  button.disabled = true;
  setTimeout(() => { button.disabled = false; }, REST_MS);
  try {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
    if (!answer.ok) pipeline.tell((await answer.json().catch(() => ({}))).error ?? `the demo refuses: ${answer.status}`);
  } catch {
    pipeline.tell("the demo doesn't answer");
  }
}

function listen(pipeline) {
  const source = new EventSource("api/v1/demo/notes");
  source.onmessage = (message) => {
    const { at_ms: atMs, text } = JSON.parse(message.data);
    if (!pipeline.events.some((one) => one.atMs === atMs && one.text === text)) pipeline.tell(text, atMs);
  };
  return source;
}
