// The header: six figures with their change on the same period a year before, and how fresh each source is.

import { el } from "./dom.js";
import { isAbsent } from "./format.js";

/** Figures of the header: their field, how they are written, and what their change is. */
function figuresOf({ t, formats }) {
  const relative = ({ difference_pct: pct }) => (isAbsent(pct) ? null : formats.percent(pct, 1, true));
  return {
    consumption: { field: "consumption_mwh", write: formats.energy, change: relative },
    production: { field: "production_mwh", write: formats.energy, change: relative },
    co2: { field: "co2_g_per_kwh", write: (value) => formats.unit(value, "g/kWh", 1), change: relative, aside: "co2Note" },
    netExchange: {
      field: "physical_exchange_mwh", write: (value) => formats.energy(value, true), change: ({ difference }) => formats.energy(difference, true),
      aside: "netExchangeNote",
    },
    temperature: { field: "temperature_mean_c", write: (value) => formats.unit(value, "°C", 1), change: ({ difference }) => formats.unit(difference, "°C", 1, true) },
    fullness: {
      field: "gas_fullness_pct", write: formats.percent, aside: "fullnessNote",
      change: ({ difference }) => `${formats.number(difference, 1, true)}\u00a0${t("points")}`,
    },
  };
}

export function tilesOf(model, context) {
  const { t } = context;
  return el("section", { "aria-labelledby": "key-figures" },
    el("h2", { id: "key-figures", class: "for-readers" }, t("keyFigures")),
    el("ul", { class: "tiles" }, Object.entries(figuresOf(context)).map(([name, figure]) => tile(name, figure, model, context))));
}

function tile(name, { field, write, change, aside }, { data }, { t, formats }) {
  const { value, days, change: compared } = data.header[field];
  const changed = compared === null ? null : change(compared);
  const notes = [
    aside && !isAbsent(value) ? t(aside) : null,
    // A stock is of one day by its nature.
    !isAbsent(value) && name !== "fullness" && days < data.period.days ? t("partialTile", { n: formats.number(days), all: formats.number(data.period.days) }) : null,
  ].filter(Boolean);
  return el("li", { class: "card tile", "data-tile": name },
    el("h3", {}, t(name)),
    el("p", { class: "value" }, ...split(write(value))),
    el("p", { class: "change" }, isAbsent(value) ? t("noData") : changed === null ? t("noYearBefore")
      // What was compared is not always all that the figure is of.
      : compared.days === days ? t("yearBefore", { change: changed, value: write(compared.previous) })
      : t("yearBeforeOf", { change: changed, n: formats.number(compared.days) })),
    notes.length ? el("p", { class: "aside" }, notes.join(" · ")) : null);
}

/** A figure, and its unit in smaller letters. */
function split(text) {
  const [, figure, unit] = /^(.*?)([\u00a0\u202f]?[A-Za-z%°][^\d]*)?$/.exec(text);
  return [figure, unit ? el("small", {}, unit) : null];
}

export function freshnessOf(model, { t, formats }) {
  const instant = (text) => formats.instant(Date.parse(text));
  return el("section", { "aria-labelledby": "freshness" },
    el("h2", { id: "freshness", class: "freshness-head" }, t("freshness")),
    el("ul", { class: "freshness" }, model.freshness.map(({ dataset, measured_until: until, loaded_at: loaded, stale }) => el("li", { "data-dataset": dataset },
      el("b", {}, t(dataset)), t("colon"),
      isAbsent(loaded) ? t("neverLoaded") : `${t("until", { until: untilText(dataset, until, formats) })}, ${t("loadedAt", { at: instant(loaded) })}`,
      stale && !isAbsent(loaded) ? el("span", { class: "late" }, ` (${t("late")})`) : ""))));
}

/** The end of the measures: an instant of electricity, a day of the others. */
export function untilText(dataset, until, formats) {
  if (isAbsent(until)) return formats.instant(null);
  return dataset.startsWith("eco2mix") ? formats.instant(Date.parse(until)) : formats.day(until.slice(0, 10));
}
