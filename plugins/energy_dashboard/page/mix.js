// Production by source: the stacked mix, and its totals.

import { SOURCE_COLOURS, SOURCES } from "./colours.js";
import { energyUnit, isAbsent } from "./format.js";
import { timeAxis } from "./ticks.js";

/** Sum of what is there; null where nothing is. */
export function sumOf(values) {
  const there = values.filter((value) => !isAbsent(value));
  return there.length ? there.reduce((sum, value) => sum + value, 0) : null;
}

/** Sum of the eight sources; null where one of them is unknown. */
export function productionOf(sources) {
  const values = Object.values(sources);
  return values.some(isAbsent) ? null : sumOf(values);
}

/** Production by source over the steps or days of which all sources are known. */
export function totalsOf(steps) {
  const known = steps.filter(({ sources }) => productionOf(sources) !== null);
  return Object.fromEntries(SOURCES.map((source) => [source, sumOf(known.map(({ sources }) => sources[source]))]));
}

const GRAINS = { hour: "mixHour", day: "mixDay", week: "mixWeek", month: "mixMonth" };

export const MIX = {
  id: "mix", wide: true,
  title: ({ t }) => t("mix"),
  controls: ({ t }) => [{ key: "shape", label: "shape", values: { absolute: t("absolute"), relative: t("relative") } }],
  build(model, context) {
    const { t, formats, theme, choices, width, narrow, span } = context;
    const steps = model.steps;
    const totals = totalsOf(steps);
    const production = sumOf(Object.values(totals));
    if (production === null) return null;
    const relative = choices.shape === "relative";
    const hidden = new Set(choices.hide);
    const shown = SOURCES.filter((source) => !hidden.has(source));
    const sums = steps.map(({ sources }) => productionOf(sources));
    const unknown = ({ sources }) => t(sumOf(Object.values(sources)) === null ? "absentStep" : "incompleteStep");
    const greatest = Math.max(...steps.map(({ sources }) => sumOf(shown.map((source) => sources[source])) ?? 0));
    const unit = energyUnit(greatest);
    const label = (step) => stepLabel(model.grain, step, formats);

    const boxes = [];
    steps.forEach(({ from, to, sources }, step) => {
      let [above, below] = [0, 0];
      for (const source of shown) {
        const value = sources[source];
        if (isAbsent(value) || value === 0 || (relative && !sums[step])) continue;
        const size = relative ? (100 * value) / sums[step] : value / unit.size;
        const base = value > 0 ? above : below;
        boxes.push({ from, to, source, y0: base, y1: base + size });
        if (value > 0) above += size;
        else below += size;
      }
    });
    const places = steps.map(({ from, to, complete }, step) => ({ from, to, complete, step }));
    const partial = places.filter(({ complete }) => !complete);
    // Thin bars touch, and a little more: between two edges inside one pixel the background would show.
    const room = width / steps.length;
    const inset = room < 8 ? -0.25 : Math.min(1.5, room * 0.08);
    const x = {
      x: { field: "from", type: "quantitative", scale: { domain: [steps[0].from, steps.at(-1).to], nice: false, zero: false },
        axis: timeAxis(formats, steps[0].from, steps.at(-1).to, width - 70, model.grain === "hour") },
      x2: { field: "to" },
    };
    const whole = { y: { value: 0 }, y2: { value: "height" } };
    const spec = {
      layer: [
        {
          data: { values: boxes },
          mark: { type: "rect", xOffset: inset, x2Offset: -inset, aria: false },
          encoding: {
            ...x,
            y: { field: "y0", type: "quantitative", title: relative ? t("relative") : unit.name, axis: { tickCount: 5, format: ",~f" },
              scale: relative && !hidden.size ? { domain: [0, 100] } : { zero: true } },
            y2: { field: "y1" },
            color: { field: "source", type: "nominal", legend: null, scale: { domain: SOURCES, range: SOURCES.map((source) => SOURCE_COLOURS[source]) } },
          },
        },
        { data: { values: partial }, mark: { type: "rect", fill: "url(#hatch)", opacity: 0.55, aria: false }, encoding: { ...x, ...whole } },
        {
          data: { values: places },
          params: [{ name: "pointed", select: { type: "point", on: "pointerover", clear: "pointerout", fields: ["step"] } }],
          mark: { type: "rect", fill: theme.ink, tooltip: { content: "data" }, aria: false },
          encoding: { ...x, ...whole, opacity: { condition: { param: "pointed", empty: false, value: 0.09 }, value: 0 } },
        },
      ],
    };
    const top = topOf(totals);
    return {
      subtitle: `${formats.span(span.start, span.end)}, ${t(GRAINS[model.grain])}`,
      spec, height: narrow ? 260 : 340,
      legend: [
        ...SOURCES.map((source) => ({
          key: source, name: t(source), colour: SOURCE_COLOURS[source], shown: !hidden.has(source),
          toggle: () => context.choose("hide", hidden.has(source) ? choices.hide.filter((other) => other !== source) : [...choices.hide, source]),
        })),
        ...(partial.length ? [{ key: "hatch", name: t("hatched"), colour: "hatch" }] : []),
      ],
      lines: ({ step }) => ({
        title: label(steps[step]),
        rows: [
          ...[...shown].reverse().map((source) => [t(source), valueText(steps[step].sources[source], sums[step], formats, unit), SOURCE_COLOURS[source]]),
          [t("production"), formats.energy(sums[step], false, unit)],
          ...(steps[step].complete ? [] : [[unknown(steps[step]), "", "hatch"]]),
        ],
      }),
      summary: t("mixSummary", {
        total: formats.energy(production),
        top: t(top).toLowerCase(), share: formats.percent((100 * totals[top]) / production),
      }),
      columns: [t("period"), ...SOURCES.map((source) => t(source)), t("production")],
      rows: steps.map((step, index) => [
        label(step) + (step.complete ? "" : ` (${unknown(step)})`),
        ...SOURCES.map((source) => (relative ? formats.percent(share(step.sources[source], sums[index])) : formats.energy(step.sources[source], false, unit))),
        formats.energy(sums[index], false, unit),
      ]),
    };
  },
};

function share(value, sum) {
  return isAbsent(value) || !sum ? null : (100 * value) / sum;
}

function valueText(value, sum, formats, unit) {
  return isAbsent(value) ? formats.energy(null) : `${formats.energy(value, false, unit)} · ${formats.percent(share(value, sum))}`;
}

function stepLabel(grain, { from, day, lastDay }, formats) {
  if (grain === "hour") return formats.hour(from);
  if (grain === "month") return formats.month(day);
  return formats.span(day, lastDay);
}

/** Source with the greatest total; of equal ones the first by name, as the marts have it. */
export function topOf(totals) {
  const there = Object.keys(totals).filter((key) => totals[key] > 0).sort();
  return there.length ? there.reduce((best, key) => (totals[key] > totals[best] ? key : best)) : null;
}

export const TOTALS = {
  id: "totals",
  title: ({ t }) => t("totals"),
  build(model, context) {
    const { t, formats, span } = context;
    const { shares } = model.data;
    if (isAbsent(shares.production_mwh)) return null;
    const rows = model.data.totals.filter((row) => !isAbsent(row.energy_mwh));
    const totals = Object.fromEntries(rows.map((row) => [row.source, row.energy_mwh]));
    const part = Object.fromEntries(rows.map((row) => [row.source, formats.percent(row.share_pct)]));
    const unit = energyUnit(Math.max(...Object.values(totals)));
    const order = rows.map(({ source }) => source);
    const text = (source) => `${formats.energy(totals[source], false, unit)} · ${part[source]}`;
    const values = order.map((source) => ({ source, name: t(source), value: totals[source] / unit.size, text: text(source) }));
    return {
      subtitle: formats.span(span.start, span.end), height: Math.max(120, order.length * 32 + 10),
      spec: horizontalBars(values, { ...context, order: order.map((source) => t(source)), colours: Object.fromEntries(order.map((source) => [t(source), SOURCE_COLOURS[source]])) }),
      facts: [
        [t("topSource"), shares.top_source ? t(shares.top_source) : formats.number(null), shares.top_source ? part[shares.top_source] : ""],
        [t("lowCarbon"), formats.percent(shares.low_carbon_pct), t("lowCarbonNote")],
        [t("renewable"), formats.percent(shares.renewable_pct), t("renewableNote")],
      ],
      legend: [],
      lines: ({ source, text: figure }) => ({ title: t(source), rows: [[t("production"), figure]] }),
      summary: t("totalsSummary", { list: order.map((source) => `${t(source)} ${part[source]}`).join(", ") }),
      columns: [t("sourceColumn"), t("production"), t("relative")],
      rows: order.map((source) => [t(source), formats.energy(totals[source], false, unit), part[source]]),
    };
  },
};

/** How long names beside bars are set: on two lines where there is little room. */
export function labelsOf(narrow) {
  const space = "indexof(datum.label, ' ')";
  const lines = `[substring(datum.label, 0, ${space}), substring(datum.label, ${space} + 1)]`;
  return narrow ? { labelLimit: 110, labelExpr: `length(datum.label) > 12 && ${space} > 0 ? ${lines} : datum.label` } : { labelLimit: 170 };
}

/** Bars with their figures written beside them: `values` have `name`, `value` and `text`. */
export function horizontalBars(values, { order, theme, narrow, width, colours }) {
  const greatest = Math.max(...values.map(({ value }) => value), 0);
  // Room for the text beside the longest bar.
  const room = Math.max(width - (narrow ? 100 : 170), 80);
  const text = Math.max(...values.map((entry) => entry.text.length)) * 7 + 10;
  const domain = [Math.min(0, ...values.map(({ value }) => value)), (greatest || 1) / Math.max(0.25, 1 - text / room)];
  const y = { field: "name", type: "nominal", sort: order, title: null, axis: { domain: false, ticks: false, labelFontSize: 13, labelColor: theme.ink, ...labelsOf(narrow) } };
  const x = { field: "value", type: "quantitative", axis: null, scale: { domain, nice: false } };
  return {
    data: { values },
    layer: [
      { mark: { type: "bar", height: { band: 0.66 }, cornerRadiusEnd: 3, tooltip: { content: "data" }, aria: false },
        encoding: { y, x, color: { field: "name", type: "nominal", legend: null, scale: { domain: Object.keys(colours), range: Object.values(colours) } } } },
      { mark: { type: "text", align: "left", dx: 6, color: theme.ink, fontSize: 12, aria: false }, encoding: { y, x, text: { field: "text" } } },
    ],
  };
}
