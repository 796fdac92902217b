// The lines of the picture, and the dots that run along them as fast as records do.
import { colours, faint } from "../look/colours.js";

const SPEED = 0.32; // of a line's length, per second
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Flow {
  #canvas; #links = []; #frame = 0; #last = 0;

  constructor(canvas) { this.#canvas = canvas; }

  // `links`: {from, to: elements, rate, broken}
  set(links) {
    const dots = new Map(this.#links.map((one) => [one.key, one]));
    this.#links = links.map((link) => ({ ...link, phase: dots.get(link.key)?.phase ?? Math.random() }));
  }

  start() {
    if (!this.#frame) this.#frame = requestAnimationFrame(this.#draw);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #draw = (now) => {
    this.#frame = requestAnimationFrame(this.#draw);
    const passed = Math.min(0.1, (now - this.#last) / 1000);
    this.#last = now;
    const box = this.#canvas.parentElement;
    const width = box.scrollWidth, height = box.scrollHeight, ratio = devicePixelRatio || 1;
    if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
      this.#canvas.style.width = `${width}px`;
      this.#canvas.style.height = `${height}px`;
    }
    const context = this.#canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const origin = box.getBoundingClientRect();
    for (const link of this.#links) this.#link(context, link, origin, box, passed);
  };

  #link(context, link, origin, box, passed) {
    const a = link.from.getBoundingClientRect(), b = link.to.getBoundingClientRect();
    const x0 = a.right - origin.left + box.scrollLeft, x1 = b.left - origin.left + box.scrollLeft;
    const y0 = a.top + a.height / 2 - origin.top + box.scrollTop;
    // Lines end along a box's side, in the order of what they come from.
    const end = (rect, share) => rect.top + 12 + (rect.height - 24) * share - origin.top + box.scrollTop;
    const from = link.fromShare === undefined ? y0 : end(a, link.fromShare);
    const to = link.toShare === undefined ? b.top + b.height / 2 - origin.top + box.scrollTop : end(b, link.toShare);
    const bend = (x1 - x0) * 0.5;
    context.beginPath();
    context.moveTo(x0, from);
    context.bezierCurveTo(x0 + bend, from, x1 - bend, to, x1, to);
    context.setLineDash(link.broken ? [3, 5] : []);
    context.lineWidth = 1;
    context.strokeStyle = link.broken ? faint(colours.down, 0.6) : link.rate > 0 ? faint(colours.dim, 0.34) : faint(colours.dim, 0.18);
    context.stroke();
    context.setLineDash([]);
    if (link.broken || !(link.rate > 0) || calm.matches) return;
    link.phase = (link.phase + passed * SPEED) % 1;
    const dots = Math.max(1, Math.min(9, Math.round(Math.log2(1 + link.rate / 12))));
    context.fillStyle = faint(link.shard ? colours.blue : colours.accent, 0.9);
    for (let dot = 0; dot < dots; dot++) {
      const t = (link.phase + dot / dots) % 1, u = 1 - t;
      const x = u * u * u * x0 + 3 * u * u * t * (x0 + bend) + 3 * u * t * t * (x1 - bend) + t * t * t * x1;
      const y = u * u * u * from + 3 * u * u * t * from + 3 * u * t * t * to + t * t * t * to;
      context.beginPath();
      context.arc(x, y, 1.9, 0, 7);
      context.fill();
    }
  }
}
