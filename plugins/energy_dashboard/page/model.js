// The data as the charts read them: rows made of the columns of docs/dashboard.md. What is absent stays null.

import { SOURCES } from "./colours.js";
import { DAY_MS, HOUR_MS, dayMs, isAbsent } from "./format.js";
import { productionOf, totalsOf } from "./mix.js";

/** Lengths of a period, in days, up to which its mix is shown by day and by week. */
const BY_DAY = 400;
const BY_WEEK = 2800;

const BLOCKS = ["freshness", "due", "totals", "exchanges", "temperature_categories", "campaigns", "thermosensitivity", "seasons", "fullness", "relationships"];

export function modelOf(payload) {
  const data = { ...payload, ...Object.fromEntries(BLOCKS.map((name) => [name, rowsOf(payload[name])])) };
  const days = rowsOf(data.daily).map(dayOf);
  const grain = data.hourly ? "hour" : days.length <= BY_DAY ? "day" : days.length <= BY_WEEK ? "week" : "month";
  return {
    data,
    days,
    byDay: new Map(days.map((day) => [day.day, day])),
    grain,
    steps: grain === "hour" ? rowsOf(data.hourly).map(hourOf) : grain === "day" ? days : groupsOf(days, grain),
    freshness: data.freshness.map((dataset) => ({ ...dataset, stale: isStale(dataset, Date.now()) })),
    overdue: data.due.filter(({ expected_by: due }) => !isAbsent(due) && Date.parse(due) < Date.now()),
  };
}

/** Rows of a block of columns. */
function rowsOf(block) {
  const names = Object.keys(block);
  return block[names[0]].map((_, index) => Object.fromEntries(names.map((name) => [name, block[name][index]])));
}

function sourcesOf(row) {
  return Object.fromEntries(SOURCES.map((source) => [source, row[`${source}_mwh`]]));
}

function dayOf(row) {
  return {
    ...row, ms: dayMs(row.day), from: dayMs(row.day), to: dayMs(row.day) + DAY_MS, lastDay: row.day,
    sources: sourcesOf(row), complete: row.electricity_is_complete,
  };
}

function hourOf(row) {
  const from = Date.parse(row.instant);
  const sources = sourcesOf(row);
  return { from, to: from + HOUR_MS, sources, complete: row.measured_minutes === 60 && productionOf(sources) !== null };
}

/** Weeks from Monday, or months, of the period: of its days alone, where it begins or ends within one. */
function groupsOf(days, grain) {
  const groups = new Map();
  for (const day of days) {
    const key = grain === "month" ? day.day.slice(0, 7) : Math.floor((day.ms / DAY_MS + 3) / 7);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(day);
  }
  return [...groups.values()].map((group) => ({
    day: group[0].day, lastDay: group.at(-1).day, from: group[0].from, to: group.at(-1).to,
    sources: totalsOf(group),
    complete: group.every(({ complete }) => complete),
  }));
}

/** Whether a dataset was not loaded for longer than it may be. */
function isStale({ loaded_at: loadedAt, stale_after_hours: hours }, now) {
  return isAbsent(loadedAt) || now - Date.parse(loadedAt) > hours * HOUR_MS;
}
