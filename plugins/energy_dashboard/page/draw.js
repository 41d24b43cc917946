// Charts by Vega-Lite, as SVG. `vegaEmbed` comes from the package vl-convert-python (../build.py).

import { svgEl } from "./dom.js";
import { tipHandler } from "./tip.js";

export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/** Draw `spec` (layers, data, scales) into `host`; `lines` is what tips say. Resolves to the chart, to be finalized. */
export async function draw(host, spec, { theme, formats, width, height, lines }) {
  const whole = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width, height, autosize: { type: "fit", contains: "padding" }, padding: 2, background: null,
    config: configOf(theme),
    ...spec,
  };
  return window.vegaEmbed(host, whole, {
    ast: true, // expressions are interpreted: nothing is evaluated, as the Content-Security-Policy wants it
    renderer: "svg", actions: false, defaultStyle: false, hover: false,
    formatLocale: formats.d3, tooltip: tipHandler(lines),
  });
}

function configOf(theme) {
  return {
    font: FONT,
    view: { stroke: null },
    axis: {
      labelColor: theme.muted, titleColor: theme.muted, gridColor: theme.grid, domainColor: theme.axis, tickColor: theme.axis,
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, labelPadding: 6, titlePadding: 8, tickSize: 4,
    },
    axisY: { domain: false, ticks: false },
    text: { color: theme.ink, fontSize: 12 },
    rule: { color: theme.axis },
  };
}

/** The pattern of what was not fully measured, as the charts' fill `url(#hatch)`. */
export function hatchPattern(theme) {
  return svgEl("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svgEl("rect", { width: 1.6, height: 6, fill: theme.hatch }));
}
