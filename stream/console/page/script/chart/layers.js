// What charts can show of a symbol, and from which topic it comes.
import { colours, faint } from "../look/colours.js";
import { number, one, percent, price, signed } from "../look/format.js";
import { candle, linePoint } from "./points.js";

const line = (extra) => ({ shape: "line", pane: 0, gaps: false, ...extra, point: linePoint(extra.field) });

export const CANDLES = {
  id: "candles", name: "Candles", topic: "bars", kind: "", pane: 0, shape: "candles", gaps: true, main: true,
  fields: ["open", "high", "low", "close"], point: candle,
  told: (bar) => [["O", price(bar.open)], ["H", price(bar.high)], ["L", price(bar.low)], ["C", price(bar.close)]],
};

export const VOLUME = {
  id: "volume", name: "Volume", hue: "dim", topic: "bars", kind: "", pane: 0, shape: "histogram", gaps: false, scale: "volume",
  point: (bar) => ({ time: bar.start_ms / 1000, value: bar.volume, color: faint(bar.close >= bar.open ? colours.up : colours.down, 0.28) }),
  told: (bar) => [["V", number(bar.volume)]],
};

export const VWAP = line({
  id: "vwap", name: "VWAP", hue: "accent", topic: "bars", kind: "", field: "vwap", colour: () => colours.accent,
  told: (bar) => [["VWAP", price(bar.vwap)]],
});

const BAND = { name: "Bands", group: "bands", hue: "blue", topic: "indicators", kind: "bollinger" };
export const BANDS = [
  line({ ...BAND, id: "bands-upper", field: "upper", colour: () => faint(colours.blue, 0.65) }),
  line({ ...BAND, id: "bands-lower", field: "lower", colour: () => faint(colours.blue, 0.65), told: (at) => [["Bands", `${price(at.lower)} … ${price(at.upper)}`]] }),
  line({ ...BAND, id: "bands-middle", field: "middle", colour: () => faint(colours.blue, 0.4), dashed: true }),
];

const AVERAGE = { name: "EMA 12, 26", group: "ema", hue: "violet", topic: "indicators", kind: "ema" };
export const AVERAGES = [
  line({ ...AVERAGE, id: "ema-fast", field: "fast", colour: () => colours.violet }),
  line({ ...AVERAGE, id: "ema-slow", field: "slow", colour: () => faint(colours.violet, 0.55), told: (at) => [["EMA", `${price(at.fast)}, ${price(at.slow)}`]] }),
];

export const RSI = line({
  id: "rsi", name: "RSI", title: "RSI, 0 to 100", hue: "up", topic: "indicators", kind: "rsi", field: "rsi", pane: 1, colour: () => colours.up,
  levels: [30, 70], range: [0, 100], digits: 1, told: (at) => [["RSI", one(at.rsi)]],
});

// The layers of the market's chart that one can turn on and off, by group.
export const MARKET = { vwap: [VWAP], bands: BANDS, ema: AVERAGES, volume: [VOLUME], rsi: [RSI] };
export const MARKET_USUAL = ["vwap", "bands", "volume", "rsi"];

// Social: the price, the posts beside their baseline, and the mood.

export const PRICE_LINE = line({
  id: "price", name: "Price", topic: "bars", kind: "", field: "close", colour: () => colours.text, fields: ["close"], main: true, gaps: true,
  told: (bar) => [["Price", price(bar.close)]],
});
export const BURST = 4; // from so many deviations above its baseline on, a symbol's number of posts is a burst
export const isBurst = (at) => at.z_score !== null && at.z_score >= BURST;
export const MENTIONS = {
  id: "mentions", name: "Posts", title: "Posts, and their baseline", topic: "social", kind: "", pane: 1, shape: "histogram", gaps: false, digits: 0,
  point: (at) => ({ time: at.start_ms / 1000, value: at.mentions, color: faint(colours.blue, at.final ? 0.75 : 0.4) }),
  told: (at) => [["Posts", number(at.mentions)], ["Authors", number(at.unique_authors)]],
};
export const BASELINE = line({
  id: "baseline", name: "Baseline", topic: "indicators", kind: "mentions", field: "baseline", pane: 1, colour: () => colours.accent, digits: 1,
  burst: isBurst,
  told: (at) => [["Baseline", one(at.baseline)], ["z", signed(at.z_score, 1)]],
});
export const MOOD = {
  id: "mood", name: "Sentiment", title: "Sentiment, −1 to 1", topic: "social", kind: "", pane: 2, shape: "baseline", gaps: false, digits: 2, range: [-1, 1],
  point: linePoint("sentiment"),
  told: (at) => [["Sentiment", signed(at.sentiment)], ["Copies", percent(at.copy_share, 0).replace("+", "")]],
};

// Any field of any output, for a view of what somebody's own agent publishes.
export const anyField = (output, field) => line({
  id: "field", name: field.name, topic: output.topic, kind: output.kind ?? "", field: field.name, fields: [field.name],
  colour: () => colours.accent, main: true, gaps: true, told: (at) => [[field.name, number(at[field.name])]],
});
