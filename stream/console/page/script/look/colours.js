// The colours of the page for what is drawn on a canvas, and the choice between dark and light.
import { kept } from "../kept/settings.js";

const NAMES = ["ground", "pane", "raised", "line", "faint", "text", "dim", "accent", "up", "down", "blue", "violet", "grid"];
const ORDER = { "": "dark", dark: "light", light: "" };
const SIGNS = { "": "◐", dark: "☾", light: "☀" };
const SAID = { "": "as the system", dark: "dark", light: "light" };

class Colours extends EventTarget {
  constructor() {
    super();
    const system = matchMedia("(prefers-color-scheme: light)");
    const follow = () => {
      document.documentElement.dataset.theme = kept.get("theme", "") || (system.matches ? "light" : "dark");
      this.#read();
    };
    system.addEventListener("change", follow);
    kept.addEventListener("theme", follow);
    follow();
  }

  #read() {
    const style = getComputedStyle(document.documentElement);
    for (const name of NAMES) this[name] = style.getPropertyValue(`--${name}`).trim();
    this.dispatchEvent(new Event("change"));
  }

  // The button goes from the system's colours to dark, to light, and back.
  button(element) {
    const show = () => {
      const chosen = kept.get("theme", "");
      element.textContent = SIGNS[chosen];
      element.setAttribute("aria-label", `Colours: ${SAID[chosen]}`);
      element.title = `Colours: ${SAID[chosen]}`;
    };
    element.addEventListener("click", () => { kept.set("theme", ORDER[kept.get("theme", "")]); show(); });
    show();
  }
}

export const colours = new Colours();

// "#rrggbb" with an opacity from 0 to 1.
export const faint = (colour, opacity) => colour.slice(0, 7) + Math.round(opacity * 255).toString(16).padStart(2, "0");
