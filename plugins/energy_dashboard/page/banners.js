// What must be known before a figure is read: that data are made up, absent, partial or late, or could not be read.

import { el } from "./dom.js";
import { isAbsent } from "./format.js";
import { untilText } from "./tiles.js";

export function bannersOf(model, { t, formats }) {
  const { data } = model;
  const { coverage, available } = data;
  const banners = [];
  if (data.sample) banners.push(banner("sample", t("sampleBanner")));
  if (isAbsent(available.first_day)) banners.push(banner("bad", t("nothingBanner")));
  else if (coverage.state === "empty") {
    banners.push(banner("bad", t("emptyBanner", { first: formats.day(available.first_day), last: formats.day(available.last_day) })));
  } else if (coverage.state === "partial") banners.push(banner("partial", t("partialBanner", { what: missing(coverage, t, formats) }) + (coverage.electricity_complete_days < coverage.days ? t("hatchedDays") : "")));
  const late = model.freshness.filter(({ stale, loaded_at: loaded }) => stale && !isAbsent(loaded));
  if (late.length) {
    banners.push(banner("late", t("staleBanner", {
      which: late.map(({ dataset, measured_until: until }) => t("staleItem", { name: t(dataset), until: untilText(dataset, until, formats) })).join(", "),
    })));
  }
  if (model.overdue.length) {
    banners.push(banner("overdue", t("overdueBanner", {
      which: model.overdue.map(({ name, succeeded_at: at }) => t(isAbsent(at) ? "overdueNever" : "overdueItem", { name, at: isAbsent(at) ? "" : formats.instant(Date.parse(at)) })).join(", "),
    })));
  }
  return banners;
}

function missing({ days, electricity_complete_days: electricity, gas_days: gas, temperature_days: temperature }, t, formats) {
  return Object.entries({ electricityDays: electricity, gasDays: gas, temperatureDays: temperature })
    .filter(([, there]) => there < days)
    .map(([key, there]) => t(key, { n: formats.number(there), all: formats.number(days) }))
    .join(", ");
}

/** `why` in the page's language, and a button that tries again. */
export function errorBanner(why, { t }, again) {
  return banner("bad", t("errorBanner", { why }), el("button", { type: "button", class: "button", onclick: again }, t("retry")));
}

function banner(kind, text, ...others) {
  return el("p", { class: `banner ${kind}`, "data-banner": kind }, el("span", {}, text), ...others);
}
