// Runs before the first paint, so that the page never flashes in the other colours.
(() => {
  let chosen = "";
  try { chosen = JSON.parse(localStorage.getItem("tickertape") || "{}").theme || ""; } catch { /* unreadable: default */ }
  const light = matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme = chosen || (light ? "light" : "dark");
})();
