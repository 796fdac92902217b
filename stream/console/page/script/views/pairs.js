// A list of names and values whose elements stay, so that only texts change.
import { el, write } from "../look/dom.js";

export function pairsIn(list, pairs) {
  if (list.children.length !== pairs.length) list.replaceChildren(...pairs.map(([name]) => el("div", {}, el("dt", {}, name), el("dd", {}))));
  pairs.forEach(([name, text], at) => {
    write(list.children[at].firstChild, name);
    write(list.children[at].lastChild, text);
  });
}
