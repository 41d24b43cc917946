// Where the marks of an axis of time stand, and what they say: by clocks and calendars of Paris, in the page's language.

import { DAY_MS, HOUR_MS, dayMs, isoDay, parisOffset } from "./format.js";

/** An axis of civil days (instants of midnight UTC) or, with `hours`, of instants; `width` in pixels. */
export function timeAxis(formats, start, end, width, hours = false) {
  const room = Math.max(2, Math.floor(width / 80));
  const days = (end - start) / DAY_MS;
  const ticks = days > 3 * 366 ? yearTicks(start, end, room, formats)
    : days > 75 ? monthTicks(start, end, room, formats)
    : hours && days <= 2.1 ? hourTicks(start, end, room, formats)
    : dayTicks(start, end, room, formats, hours);
  const labels = Object.fromEntries(ticks.map(({ at, text }) => [String(at), text]));
  return {
    values: ticks.map(({ at }) => at), labelExpr: `(${JSON.stringify(labels)})[toString(datum.value)]`,
    labelOverlap: "greedy", grid: false, title: null, tickCount: ticks.length,
  };
}

function stepFor(count, room, steps) {
  return steps.find((step) => count / step <= room) ?? steps.at(-1);
}

function hourTicks(start, end, room, formats) {
  const step = stepFor((end - start) / HOUR_MS, room, [1, 2, 3, 6, 12, 24]) * HOUR_MS;
  const ticks = [];
  const first = start + parisOffset(start) * 60_000;
  for (let wall = Math.ceil(first / step) * step; ; wall += step) {
    const at = wall - parisOffset(wall - parisOffset(start) * 60_000) * 60_000;
    if (at > end) return ticks;
    ticks.push({ at, text: formats.tick(at, wall % DAY_MS === 0 ? "day" : "hour") });
  }
}

function dayTicks(start, end, room, formats, hours) {
  const step = stepFor((end - start) / DAY_MS, room, [1, 2, 4, 7, 14, 28]);
  const ticks = [];
  const first = hours ? start + parisOffset(start) * 60_000 : start;
  for (let day = Math.ceil(first / DAY_MS) * DAY_MS; ; day += step * DAY_MS) {
    const at = hours ? day - parisOffset(day) * 60_000 : day;
    if (at > end) return ticks;
    ticks.push({ at, text: formats.tick(at, hours ? "day" : "date") });
  }
}

function monthTicks(start, end, room, formats) {
  const step = stepFor((end - start) / (30.4 * DAY_MS), room, [1, 2, 3, 6, 12]);
  const ticks = [];
  const [year, month] = isoDay(start).split("-").map(Number);
  for (let index = Math.ceil((year * 12 + month - 1) / step) * step; ; index += step) {
    const at = Date.UTC(Math.floor(index / 12), index % 12, 1);
    if (at > end) return ticks;
    if (at >= start) ticks.push({ at, text: formats.tick(at, "month") });
  }
}

function yearTicks(start, end, room, formats) {
  const first = Number(isoDay(start).slice(0, 4));
  const last = Number(isoDay(end).slice(0, 4));
  const step = stepFor(last - first, room, [1, 2, 5]);
  const ticks = [];
  for (let year = first; year <= last; year += step) {
    const at = dayMs(`${year}-01-01`);
    if (at >= start && at <= end) ticks.push({ at, text: formats.tick(at, "year") });
  }
  return ticks;
}
