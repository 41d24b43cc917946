// The days as a table that is sorted, searched and kept as CSV.

import { SOURCES } from "./colours.js";
import { el, field } from "./dom.js";
import { csvOf, save } from "./download.js";
import { isAbsent } from "./format.js";

/** Columns: how each is read off a day, written on the page, and named in the CSV, which has figures as they are. */
function columnsOf({ t, formats }) {
  const energy = (key, label, read, csv) => ({ key, label, read, write: (value) => formats.number(isAbsent(value) ? null : value / 1000, 1), csv, unit: "GWh" });
  return [
    { key: "day", label: t("colDay"), read: (day) => day.day, write: formats.day, csv: "day" },
    energy("consumption", t("consumption"), (day) => day.consumption_mwh, "consumption_mwh"),
    ...SOURCES.map((source) => energy(source, t(source), (day) => day.sources[source], `${source}_mwh`)),
    energy("imports", t("import"), (day) => day.commercial_import_mwh, "commercial_import_mwh"),
    energy("exports", t("export"), (day) => day.commercial_export_mwh, "commercial_export_mwh"),
    { key: "co2", label: t("co2"), unit: "g/kWh", read: (day) => day.co2_g_per_kwh, write: (value) => formats.number(value, 1), csv: "co2_g_per_kwh" },
    { key: "stock", label: t("gasStock"), unit: "GWh", read: (day) => day.gas_stock_gwh, write: (value) => formats.number(value), csv: "gas_stock_gwh" },
    { key: "temperature", label: t("temperature"), unit: "°C", read: (day) => day.temperature_mean_c, write: (value) => formats.number(value, 1), csv: "temperature_mean_c" },
    { key: "category", label: t("category"), read: (day) => day.temperature_category, write: (value) => (value ? t(value) : formats.number(null)), csv: "temperature_category" },
    { key: "topSource", label: t("topSource"), read: (day) => day.top_source, write: (value) => (value ? t(value) : formats.number(null)), csv: "top_source" },
    { key: "topExport", label: t("topDestination"), read: (day) => day.top_export_destination, write: (value) => (value ? t(value) : formats.number(null)), csv: "top_export_destination" },
    { key: "complete", label: t("colComplete"), read: (day) => day.complete, write: (value) => t(value ? "yes" : "no"), csv: "electricity_is_complete" },
  ];
}

/** Letters without accents or case, as people search. */
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** The section's content. `context.choices` keeps what is searched for and sorted by. */
export function tableOf(model, context) {
  const { t, formats, choices, span } = context;
  const columns = columnsOf(context);
  const written = model.days.map((day) => ({ day, cells: columns.map(({ read, write }) => write(read(day))) }));
  // Days and words are searched for, not figures.
  for (const row of written) row.plain = plain(`${row.day.day} ${row.cells.filter((_, index) => !columns[index].unit).join(" ")}`);
  const count = el("p", { class: "subtitle", id: "rows-count", role: "status" });
  const head = el("tr");
  const body = el("tbody");

  const found = () => {
    const wanted = plain(choices.search.trim());
    const { read } = columns.find(({ key }) => key === choices.sort) ?? columns[0];
    const direction = choices.descending ? -1 : 1;
    return written.filter((row) => row.plain.includes(wanted)).sort((one, other) => {
      const [a, b] = [read(one.day), read(other.day)];
      // What is absent comes last, whichever the order.
      if (isAbsent(a) || isAbsent(b)) return isAbsent(a) - isAbsent(b);
      return direction * (typeof a === "string" ? formats.collator.compare(a, b) : a - b);
    });
  };
  const fill = () => {
    const rows = found();
    count.textContent = t("rowsShown", { n: formats.number(rows.length), all: formats.number(written.length) });
    head.replaceChildren(...columns.map(({ key, label, unit }) => el("th", {
      scope: "col", "aria-sort": key !== choices.sort ? null : choices.descending ? "descending" : "ascending",
    }, el("button", { type: "button", "data-sort": key, title: t("sortBy", { column: label }), onclick: () => sortBy(key) }, unit ? `${label} (${unit})` : label))));
    body.replaceChildren(...rows.map(({ day, cells: [first, ...others] }) => el("tr", { class: day.complete ? null : "incomplete" },
      el("th", { scope: "row" }, first), others.map((text) => el("td", {}, text)))));
  };
  const sortBy = (key) => {
    choices.descending = choices.sort === key ? !choices.descending : false;
    choices.sort = key;
    fill();
    head.querySelector(`[data-sort="${key}"]`).focus();
  };
  const search = el("input", { type: "search", value: choices.search, placeholder: t("searchHint"), oninput: (event) => { choices.search = event.target.value; fill(); } });
  const download = () => save(csvOf(columns.map(({ csv }) => csv), found().map(({ day }) => columns.map(({ read }) => read(day)))), `energy-${span.start}-${span.end}.csv`);
  fill();
  return el("div", { class: "card" },
    el("div", { class: "tools-row" }, field(t("search"), search), count,
      el("button", { type: "button", class: "button", id: "csv", onclick: download }, t("csv"))),
    el("div", { class: "scroll", id: "rows", tabindex: "0", role: "region", "aria-label": t("tableOfDays") },
      el("table", {}, el("thead", {}, head), body)));
}
