// One colour a source, on every chart, light or dark. Told apart with any kind of colour blindness, and at least 3:1
// against both backgrounds (tests/unit/test_dashboard_page.py).

/** From the bottom of a stack to its top. */
export const SOURCE_COLOURS = {
  nuclear: "#ab8910",
  hydro: "#176edb",
  wind: "#399db0",
  solar: "#b34808",
  bioenergy: "#367549",
  gas: "#e71d5c",
  coal: "#80807f",
  oil: "#89528c",
};
export const SOURCES = Object.keys(SOURCE_COLOURS);
export const RENEWABLE = ["hydro", "wind", "solar", "bioenergy"];

/** What is no source of production. */
export const OTHER_COLOURS = {
  import: "#c2571a",
  export: "#2b7bba",
  stock: "#176edb",
  temperature: "#c2471a",
  cold: "#176edb",
  average: "#72706f",
  hot: "#c2471a",
  points: "#2b7bba",
  line: "#c2471a",
};

/** Backgrounds, inks and lines of charts; the same as in style.css. */
export const THEMES = {
  light: { surface: "#ffffff", ink: "#1c2128", muted: "#57606a", grid: "#e3e6ea", axis: "#8c959f", band: "#176edb", hatch: "#57606a" },
  dark: { surface: "#16181d", ink: "#e9ecf0", muted: "#a3abb5", grid: "#2b3038", axis: "#6b7480", band: "#6f96ff", hatch: "#a3abb5" },
};
