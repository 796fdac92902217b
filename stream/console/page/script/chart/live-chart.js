// A chart that follows the results of one symbol: a watch for each topic that its layers need.
import { colours, faint } from "../look/colours.js";
import { onFrame, seldom } from "../look/frame.js";
import { momentOf, price, scaled } from "../look/format.js";
import { kept } from "../kept/settings.js";
import { el, write } from "../look/dom.js";
import { Series } from "../live/series.js";
import { widthMs } from "../live/outputs.js";
import { chartLook, fontOf } from "./look.js";
import { digitsIn, emptyPlaces, gapsIn, marksOf, pointsOf } from "./points.js";

const SAY_MS = 1000;
const FEW = 60;
// Around a moment: so many bars in all, so many of them after it; and the room after the newest.
const AROUND = 90;
const AFTER = 40;
const ROOM = 5;
const SHARES = [3, 1, 1]; // of the height, by pane

export class LiveChart {
  #figure; #connection; #chart; #feeds = []; #asked = {}; #marks = null; #extra = () => []; #hovered = null; #names = [];

  constructor(figure, connection) {
    this.#figure = figure;
    this.#connection = connection;
    this.#chart = LightweightCharts.createChart(figure.querySelector(".canvas"), { autoSize: true, ...chartLook() });
    this.#chart.subscribeCrosshairMove((at) => {
      this.#hovered = at.time ? at.time * 1000 : null;
      onFrame(this.#legend);
    });
    const redraw = () => { this.#chart.applyOptions(chartLook()); if (this.#asked.layers) this.#build(); };
    colours.addEventListener("change", redraw);
    kept.addEventListener("zone", redraw);
  }

  // Chart this. `layers` come from layers.js; `extra(feed)` gives more marks for the main series.
  show(asked) {
    this.hide();
    this.#asked = asked;
    this.#extra = asked.extra ?? (() => []);
    const feeds = new Map();
    for (const layer of asked.layers) {
      const key = `${layer.topic}/${layer.kind}`;
      if (!feeds.has(key)) feeds.set(key, { topic: layer.topic, kind: layer.kind, layers: [], series: new Series(), news: [], loaded: false });
      feeds.get(key).layers.push({ layer, drawn: null });
    }
    this.#feeds = [...feeds.values()];
    this.#figure.dataset.empty = `Waiting for results of ${asked.symbol}`;
    this.#build();
    for (const feed of this.#feeds) {
      const request = { watch: "results", topic: feed.topic, kind: feed.kind, symbol: asked.symbol, source: asked.source, resolution: asked.resolution, last: asked.last ?? 600 };
      feed.watch = this.#connection.watch(request, {
        snapshot: (data) => {
          const first = !feed.loaded;
          feed.series.load(data.results);
          feed.news = [];
          feed.loaded = true;
          this.#fill(feed);
          if (first && feed === this.#main) this.#begin();
          onFrame(this.#draw);
        },
        delta: (data) => { feed.news.push(...data.results); onFrame(this.#draw); },
        failed: (text) => { if (feed === this.#main) this.#figure.dataset.empty = text; },
      });
    }
  }

  hide() {
    for (const feed of this.#feeds) feed.watch?.end();
    this.#feeds = [];
  }

  // The newest result of a topic that the chart follows.
  newest(topic, kind = "") { return this.#feeds.find((feed) => feed.topic === topic && feed.kind === kind)?.series.last; }
  results(topic, kind = "") { return this.#feeds.find((feed) => feed.topic === topic && feed.kind === kind)?.series.results ?? []; }
  remark() { onFrame(this.#drawMarks); }

  // Move to a moment, as of a signal.
  centre(ms) {
    const bars = this.#main?.series.results ?? [];
    if (!bars.length) return;
    const at = bars.findIndex((bar) => bar.start_ms >= ms);
    const to = Math.min(at + AFTER, bars.length + ROOM);
    if (at >= 0) this.#chart.timeScale().setVisibleLogicalRange({ from: to - AROUND, to });
  }

  get #main() { return this.#feeds.find((feed) => feed.layers.some(({ layer }) => layer.main)); }
  get #width() { return widthMs(this.#asked.resolution); }

  #build() {
    for (let pane = this.#chart.panes().length - 1; pane >= 0; pane--) {
      for (const series of this.#chart.panes()[pane].getSeries()) this.#chart.removeSeries(series);
    }
    this.#marks = null;
    for (const feed of this.#feeds) for (const one of feed.layers) one.drawn = this.#add(one.layer);
    this.#chart.panes().forEach((pane, at) => pane.setStretchFactor(SHARES[at] ?? 1));
    this.#namePanes();
    this.#chart.timeScale().applyOptions({ secondsVisible: this.#width < 60_000 });
    for (const feed of this.#feeds) this.#fill(feed);
    this.#begin();
    onFrame(this.#draw);
  }

  // The legend names what lies on the first pane.
  #namePanes() {
    for (const name of this.#names) name.detach();
    this.#names = this.#chart.panes().slice(1).map((pane, at) => LightweightCharts.createTextWatermark(pane, {
      horzAlign: "left", vertAlign: "top",
      lines: [{ text: `  ${this.#asked.layers.find((layer) => layer.pane === at + 1)?.title ?? ""}`, color: colours.dim, fontSize: 11, lineHeight: 22, fontFamily: fontOf() }],
    }));
  }

  // Show the newest results; few ones are drawn wider.
  #begin() {
    const few = (this.#main?.series.results.length ?? 0) < FEW;
    this.#chart.timeScale().applyOptions({ barSpacing: few ? 13 : 8 });
    this.#chart.timeScale().scrollToRealTime();
  }

  #add(layer) {
    const colour = layer.colour?.();
    const quiet = { priceLineVisible: false, lastValueVisible: false, crosshairMarkerRadius: 3 };
    const range = layer.range ? { autoscaleInfoProvider: () => ({ priceRange: { minValue: layer.range[0], maxValue: layer.range[1] } }) } : {};
    let series;
    if (layer.shape === "candles") {
      series = this.#chart.addSeries(LightweightCharts.CandlestickSeries, {
        upColor: colours.up, downColor: colours.down, borderUpColor: colours.up, borderDownColor: colours.down,
        wickUpColor: colours.up, wickDownColor: colours.down, priceLineColor: colours.dim,
      }, layer.pane);
    } else if (layer.shape === "histogram") {
      series = this.#chart.addSeries(LightweightCharts.HistogramSeries, { ...quiet, ...(layer.scale ? { priceScaleId: layer.scale } : {}) }, layer.pane);
      if (layer.scale) series.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    } else if (layer.shape === "baseline") {
      series = this.#chart.addSeries(LightweightCharts.BaselineSeries, {
        ...quiet, ...range, baseValue: { type: "price", price: 0 }, lineWidth: 1.5,
        topLineColor: colours.up, topFillColor1: faint(colours.up, 0.3), topFillColor2: faint(colours.up, 0.05),
        bottomLineColor: colours.down, bottomFillColor1: faint(colours.down, 0.05), bottomFillColor2: faint(colours.down, 0.3),
      }, layer.pane);
    } else {
      const main = layer.main ? { lastValueVisible: true, priceLineVisible: true, priceLineColor: colours.dim } : {};
      series = this.#chart.addSeries(LightweightCharts.LineSeries, { ...quiet, ...range, ...main, color: colour, lineWidth: layer.main ? 2 : 1, lineStyle: layer.dashed ? 2 : 0 }, layer.pane);
    }
    if (layer.range) series.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.06 } });
    for (const level of layer.levels ?? []) {
      series.createPriceLine({ price: level, color: faint(colours.dim, 0.55), lineStyle: 2, lineWidth: 1, axisLabelVisible: false });
    }
    if (layer.main) this.#marks = LightweightCharts.createSeriesMarkers(series, []);
    return series;
  }

  #fill(feed) {
    for (const { layer, drawn } of feed.layers) {
      this.#precision(feed, layer, drawn);
      drawn?.setData(pointsOf(feed.series.results, layer, this.#width));
    }
  }

  #precision(feed, layer, drawn) {
    const main = this.#main;
    const fields = main?.layers.find((one) => one.layer.main)?.layer.fields ?? [];
    const digits = layer.digits ?? (layer.pane === 0 && !layer.scale ? digitsIn(main?.series.results ?? [], fields) : 2);
    drawn?.applyOptions({ priceFormat: { type: "custom", formatter: scaled(digits), minMove: 10 ** -digits } });
  }

  #draw = () => {
    for (const feed of this.#feeds) {
      const news = feed.news;
      feed.news = [];
      if (news.length) this.#update(feed, news);
    }
    const main = this.#main;
    if (main?.series.results.length) delete this.#figure.dataset.empty;
    else if (main?.loaded) this.#figure.dataset.empty = `No results of ${this.#asked.symbol} at ${this.#asked.resolution} yet`;
    this.#drawMarks();
    this.#legend();
    this.#say();
    this.#asked.drawn?.();
  };

  #update(feed, news) {
    const before = feed.series.last?.start_ms;
    const known = new Set(feed.series.results.map((result) => result.start_ms));
    let whole = !known.size;
    const points = [];
    for (const result of news) {
      const where = feed.series.add(result);
      if (where === "older" && !known.has(result.start_ms)) whole = true;
      if (where) points.push(result);
      known.add(result.start_ms);
    }
    if (whole || feed.series.cut) {
      feed.series.cut = false;
      this.#fill(feed);
      return;
    }
    for (const { layer, drawn } of feed.layers) {
      let last = before;
      for (const result of points) {
        if (result.start_ms < last) { drawn.update(layer.point(result), true); continue; }
        if (layer.gaps && result.start_ms > last) for (const time of emptyPlaces(last, result.start_ms, this.#width)) drawn.update({ time });
        drawn.update(layer.point(result));
        last = result.start_ms;
      }
    }
  }

  #drawMarks = () => {
    const main = this.#main;
    if (!this.#marks || !main) return;
    const bursts = this.#feeds.flatMap((feed) => feed.layers.flatMap(({ layer }) => layer.burst ? feed.series.results.filter(layer.burst) : []));
    const marks = [
      ...marksOf(main.series.results),
      ...bursts.map((at) => ({ time: at.start_ms / 1000, position: "aboveBar", shape: "arrowDown", color: colours.accent, text: "burst", size: 0.8 })),
      ...this.#extra(main.series.results, this.#width),
    ].sort((a, b) => a.time - b.time);
    const now = JSON.stringify(marks);
    if (now === this.#marks.now) return;
    this.#marks.now = now;
    this.#marks.setMarkers(marks);
  };

  #legend = () => {
    const legend = this.#figure.querySelector(".legend");
    const parts = [];
    let heading = null;
    for (const feed of this.#feeds) {
      const results = feed.series.results;
      const at = this.#hovered === null ? feed.series.last : newestAt(results, this.#hovered);
      if (!at) continue;
      if (feed === this.#main) heading = at;
      for (const { layer } of feed.layers) for (const [name, text] of layer.told?.(at) ?? []) parts.push(el("span", {}, `${name} `, el("b", {}, text)));
    }
    const tags = heading ? [heading.final ? null : "open", heading.corrected ? "corrected" : null, heading.incomplete ? "lacks records" : null] : [];
    const when = this.#hovered !== null && heading ? [el("span", {}, momentOf(heading.start_ms))] : [];
    legend.replaceChildren(...when, ...parts, ...tags.filter(Boolean).map((tag) => el("span.tag", {}, tag)));
  };

  #say = seldom(() => {
    const { symbol, resolution, source } = this.#asked;
    const results = this.#main?.series.results ?? [];
    const caption = this.#figure.querySelector("figcaption");
    if (!results.length) { write(caption, `${symbol}: no results yet.`); return; }
    const field = this.#main.layers.find((one) => one.layer.main).layer.fields.at(-1);
    const values = results.map((result) => result[field]).filter((value) => typeof value === "number");
    const corrected = results.filter((result) => result.corrected).length, gaps = gapsIn(results, this.#width);
    write(caption, `${symbol}, ${source === "all" ? "all sources" : source}: ${results.length} results of ${resolution} from ` +
      `${momentOf(results[0].start_ms)} to ${momentOf(results.at(-1).start_ms)}. ${field}: last ${price(values.at(-1))}, ` +
      `lowest ${price(Math.min(...values))}, highest ${price(Math.max(...values))}. ${corrected} corrected, ${gaps} gaps.`);
  }, SAY_MS);
}

function newestAt(results, ms) {
  for (let at = results.length - 1; at >= 0; at--) if (results[at].start_ms <= ms) return results[at];
  return undefined;
}
