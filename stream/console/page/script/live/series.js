// The results of one series in time order. Of the results of one window, the highest (final, revision) counts.
// As many as the server sends at first: a page that is left open for days holds no more.
const MOST = 900;
// It is cut when it is this much longer, because a chart is then filled anew.
const SLACK = 1.2;

export class Series {
  results = []; cut = false; #most;

  constructor(most = MOST) { this.#most = most; }

  get last() { return this.results[this.results.length - 1]; }

  load(results) {
    this.results = [];
    for (const result of results) this.add(result);
  }

  // Returns "newer" for the newest window, "older" for one before it, or "" if nothing is changed.
  add(result) {
    const results = this.results;
    let at = results.length;
    while (at > 0 && results[at - 1].start_ms > result.start_ms) at--;
    const known = results[at - 1];
    if (known?.start_ms === result.start_ms) {
      if (!counts(result, known)) return "";
      results[at - 1] = result;
      return at === results.length ? "newer" : "older";
    }
    results.splice(at, 0, result);
    const newest = at === results.length - 1;
    if (results.length > this.#most * SLACK) {
      results.splice(0, results.length - this.#most);
      this.cut = true;
    }
    return newest ? "newer" : "older";
  }
}

function counts(result, known) {
  if (result.final !== known.final) return result.final;
  return result.revision > known.revision || (result.revision === known.revision && !!result.corrected && !known.corrected);
}
