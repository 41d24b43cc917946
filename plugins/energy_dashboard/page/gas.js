// The stock of gas beside the temperature, with the campaigns of storage behind them.

import { OTHER_COLOURS } from "./colours.js";
import { DAY_MS, dayMs, energyUnit, isAbsent } from "./format.js";
import { timeAxis } from "./ticks.js";
import { untilText } from "./tiles.js";

export const GAS_TEMPERATURE = {
  id: "gas", wide: true,
  title: ({ t }) => t("gasTemperature"),
  absent: ({ freshness }, { t, formats }) => t("noGas", Object.fromEntries(Object.entries({ gas: "stock-quotidien-stockages-gaz", temperature: "temperature-quotidienne-regionale" })
    .map(([key, name]) => [key, untilText(name, freshness.find(({ dataset }) => dataset === name)?.measured_until, formats)]))),
  build(model, context) {
    const { t, formats, theme, span, width, narrow } = context;
    const { days } = model;
    const stocks = days.filter(({ gas_stock_gwh: stock }) => !isAbsent(stock));
    const temperatures = days.filter(({ temperature_mean_c: temperature }) => !isAbsent(temperature));
    if (!stocks.length && !temperatures.length) return null;
    const unit = energyUnit(1000 * Math.max(...stocks.map((day) => day.gas_stock_gwh), 0));
    const stockText = (gwh) => formats.energy(isAbsent(gwh) ? null : gwh * 1000, false, unit);
    const degrees = (value) => formats.unit(value, "°C", 1);
    const [start, end] = [days[0].ms, days.at(-1).ms + DAY_MS];
    // A figure of a day stands in its middle. Absent ones stay in, as null: lines break there.
    const values = days.map(({ day, ms, gas_stock_gwh: stock, temperature_mean_c: temperature }) => ({
      day, at: ms + DAY_MS / 2, from: ms, to: ms + DAY_MS, stock: isAbsent(stock) ? null : (stock * 1000) / unit.size, temperature: temperature ?? null,
    }));
    const campaigns = model.data.campaigns.map(({ kind, start: first, end: last }) => ({ kind, name: t(kind), from: dayMs(first), to: dayMs(last) + DAY_MS }));
    const named = campaigns.filter(({ from, to }) => ((to - from) / (end - start)) * width > 90);
    const unknown = values.filter(({ stock, temperature }) => stock === null && temperature === null);
    const scale = { domain: [start, end], nice: false, zero: false };
    const axis = timeAxis(formats, start, end, width - 130);
    const x = { field: "at", type: "quantitative", scale, axis };
    const band = { x: { field: "from", type: "quantitative", scale, axis }, x2: { field: "to" }, y: { value: 0 }, y2: { value: "height" } };
    const few = values.length <= 40;
    const line = (field, colour, title, side, domain) => ({
      data: { values },
      mark: { type: "line", stroke: colour, strokeWidth: 2, strokeDash: field === "temperature" ? [5, 3] : [1, 0],
        point: few ? { filled: true, fill: colour, size: 36, shape: field === "temperature" ? "diamond" : "circle" } : false, aria: false },
      encoding: { x, y: { field, type: "quantitative", title, scale: domain,
        axis: { orient: side, grid: side === "left", tickCount: 5, format: ",~f" } } },
    });
    const low = temperatures.length ? Math.min(...temperatures.map((day) => day.temperature_mean_c)) : null;
    const high = temperatures.length ? Math.max(...temperatures.map((day) => day.temperature_mean_c)) : null;
    return {
      subtitle: formats.span(span.start, span.end), height: narrow ? 260 : 320,
      note: t("campaigns"),
      spec: {
        layer: [
          { data: { values: campaigns }, mark: { type: "rect", fill: theme.band, aria: false },
            encoding: { ...band, opacity: { condition: { test: "datum.kind === 'injection'", value: 0.16 }, value: 0.04 } } },
          { data: { values: named }, mark: { type: "text", align: "left", baseline: "bottom", dx: 4, dy: -4, color: theme.muted, aria: false },
            encoding: { x: band.x, y: { value: 0 }, text: { field: "name" } } },
          { data: { values: unknown }, mark: { type: "rect", fill: "url(#hatch)", opacity: 0.35, aria: false }, encoding: band },
          ...(stocks.length ? [line("stock", OTHER_COLOURS.stock, `${t("gasStock")} (${unit.name})`, "left", days.length > 1 ? { zero: false } : {})] : []),
          ...(temperatures.length ? [line("temperature", OTHER_COLOURS.temperature, `${t("temperature")} (°C)`, stocks.length ? "right" : "left", days.length > 1 ? { zero: false } : { domain: [low - 10, high + 10] })] : []),
          { data: { values }, params: [{ name: "pointedDay", select: { type: "point", on: "pointerover", clear: "pointerout", fields: ["day"] } }],
            mark: { type: "rect", fill: theme.ink, tooltip: { content: "data" }, aria: false },
            encoding: { ...band, opacity: { condition: { param: "pointedDay", empty: false, value: 0.12 }, value: 0 } } },
        ],
        resolve: { scale: { y: "independent" } },
      },
      legend: [
        { key: "stock", name: `${t("gasStock")} (${t("onTheLeft")})`, colour: OTHER_COLOURS.stock, line: "solid" },
        { key: "temperature", name: `${t("temperature")} (${t(stocks.length ? "onTheRight" : "onTheLeft")})`, colour: OTHER_COLOURS.temperature, line: "dashed" },
        ...(unknown.length ? [{ key: "hatch", name: t("bothAbsent"), colour: "hatch" }] : []),
      ],
      lines: ({ day }) => {
        const found = model.byDay.get(day);
        return found && { title: formats.longDay(day), rows: [
          [t("gasStock"), stockText(found.gas_stock_gwh), OTHER_COLOURS.stock], [t("fullness"), formats.percent(found.gas_fullness_pct)],
          [t("temperature"), degrees(found.temperature_mean_c), OTHER_COLOURS.temperature],
        ] };
      },
      summary: t("gasSummary", {
        first: stockText(stocks[0]?.gas_stock_gwh), firstDay: formats.day(stocks[0]?.day), last: stockText(stocks.at(-1)?.gas_stock_gwh), lastDay: formats.day(stocks.at(-1)?.day),
        low: degrees(low), high: degrees(high),
      }),
      columns: [t("colDay"), t("gasStock"), t("fullness"), t("temperature")],
      rows: days.map(({ day, gas_stock_gwh: stock, gas_fullness_pct: fullness, temperature_mean_c: temperature }) => [formats.day(day), stockText(stock), formats.percent(fullness), degrees(temperature)]),
    };
  },
};
