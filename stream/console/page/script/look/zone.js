// The choice of a time zone, and the clock in it.
import { kept } from "../kept/settings.js";
import { options } from "./dom.js";
import { timeOf } from "./format.js";

const USUAL = ["UTC", "America/New_York", "Europe/London", "Europe/Berlin", "Asia/Tokyo", "Asia/Hong_Kong", "Asia/Singapore"];

export function setUpZone(select, clock) {
  const rest = Intl.supportedValuesOf?.("timeZone") ?? [];
  const names = [...new Set([...USUAL, ...rest])];
  options(select, [["", "Local time"], ...names.map((name) => [name, name.replaceAll("_", " ")])], kept.get("zone", ""));
  select.addEventListener("change", () => kept.set("zone", select.value));
  const tick = () => {
    clock.textContent = timeOf(Date.now());
    setTimeout(tick, 1000 - (Date.now() % 1000));
  };
  tick();
  kept.addEventListener("zone", () => { clock.textContent = timeOf(Date.now()); });
}
