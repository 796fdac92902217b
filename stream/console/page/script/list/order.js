// Which symbols the watch list shows, and in which order: a list, a filter and a column.
import { lists } from "../kept/settings.js";

const CONDITION = /^([a-z_]+)(>=|<=|>|<|=)(-?\d+(?:\.\d+)?)%?$/i;
const TESTS = { ">": (a, b) => a > b, "<": (a, b) => a < b, ">=": (a, b) => a >= b, "<=": (a, b) => a <= b, "=": (a, b) => a === b };

// "btc rsi>70 change<-0.5" → a function of a row. Shares count in percent, as they are shown.
export function filterOf(text, board) {
  const tests = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const found = CONDITION.exec(word);
    if (!found) {
      const part = word.toUpperCase();
      return (row) => board.symbols[row].toUpperCase().includes(part);
    }
    const [, name, sign, number] = found;
    const values = board.values[name.toLowerCase()];
    if (!values) return () => false;
    const scale = board.column(name.toLowerCase())?.format === "percent" ? 100 : 1;
    return (row) => values[row] !== null && values[row] !== undefined && TESTS[sign](values[row] * scale, Number(number));
  });
  return (row) => tests.every((test) => test(row));
}

// The rows to show, in order. `sort` is a column's name, with "-" before it for the greatest first; "symbol" is by name.
export function orderOf(board, { list, find, sort }) {
  const fits = filterOf(find, board);
  const chosen = list ? (lists.all()[list] ?? []).map((symbol) => board.row(symbol)).filter((row) => row !== undefined) : null;
  const rows = (chosen ?? board.symbols.map((_, row) => row)).filter(fits);
  const down = sort.startsWith("-");
  const values = board.values[sort.replace("-", "")];
  const names = board.symbols;
  if (!values) return rows.sort((a, b) => (names[a] < names[b] ? -1 : 1) * (down ? -1 : 1));
  const sign = down ? -1 : 1;
  // Rows without a value come last in either direction.
  return rows.sort((a, b) => {
    const left = values[a] ?? null, right = values[b] ?? null;
    if (left === right) return names[a] < names[b] ? -1 : 1;
    if (left === null) return 1;
    if (right === null) return -1;
    return (left < right ? -1 : 1) * sign;
  });
}
