// What the mix is in each season: means over the complete years that the warehouse knows.

import { RENEWABLE, SOURCE_COLOURS, SOURCES } from "./colours.js";
import { isAbsent } from "./format.js";
import { sumOf } from "./mix.js";

export const SEASONS = ["winter", "spring", "summer", "autumn"];

export const SEASON_MIX = {
  id: "seasons",
  title: ({ t }) => t("seasonMix"),
  absent: (_, { t }) => t("noSeasons"),
  build(model, context) {
    const { t, formats, theme, narrow } = context;
    const rows = model.data.seasons;
    if (!rows.length) return null;
    const of = (season, source) => rows.find((row) => row.season === season && row.source === source);
    const seasons = SEASONS.filter((season) => rows.some((row) => row.season === season));
    const values = seasons.flatMap((season) => {
      let below = 0;
      return SOURCES.filter((source) => !isAbsent(of(season, source)?.share_mean_pct)).map((source) => {
        const from = below;
        below += of(season, source).share_mean_pct;
        return { season, name: t(season), source, from, to: below };
      });
    });
    const [{ first_year: first, last_year: last }] = rows;
    const item = (season) => t("seasonItem", {
      season: t(season), nuclear: formats.percent(of(season, "nuclear")?.share_mean_pct),
      renewable: formats.percent(sumOf(RENEWABLE.map((source) => of(season, source)?.share_mean_pct))),
    });
    return {
      subtitle: t("seasonYears", { first, last }), height: 280,
      spec: {
        data: { values },
        mark: { type: "bar", width: { band: 0.72 }, stroke: theme.surface, strokeWidth: 0.75, tooltip: { content: "data" }, aria: false },
        encoding: {
          x: { field: "name", type: "nominal", sort: seasons.map((season) => t(season)), title: null, axis: { labelAngle: 0, domain: false, ticks: false, labelColor: theme.ink, labelFontSize: narrow ? 11 : 13 } },
          y: { field: "from", type: "quantitative", title: t("relative"), scale: { domain: [0, 100] }, axis: { tickCount: 5 } },
          y2: { field: "to" },
          color: { field: "source", type: "nominal", legend: null, scale: { domain: SOURCES, range: SOURCES.map((source) => SOURCE_COLOURS[source]) } },
        },
      },
      legend: SOURCES.map((source) => ({ key: source, name: t(source), colour: SOURCE_COLOURS[source] })),
      lines: ({ season, source }) => {
        const row = of(season, source);
        return { title: `${t(season)} · ${t(source)}`, rows: [
          [t("mean"), formats.percent(row.share_mean_pct), SOURCE_COLOURS[source]], [t("deviation"), isAbsent(row.share_stddev_pct) ? formats.percent(null) : `${formats.number(row.share_stddev_pct, 1)} ${t("points")}`],
          [t("lowest"), formats.percent(row.share_min_pct)], [t("highest"), formats.percent(row.share_max_pct)],
        ] };
      },
      summary: t("seasonSummary", { list: seasons.map(item).join(t("between")) }),
      columns: [t("season"), t("sourceColumn"), t("mean"), t("deviation"), t("lowest"), t("highest")],
      rows: seasons.flatMap((season) => SOURCES.filter((source) => of(season, source)).map((source) => {
        const row = of(season, source);
        return [t(season), t(source), formats.percent(row.share_mean_pct), formats.number(row.share_stddev_pct, 1), formats.percent(row.share_min_pct), formats.percent(row.share_max_pct)];
      })),
    };
  },
};
