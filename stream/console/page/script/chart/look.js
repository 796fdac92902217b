// The options of every chart: colours, type, and times in the chosen zone.
import { colours } from "../look/colours.js";
import { dayOf, minuteOf, momentOf, monthOf, timeOf, yearOf } from "../look/format.js";

// By the library's kinds of marks on the time axis: year, month, day, time, time with seconds.
const TICKS = [yearOf, monthOf, dayOf, minuteOf, timeOf];

export const fontOf = () => getComputedStyle(document.body).fontFamily;

export const chartLook = () => ({
  layout: {
    background: { type: "solid", color: colours.pane },
    textColor: colours.dim,
    fontSize: 11,
    fontFamily: fontOf(),
    panes: { separatorColor: colours.line, separatorHoverColor: colours.faint, enableResize: true },
  },
  grid: { vertLines: { color: colours.grid }, horzLines: { color: colours.grid } },
  crosshair: {
    mode: 0,
    vertLine: { color: colours.dim, labelBackgroundColor: colours.line },
    horzLine: { color: colours.dim, labelBackgroundColor: colours.line },
  },
  rightPriceScale: { borderColor: colours.line },
  timeScale: {
    borderColor: colours.line,
    timeVisible: true,
    secondsVisible: true,
    rightOffset: 5,
    barSpacing: 8,
    minBarSpacing: 0.6,
    tickMarkFormatter: (time, kind) => (TICKS[kind] ?? minuteOf)(time * 1000),
  },
  localization: { locale: "en-GB", timeFormatter: (time) => momentOf(time * 1000) },
});
