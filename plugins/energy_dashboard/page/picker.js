// The period: chosen in a form, written as the routes take it (docs/dashboard.md).

import { el, field, select } from "./dom.js";
import { DAY_MS, dayMs, isoDay } from "./format.js";
import { SEASONS } from "./seasons.js";

export const DEFAULT_PERIOD = "last-30";
const KINDS = { day: /^\d{4}-\d\d-\d\d$/, month: /^\d{4}-\d\d$/, year: /^\d{4}$/, season: /^\d{4}-[a-z]+$/, range: /^\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d$/ };
const LASTS = { "last-7": "last7", "last-30": "last30", "last-365": "last365" };

/** Which kind of period a text is; one that is none of them is left to the server to refuse. */
function kindOf(period) {
  return period in LASTS ? period : Object.keys(KINDS).find((kind) => KINDS[kind].test(period)) ?? null;
}

/** A period of a kind around a day. */
function periodAround(kind, day) {
  const [year, month] = day.split("-").map(Number);
  if (kind in LASTS) return kind;
  if (kind === "day") return day;
  if (kind === "month") return day.slice(0, 7);
  if (kind === "year") return day.slice(0, 4);
  if (kind === "season") return `${month === 12 ? year + 1 : year}-${SEASONS[Math.floor((month % 12) / 3)]}`;
  return `${isoDay(dayMs(day) - 29 * DAY_MS)}_${day}`;
}

/** The period before (`step` −1) or after (1) another, of the same kind and length. */
function neighbour({ name, start, end }, step) {
  const kind = kindOf(name);
  const [first, last] = [dayMs(start), dayMs(end)];
  const beside = isoDay(step > 0 ? last + DAY_MS : first - DAY_MS);
  if (kind in LASTS || kind === "range") {
    const shift = step * (last - first + DAY_MS);
    return `${isoDay(first + shift)}_${isoDay(last + shift)}`;
  }
  return periodAround(kind, beside);
}

/** Fill the form. `chosen` is called with a period's text. */
export function showPicker(form, { period, available }, { t, formats, wanted }, chosen) {
  const kind = kindOf(wanted) ?? DEFAULT_PERIOD;
  const anchor = period?.end ?? available?.last_day ?? isoDay(Date.now());
  // What is asked for beyond the data is answered by a banner; the lists go as far as the data and the choice do.
  const [firstYear, lastYear] = [available?.first_day ?? anchor, available?.last_day ?? anchor].map((day) => Number(day.slice(0, 4)));
  const own = Number(anchor.slice(0, 4));
  const years = [];
  for (let year = Math.max(lastYear + 1, own); year >= Math.min(firstYear, own); year -= 1) years.push(year);
  const parts = {
    day: () => [dateField(t("day"), period?.start ?? anchor, chosen)],
    month: () => monthFields(wanted, years, { t, formats }, chosen),
    year: () => [select(t("year"), yearChoices(years), ` ${wanted}`, (year) => chosen(year.trim()))],
    season: () => seasonFields(wanted, years, { t }, chosen),
    range: () => rangeFields(wanted, { t }, chosen),
  };
  const kinds = { ...Object.fromEntries(Object.entries(LASTS).map(([key, text]) => [key, t(text)])), ...Object.fromEntries(Object.keys(KINDS).map((key) => [key, t(key)])) };
  const move = (step, sign) => el("button", {
    type: "button", class: "button", "data-step": step, disabled: !period, "aria-label": t(step < 0 ? "earlier" : "later"), title: t(step < 0 ? "earlier" : "later"),
    onclick: () => chosen(neighbour(period, step)),
  }, sign);
  const focused = form.contains(document.activeElement) ? document.activeElement.dataset.step ?? document.activeElement.name : null;
  form.replaceChildren(
    select(t("period"), kinds, kind, (key) => chosen(periodAround(key, anchor))),
    ...(parts[kind]?.() ?? []),
    move(-1, "←"), move(1, "→"),
  );
  [...form.querySelectorAll("select, input")].forEach((control, index) => { control.name = `part-${index}`; });
  if (focused) (form.querySelector(`[data-step="${focused}"]`) ?? form.elements.namedItem(focused))?.focus();
}

function dateField(label, value, chosen) {
  return field(label, el("input", { type: "date", value, min: "2000-01-01", max: "2099-12-31", onchange: (event) => event.target.value && chosen(event.target.value) }));
}

function monthFields(wanted, years, { t, formats }, chosen) {
  const [year, month] = wanted.split("-");
  const months = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [` ${index + 1}`, formats.monthName(index + 1)]));
  const write = (someYear, someMonth) => chosen(`${someYear}-${String(someMonth).padStart(2, "0")}`);
  return [
    select(t("month"), months, ` ${Number(month)}`, (other) => write(year, Number(other))),
    select(t("year"), yearChoices(years), ` ${year}`, (other) => write(other.trim(), Number(month))),
  ];
}

function seasonFields(wanted, years, { t }, chosen) {
  const [year, season] = wanted.split("-");
  return [
    select(t("season"), Object.fromEntries(SEASONS.map((other) => [other, t(other)])), season, (other) => chosen(`${year}-${other}`)),
    select(t("year"), yearChoices(years), ` ${year}`, (other) => chosen(`${other.trim()}-${season}`)),
  ];
}

/** An object keeps keys that look like numbers in their order: a space keeps the years in ours. */
function yearChoices(years) {
  return Object.fromEntries(years.map((year) => [` ${year}`, String(year)]));
}

function rangeFields(wanted, { t }, chosen) {
  let [start, end] = wanted.split("_");
  const problem = el("span", { class: "problem", role: "alert" });
  const write = () => {
    problem.textContent = start > end ? t("badRange") : "";
    if (start <= end) chosen(`${start}_${end}`);
  };
  return [
    dateField(t("from"), start, (value) => { start = value; write(); }),
    dateField(t("to"), end, (value) => { end = value; write(); }),
    problem,
  ];
}
