// Work that is done once per animation frame, however often it was asked for.
const waiting = new Set();
let asked = 0;

export function onFrame(work) {
  waiting.add(work);
  asked ||= requestAnimationFrame(run);
}

function run() {
  asked = 0;
  const now = [...waiting];
  waiting.clear();
  for (const work of now) work();
}

// A function that is called at most once in so many ms, and always after the last request.
export function seldom(work, everyMs) {
  let timer = 0;
  return () => { timer ||= setTimeout(() => { timer = 0; work(); }, everyMs); };
}
