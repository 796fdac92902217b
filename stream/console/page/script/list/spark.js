// A spark line: the closes of the last minute, on a small canvas.
import { colours, faint } from "../look/colours.js";

export function drawSpark(canvas, points) {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (!width) return;
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  if (!points || points.length < 2) return;
  let low = Infinity, high = -Infinity;
  for (const point of points) { if (point < low) low = point; if (point > high) high = point; }
  const span = high - low || 1, inset = 2.5 * ratio, step = width / (points.length - 1);
  const y = (point) => height - inset - ((point - low) / span) * (height - 2 * inset);
  const colour = points[points.length - 1] >= points[0] ? colours.up : colours.down;
  context.beginPath();
  points.forEach((point, at) => (at ? context.lineTo(at * step, y(point)) : context.moveTo(0, y(point))));
  context.lineWidth = 1.25 * ratio;
  context.lineJoin = "round";
  context.strokeStyle = colour;
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(0, height);
  context.fillStyle = faint(colour, 0.1);
  context.fill();
}
