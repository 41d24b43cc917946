// Light or dark: as Airflow's UI around the frame has it, else as the system does.

import { seenWindow } from "./address.js";

/** Call `changed(dark)` now and at each change. */
export function followTheme(changed) {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const seen = seenWindow();
  const outer = seen === window ? null : seen.document.documentElement;
  let last = null;
  const update = () => {
    const dark = isDark(outer, system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    if (dark !== last) changed(dark);
    last = dark;
  };
  if (outer) new MutationObserver(update).observe(outer, { attributes: true, attributeFilter: ["class", "style"] });
  window.addEventListener("storage", update);
  system.addEventListener("change", update);
  update();
}

function isDark(outer, systemIsDark) {
  if (outer?.classList.contains("dark")) return true;
  if (outer?.classList.contains("light")) return false;
  // In a tab of its own, on Airflow's host: what its UI was set to there.
  const chosen = document.body.dataset.url ? localStorage.getItem("theme") : null;
  return chosen === "dark" || (chosen !== "light" && systemIsDark);
}
