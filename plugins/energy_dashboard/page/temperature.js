// Temperature: how many days were cold or hot, and what consumption follows.

import { OTHER_COLOURS } from "./colours.js";
import { isAbsent } from "./format.js";
import { horizontalBars, sumOf } from "./mix.js";

const CATEGORIES = ["cold", "average", "hot"];

export const TEMPERATURE_DAYS = {
  id: "categories",
  title: ({ t }) => t("categories"),
  build(model, context) {
    const { t, formats, span } = context;
    const counts = Object.fromEntries(model.data.temperature_categories.map(({ category, days }) => [category, days]));
    const none = model.days.length - sumOf(Object.values(counts));
    if (none === model.days.length) return null;
    const power = (category) => {
      const known = model.days.filter((day) => day.temperature_category === category && !isAbsent(day.consumption_mean_mw));
      return formats.unit(known.length ? sumOf(known.map((day) => day.consumption_mean_mw)) / known.length / 1000 : null, "GW", 1);
    };
    const values = CATEGORIES.map((category) => ({ category, name: t(category), value: counts[category], text: formats.number(counts[category]) }));
    return {
      subtitle: formats.span(span.start, span.end), height: 250,
      spec: horizontalBars(values, { ...context, order: CATEGORIES.map((category) => t(category)), colours: Object.fromEntries(CATEGORIES.map((category) => [t(category), OTHER_COLOURS[category]])) }),
      legend: [],
      lines: ({ category, text }) => ({ title: t(category), rows: [[t("days"), text], [t("meanConsumption"), power(category)]] }),
      summary: t("categoriesSummary", { ...Object.fromEntries(CATEGORIES.map((category) => [category, formats.number(counts[category])])), none: formats.number(none) }),
      columns: [t("category"), t("days"), t("meanConsumption")],
      rows: [
        ...CATEGORIES.map((category) => [t(category), formats.number(counts[category]), power(category)]),
        [t("unknownCategory"), formats.number(none), ""],
      ],
    };
  },
};

/** The line for a period: of the winter that it touches where that is one and was fitted, else of all winters. */
function lineOf({ thermosensitivity: lines, period }) {
  const fitted = lines.filter((line) => !isAbsent(line.mw_per_c));
  const touched = fitted.filter(({ winter }) => {
    const [from, to] = winter.split("-");
    return winter !== "all" && period.start <= `${to}-03-31` && period.end >= `${from}-11-01`;
  });
  return touched.length === 1 ? touched[0] : fitted.find(({ winter }) => winter === "all") ?? null;
}

export const SCATTER = {
  id: "scatter",
  title: ({ t }) => t("scatter"),
  build(model, context) {
    const { t, formats, span } = context;
    const values = model.days
      .filter((day) => !isAbsent(day.consumption_mean_mw) && !isAbsent(day.temperature_mean_c))
      .map((day) => ({ day: day.day, x: day.temperature_mean_c, y: day.consumption_mean_mw / 1000 }));
    if (!values.length) return null;
    const { heating_base_c: base } = model.data;
    const fit = isAbsent(base) ? null : lineOf(model.data);
    const [low, high] = [Math.min(...values.map(({ x }) => x)), Math.max(...values.map(({ x }) => x))];
    // Fitted to what is heated: it ends at the base, and says nothing of summer.
    const line = fit && low < base ? [low, Math.min(high, base)].map((x) => ({ x, y: (fit.base_mw + fit.mw_per_c * (base - x)) / 1000 })) : [];
    const x = { field: "x", type: "quantitative", title: `${t("temperature")} (°C)`, scale: { zero: false }, axis: { tickCount: 7, format: ",~f" } };
    const y = { field: "y", type: "quantitative", title: `${t("meanPower")} (GW)`, scale: { zero: false }, axis: { tickCount: 6, format: ",~f" } };
    return {
      subtitle: formats.span(span.start, span.end), height: 320,
      spec: {
        layer: [
          { data: { values }, encoding: { x, y },
            mark: { type: "point", filled: true, fill: OTHER_COLOURS.points, opacity: values.length > 60 ? 0.55 : 0.85, size: values.length > 60 ? 30 : 60, tooltip: { content: "data" }, aria: false } },
          ...(line.length ? [{ data: { values: line }, encoding: { x, y }, mark: { type: "line", stroke: OTHER_COLOURS.line, strokeWidth: 2.5, aria: false } }] : []),
        ],
      },
      legend: [
        { key: "points", name: t("aMeasuredDay"), colour: OTHER_COLOURS.points },
        ...(line.length ? [{ key: "line", name: t(fit.winter === "all" ? "lineOfAll" : "lineOfWinter", fit), colour: OTHER_COLOURS.line, line: "solid" }] : []),
      ],
      lines: ({ day, x: degrees, y: power }) => day && ({
        title: formats.longDay(day),
        rows: [[t("temperature"), formats.unit(degrees, "°C", 1)], [t("meanPower"), formats.unit(power, "GW", 1)]],
      }),
      summary: fit
        ? t("fitSummary", {
          slope: formats.unit(fit.mw_per_c, "MW", 0), n: formats.number(fit.n), base: formats.number(base), r2: formats.number(fit.r2, 2),
          interval: isAbsent(fit.mw_per_c_low) ? "–" : `${formats.number(fit.mw_per_c_low)} – ${formats.number(fit.mw_per_c_high)}`,
        })
        : t("noFit"),
      columns: [t("colDay"), `${t("temperature")} (°C)`, `${t("meanPower")} (GW)`],
      rows: values.map(({ day, x: degrees, y: power }) => [formats.day(day), formats.number(degrees, 1), formats.number(power, 2)]),
    };
  },
};
