// Numbers and times as text.
import { kept } from "../kept/settings.js";

const formats = new Map();

function fixed(digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits);
}

export const NONE = "–";
const MINUS = "−";
const minus = (text) => text.replace("-", MINUS);

// The number of digits behind the point that a price of this size is shown with: six digits in all.
export function digitsOf(price) {
  if (!price) return 2;
  return Math.min(8, Math.max(0, 5 - Math.floor(Math.log10(Math.abs(price)))));
}

export const price = (value) => (value === null || value === undefined ? NONE : minus(fixed(digitsOf(value)).format(value)));

export function number(value) {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return minus(fixed(2).format(value / 1e9)) + "B";
  if (size >= 1e6) return minus(fixed(2).format(value / 1e6)) + "M";
  if (size >= 1e5) return minus(fixed(0).format(value / 1e3)) + "k";
  if (size >= 1000 || Number.isInteger(value)) return minus(fixed(0).format(value));
  if (size >= 100) return minus(fixed(1).format(value));
  if (size >= 0.01 || size === 0) return minus(fixed(2).format(value));
  return minus(value.toPrecision(3));
}

export const count = (value) => (value === null || value === undefined ? NONE : minus(fixed(0).format(value)));
export const percent = (value, digits = 2) =>
  value === null || value === undefined ? NONE : signed(value * 100, digits) + " %";

export function signed(value, digits = 2) {
  if (value === null || value === undefined) return NONE;
  const text = fixed(digits).format(Math.abs(value));
  if (!/[1-9]/.test(text)) return text;
  return (value < 0 ? MINUS : "+") + text;
}

const rounded = (digits) => (value) => (value === null || value === undefined ? NONE : minus(fixed(digits).format(value)));
export const one = rounded(1);
const two = rounded(2);
// What the scale of a chart tells.
export const scaled = (digits) => rounded(digits);

export const bytes = (value) => (value === null || value === undefined ? NONE : `${count(value / (1 << 20))} MiB`);

export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 10) return `${fixed(1).format(value)} s`;
  if (value < 120) return `${fixed(0).format(value)} s`;
  return value < 7200 ? `${fixed(0).format(value / 60)} min` : `${fixed(0).format(value / 3600)} h`;
}

// A value as its column says.
const BY_FORMAT = { price, percent, change: percent, share: percent, signed, integer: count, count, one, two, bytes, seconds };
export const shown = (value, format) =>
  typeof value === "number" || value === null || value === undefined ? (BY_FORMAT[format] ?? number)(value) : String(value);

// Times.

export const zone = () => kept.get("zone", "") || undefined;
const clocks = new Map();

function clock(name, parts) {
  const key = `${zone() ?? ""} ${name}`;
  if (!clocks.has(key)) clocks.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone(), hourCycle: "h23", ...parts }));
  return clocks.get(key);
}

const HM = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short" };
export const timeOf = (ms) => clock("hms", { ...HM, second: "2-digit" }).format(ms);
export const minuteOf = (ms) => clock("hm", HM).format(ms);
export const dayOf = (ms) => clock("day", DAY).format(ms);
export const monthOf = (ms) => clock("month", { month: "short" }).format(ms);
export const yearOf = (ms) => clock("year", { year: "numeric" }).format(ms);
export const momentOf = (ms) => clock("full", { ...DAY, ...HM, second: "2-digit" }).format(ms);
