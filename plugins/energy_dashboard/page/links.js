// How sure the links behind the answers are: each correlation beyond the season with its interval.

import { OTHER_COLOURS, SOURCES } from "./colours.js";
import { isAbsent } from "./format.js";

const QUESTIONS = ["2", "3", "4", "6"];

/** What a column of the marts is called on the page. */
function seriesName(column, t) {
  const [, way, border] = /^(import|export)_(.+)_mwh$/.exec(column) ?? [];
  if (border) return t(way === "import" ? "importFrom" : "exportTo", { place: t(border) });
  const bare = column.replace(/_mwh$/, "");
  return t(SOURCES.includes(bare) || bare === "consumption" ? bare : column);
}

export const LINKS = {
  id: "links", wide: true,
  title: ({ t }) => t("links"),
  controls: ({ t }) => [{ key: "linksQuestion", label: "question", list: true, values: Object.fromEntries(QUESTIONS.map((question) => [`q${question}`, t(`linksOf${question}`)])) }],
  absent: (_, { t }) => t("noAnswers"),
  build(model, context) {
    const { t, formats, theme, choices, narrow } = context;
    const rows = model.data.relationships
      .filter(({ question, method, r }) => `q${question}` === choices.linksQuestion && method === "deseasonalised" && !isAbsent(r))
      .map((row) => ({ ...row, name: seriesName(row.y, t), clear: !isAbsent(row.r_low) && (row.r_low > 0 || row.r_high < 0) }))
      .sort((a, b) => Math.abs(b.r) - Math.abs(a.r));
    if (!rows.length) return null;
    const order = rows.map(({ name }) => name);
    const colour = { field: "clear", type: "nominal", legend: null, scale: { domain: [true, false], range: [OTHER_COLOURS.export, OTHER_COLOURS.average] } };
    const y = { field: "name", type: "nominal", sort: order, title: null, axis: { domain: false, ticks: false, labelColor: theme.ink, labelFontSize: narrow ? 12 : 13, labelLimit: narrow ? 120 : 220, grid: false } };
    const x = { type: "quantitative", title: t("linksAxis"), scale: { domain: [-1, 1], nice: false }, axis: { tickCount: 5, format: "+.1f" } };
    const r = (value) => formats.number(value, 2, true);
    const interval = (row) => (isAbsent(row.r_low) ? formats.number(null) : `${r(row.r_low)} – ${r(row.r_high)}`);
    const clear = rows.filter((row) => row.clear).map((row) => `${row.name} ${r(row.r)}`);
    return {
      subtitle: t("wholeHistory"), height: rows.length * 28 + 60,
      spec: {
        data: { values: rows },
        layer: [
          { data: { values: [{}] }, mark: { type: "rule", color: theme.ink, aria: false }, encoding: { x: { datum: 0, ...x } } },
          { mark: { type: "rule", strokeWidth: 3, strokeCap: "round", tooltip: { content: "data" }, aria: false }, encoding: { y, x: { field: "r_low", ...x }, x2: { field: "r_high" }, color: colour } },
          { mark: { type: "point", filled: true, size: 90, opacity: 1, tooltip: { content: "data" }, aria: false }, encoding: { y, x: { field: "r", ...x }, color: colour } },
        ],
      },
      legend: [
        { key: "clear", name: t("clearLink"), colour: OTHER_COLOURS.export },
        { key: "unclear", name: t("unclearLink"), colour: OTHER_COLOURS.average },
      ],
      lines: (row) => row.name && ({ title: row.name, rows: [["r", r(row.r)], [t("interval"), interval(row)], [t("effectiveDays"), `${formats.number(row.n)} (${formats.number(row.n_effective)})`]] }),
      summary: t("linksSummary", { clear: clear.length ? clear.join(", ") : t("noneClear") }),
      columns: [t("series"), "r", t("interval"), t("effectiveDays")],
      rows: rows.map((row) => [row.name, r(row.r), interval(row), `${formats.number(row.n)} (${formats.number(row.n_effective)})`]),
    };
  },
};
