// Commercial exchanges: by border, where exports go, and by how full gas storage is.

import { OTHER_COLOURS } from "./colours.js";
import { energyUnit, isAbsent } from "./format.js";
import { horizontalBars, labelsOf, sumOf, topOf } from "./mix.js";

const BORDERS = ["germany_belgium", "england", "italy", "spain", "switzerland"];

/** A column of the period's exchanges, by border. */
function byBorder(model, column) {
  return Object.fromEntries(model.data.exchanges.map((row) => [row.border, row[column]]));
}

export const BORDER_BALANCE = {
  id: "borders",
  title: ({ t }) => t("borders"),
  build(model, context) {
    const { t, formats, theme, span, width, narrow } = context;
    const [imports, exports, balances] = ["import_mwh", "export_mwh", "balance_mwh"].map((column) => byBorder(model, column));
    const borders = BORDERS.filter((border) => imports[border] !== null || exports[border] !== null);
    if (!borders.length) return null;
    const unit = energyUnit(Math.max(...borders.flatMap((border) => [imports[border] ?? 0, exports[border] ?? 0])));
    const write = (mwh, sign = false) => formats.energy(mwh, sign, unit);
    const size = (border) => (imports[border] ?? 0) + (exports[border] ?? 0);
    const order = [...borders].sort((a, b) => size(b) - size(a)).map((border) => t(border));
    const values = borders.flatMap((border) => [
      { border, name: t(border), way: "import", value: isAbsent(imports[border]) ? null : imports[border] / unit.size },
      { border, name: t(border), way: "export", value: isAbsent(exports[border]) ? null : -exports[border] / unit.size },
    ]);
    const marks = borders.map((border) => ({ border, name: t(border), value: isAbsent(balances[border]) ? null : balances[border] / unit.size }));
    const y = { field: "name", type: "nominal", sort: order, title: null, axis: { domain: false, ticks: false, labelColor: theme.ink, labelFontSize: 13, ...labelsOf(narrow) } };
    const x = { field: "value", type: "quantitative", title: `← ${t("export")} · ${t("import")} → (${unit.name})`, axis: { tickCount: narrow ? 4 : 6, labelExpr: "format(abs(datum.value), ',')" } };
    const [imported, exported] = [sumOf(Object.values(imports)), sumOf(Object.values(exports))];
    return {
      subtitle: formats.span(span.start, span.end), height: borders.length * 44 + 56,
      spec: {
        layer: [
          { data: { values }, mark: { type: "bar", height: { band: 0.62 }, tooltip: { content: "data" }, aria: false },
            encoding: { y, x, color: { field: "way", type: "nominal", legend: null, scale: { domain: ["import", "export"], range: [OTHER_COLOURS.import, OTHER_COLOURS.export] } } } },
          { mark: { type: "rule", color: theme.ink, aria: false }, encoding: { x: { datum: 0 } } },
          { data: { values: marks }, mark: { type: "point", shape: "diamond", filled: true, size: 80, fill: theme.ink, stroke: theme.surface, strokeWidth: 1.5, opacity: 1, tooltip: { content: "data" }, aria: false }, encoding: { y, x } },
        ],
      },
      legend: [
        { key: "import", name: t("import"), colour: OTHER_COLOURS.import }, { key: "export", name: t("export"), colour: OTHER_COLOURS.export },
        { key: "balance", name: t("balance"), colour: theme.ink, line: "diamond" },
      ],
      lines: ({ border }) => border && ({ title: t(border), rows: [
        [t("import"), write(imports[border]), OTHER_COLOURS.import], [t("export"), write(exports[border]), OTHER_COLOURS.export],
        [t("balance"), write(balances[border], true)],
      ] }),
      summary: t("bordersSummary", {
        imports: write(imported), exports: write(exported),
        balance: write(sumOf(Object.values(balances)), true),
      }),
      columns: [t("border"), t("import"), t("export"), t("balance")],
      rows: borders.map((border) => [t(border), write(imports[border]), write(exports[border]), write(balances[border], true)]),
    };
  },
};

export const DESTINATIONS = {
  id: "destinations",
  title: ({ t }) => t("destinations"),
  build(model, context) {
    const { t, formats, span } = context;
    const [exports, shares, topDays] = ["export_mwh", "export_share_pct", "top_days"].map((column) => byBorder(model, column));
    if (!sumOf(Object.values(exports))) return null;
    const order = BORDERS.filter((border) => !isAbsent(exports[border])).sort((a, b) => exports[b] - exports[a]);
    const unit = energyUnit(Math.max(...Object.values(exports)));
    const write = (mwh) => formats.energy(mwh, false, unit);
    const part = (border) => formats.percent(shares[border]);
    const values = order.map((border) => ({ border, name: t(border), value: shares[border], text: `${write(exports[border])} · ${part(border)}` }));
    const top = topOf(exports);
    return {
      subtitle: formats.span(span.start, span.end), height: order.length * 44 + 10,
      spec: horizontalBars(values, { ...context, order: order.map((border) => t(border)), colours: Object.fromEntries(order.map((border) => [t(border), OTHER_COLOURS.export])) }),
      legend: [],
      lines: ({ border }) => ({ title: t(border), rows: [[t("export"), write(exports[border])], [t("shareOfExports"), part(border)], [t("topDays"), formats.number(topDays[border])]] }),
      summary: t("destinationsSummary", { top: t(top), share: part(top), days: topDays[top] }),
      columns: [t("border"), t("export"), t("shareOfExports"), t("topDays")],
      rows: order.map((border) => [t(border), write(exports[border]), part(border), formats.number(topDays[border])]),
    };
  },
};

export const FULLNESS = {
  id: "fullness", wide: true,
  title: ({ t }) => t("fullnessChart"),
  controls: ({ t }) => [
    { key: "fullnessMethod", label: "method", values: { raw: t("raw"), deseasonalised: t("deseasonalised") } },
    { key: "fullnessGroups", label: "groups", values: { tercile: t("tercile"), decile: t("decile") } },
    { key: "fullnessBorder", label: "border", list: true, values: Object.fromEntries(["all", ...BORDERS].map((border) => [border, t(border)])) },
  ],
  absent: (_, { t }) => t("noData"),
  build(model, context) {
    const { t, formats, theme, choices, narrow } = context;
    const rows = model.data.fullness
      .filter((row) => row.method === choices.fullnessMethod && row.group_type === choices.fullnessGroups && row.border === choices.fullnessBorder)
      .sort((a, b) => a.group_number - b.group_number);
    if (!rows.length) return null;
    const anomaly = choices.fullnessMethod === "deseasonalised";
    const unit = energyUnit(Math.max(...rows.flatMap((row) => [Math.abs(row.import_mwh), Math.abs(row.export_mwh)])));
    const many = rows.length > 3;
    const label = (row) => `${formats.number(row.fullness_low_pct, anomaly ? 1 : 0, anomaly)} – ${formats.number(row.fullness_high_pct, anomaly ? 1 : 0, anomaly)}${anomaly ? "" : "\u202f%"}`;
    const names = rows.map((row) => (many && narrow ? String(row.group_number) : many ? [formats.number(row.fullness_low_pct, 0, anomaly), `– ${formats.number(row.fullness_high_pct, 0, anomaly)}`] : label(row)));
    const values = rows.flatMap((row) => ["import", "export"].map((way) => ({ group: row.group_number, way, value: row[`${way}_mwh`] / unit.size })));
    const labels = Object.fromEntries(rows.map((row, index) => [String(row.group_number), names[index]]));
    const [emptiest, fullest] = [rows[0], rows.at(-1)];
    return {
      subtitle: t("fullnessWhole"), height: 280,
      spec: {
        data: { values },
        layer: [
          { mark: { type: "bar", tooltip: { content: "data" }, cornerRadiusEnd: 2, aria: false },
            encoding: {
              x: { field: "group", type: "ordinal", title: anomaly ? t("anomalyAxis") : t("fullnessAxis"), axis: { labelAngle: 0, domain: false, ticks: false, labelExpr: `(${JSON.stringify(labels)})[toString(datum.value)]` }, scale: { paddingInner: 0.25 } },
              xOffset: { field: "way", sort: ["import", "export"] },
              y: { field: "value", type: "quantitative", title: `${unit.name} ${t("aDay")}`, axis: { tickCount: 5, format: ",~f" } },
              color: { field: "way", type: "nominal", legend: null, scale: { domain: ["import", "export"], range: [OTHER_COLOURS.import, OTHER_COLOURS.export] } },
            } },
          { data: { values: [{}] }, mark: { type: "rule", color: theme.axis, aria: false }, encoding: { y: { datum: 0 } } },
        ],
      },
      legend: [{ key: "import", name: t("import"), colour: OTHER_COLOURS.import }, { key: "export", name: t("export"), colour: OTHER_COLOURS.export }],
      lines: ({ group }) => {
        const row = rows.find((each) => each.group_number === group);
        return row && { title: `${t("group")} ${group}${t("colon")}${label(row)}`, rows: [
          [t("import"), formats.energy(row.import_mwh, anomaly), OTHER_COLOURS.import], [t("export"), formats.energy(row.export_mwh, anomaly), OTHER_COLOURS.export],
          [t("balance"), formats.energy(row.balance_mwh, true)], [t("days"), formats.number(row.n)],
        ] };
      },
      summary: t(anomaly ? "anomalySummary" : "fullnessSummary", {
        emptyVolume: formats.energy(emptiest.volume_mwh, anomaly), fullVolume: formats.energy(fullest.volume_mwh, anomaly),
      }),
      columns: [t("group"), t("fullnessAxis"), t("days"), t("import"), t("export"), t("balance")],
      rows: rows.map((row) => [formats.number(row.group_number), label(row), formats.number(row.n), formats.energy(row.import_mwh, anomaly), formats.energy(row.export_mwh, anomaly), formats.energy(row.balance_mwh, true)]),
    };
  },
};
