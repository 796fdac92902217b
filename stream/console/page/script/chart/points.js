// From results to what the chart library draws: candles, points, and empty places where time passed without results.
import { colours, faint } from "../look/colours.js";

// A longer gap is drawn as so many empty places, so that a night doesn't fill the screen.
const MOST_EMPTY = 90;

export function candle(bar) {
  const colour = bar.close >= bar.open ? colours.up : colours.down;
  const point = { time: bar.start_ms / 1000, open: bar.open, high: bar.high, low: bar.low, close: bar.close };
  // An open bar is hollow.
  if (!bar.final) return { ...point, color: faint(colour, 0.12), borderColor: colour, wickColor: colour };
  return point;
}

// The times at which results are missing between two windows, in seconds.
export function emptyPlaces(beforeMs, afterMs, widthMs) {
  const missing = Math.round((afterMs - beforeMs) / widthMs) - 1;
  const times = [];
  for (let at = 1; at <= Math.min(missing, MOST_EMPTY); at++) times.push((beforeMs + at * widthMs) / 1000);
  return times;
}

// All points of a layer, with the empty places of its series.
export function pointsOf(results, layer, widthMs) {
  const points = [];
  results.forEach((result, at) => {
    if (at && layer.gaps) points.push(...emptyPlaces(results[at - 1].start_ms, result.start_ms, widthMs).map((time) => ({ time })));
    points.push(layer.point(result));
  });
  return points;
}

// A point of a line; a null value is an empty place.
export const linePoint = (field) => (result) => {
  const value = result[field];
  const time = result.start_ms / 1000;
  return value === null || value === undefined ? { time } : { time, value };
};

export function gapsIn(results, widthMs) {
  let gaps = 0;
  for (let at = 1; at < results.length; at++) if (results[at].start_ms - results[at - 1].start_ms > widthMs * 1.5) gaps++;
  return gaps;
}

// Marks above and below bars: corrected ones, and ones that lack records.
export function marksOf(results) {
  const marks = [];
  for (const result of results) {
    const time = result.start_ms / 1000;
    if (result.corrected) marks.push({ time, position: "aboveBar", shape: "circle", color: colours.accent, size: 0.7, id: "corrected" });
    if (result.incomplete) marks.push({ time, position: "belowBar", shape: "square", color: colours.dim, size: 0.5, id: "incomplete" });
  }
  return marks;
}

// The digits behind the point that the prices of these results need.
export function digitsIn(results, fields) {
  let most = 0;
  for (const result of results.slice(-60)) {
    for (const field of fields) {
      const text = String(result[field] ?? "");
      if (!text.includes("e")) most = Math.max(most, text.split(".")[1]?.length ?? 0);
    }
  }
  return Math.min(most, 8);
}
