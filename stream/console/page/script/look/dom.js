// Elements, made and found.
export const by = (id) => document.getElementById(id);

// el("span.name", {title: "…"}, "text", child …)
export function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Touches the page only if the text is another one.
export function write(element, text) {
  if (element.firstChild?.nodeType === 3 && element.childNodes.length === 1) {
    if (element.firstChild.data !== text) element.firstChild.data = text;
  } else element.textContent = text;
}

// Fills a <select> with options [value, text], and keeps its choice.
export function options(select, pairs, chosen) {
  const now = JSON.stringify(pairs);
  if (select.dataset.has !== now) {
    select.dataset.has = now;
    select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
  }
  if (select.value !== chosen) select.value = chosen;
}

// Fills a group of buttons of which one is pressed.
export function choices(group, values, chosen, choose) {
  const now = values.join();
  if (group.dataset.has !== now) {
    group.dataset.has = now;
    group.replaceChildren(...values.map((value) => el("button", { type: "button", "data-value": value, onclick: () => choose(value) }, value)));
  }
  for (const button of group.children) button.setAttribute("aria-pressed", String(button.dataset.value === chosen));
}
