// Numbers, dates and units as a language writes them. Whatever is absent is a dash: never a zero.

const LOCALES = { fr: "fr-FR", en: "en-GB" };
const PARIS = "Europe/Paris";
const ABSENT = "–";
export const DAY_MS = 86_400_000;
export const HOUR_MS = DAY_MS / 24;

/** The instant at which a civil day stands on an axis of days: midnight UTC. */
export function dayMs(iso) {
  return Date.parse(`${iso}T00:00:00Z`);
}

/** The civil day of such an instant. */
export function isoDay(ms) {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Minutes by which clocks in Paris are ahead of UTC at an instant. */
export function parisOffset(ms) {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: PARIS, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  }).formatToParts(ms);
  const part = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  const wall = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute);
  return Math.round((wall - Math.floor(ms / 60_000) * 60_000) / 60_000);
}

export function isAbsent(value) {
  return value === null || value === undefined || Number.isNaN(value);
}

/** Unit in which energies up to `mwh` are read best: `name`, MWh in one of it, decimals. */
export function energyUnit(mwh) {
  const [name, size] = Math.abs(mwh) >= 1e7 ? ["TWh", 1e6] : Math.abs(mwh) >= 1e3 ? ["GWh", 1e3] : ["MWh", 1];
  const figure = Math.abs(mwh) / size;
  return { name, size, digits: size === 1 || figure >= 1000 ? 0 : figure >= 100 ? 1 : 2 };
}

/** What writes figures in a language. */
export function formatsOf(lang) {
  const locale = LOCALES[lang];
  const kept = new Map();
  const numbers = (options) => {
    const key = JSON.stringify(options);
    if (!kept.has(key)) kept.set(key, new Intl.NumberFormat(locale, options));
    return kept.get(key);
  };
  const dates = (options) => {
    const key = `d${JSON.stringify(options)}`;
    if (!kept.has(key)) kept.set(key, new Intl.DateTimeFormat(locale, options));
    return kept.get(key);
  };
  const number = (value, digits = 0, sign = false) => {
    if (isAbsent(value)) return ABSENT;
    const rounded = Number(value.toFixed(digits)) || 0; // no minus before a zero
    return numbers({
      minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: sign ? "exceptZero" : "auto",
    }).format(rounded).replace("-", "−");
  };
  const unit = (value, name, digits, sign) => (isAbsent(value) ? ABSENT : `${number(value, digits, sign)}\u00a0${name}`);
  const percent = (value, digits = 1, sign = false) => {
    if (isAbsent(value)) return ABSENT;
    return lang === "fr" ? `${number(value, digits, sign)}\u202f%` : `${number(value, digits, sign)}%`;
  };
  // In a unit of its own, or in that of a chart.
  const energy = (mwh, sign = false, { name, size, digits } = energyUnit(mwh)) => (isAbsent(mwh) ? ABSENT : unit(mwh / size, name, digits, sign));
  const utc = { timeZone: "UTC" };
  const day = (iso) => (iso ? dates({ ...utc, day: "numeric", month: "short", year: "numeric" }).format(dayMs(iso)) : ABSENT);
  return {
    number, unit, percent, energy, day,
    longDay: (iso) => dates({ ...utc, weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(dayMs(iso)),
    month: (iso) => dates({ ...utc, month: "long", year: "numeric" }).format(dayMs(iso)),
    monthName: (number_) => dates({ ...utc, month: "long" }).format(Date.UTC(2024, number_ - 1, 1)),
    instant: (ms) => (isAbsent(ms) ? ABSENT : dates({ timeZone: PARIS, day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(ms)),
    hour: (ms) => dates({ timeZone: PARIS, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(ms),
    span: (start, end) => (start === end ? day(start) : `${day(start)} – ${day(end)}`),
    tick: (ms, kind) => {
      const options = {
        hour: { timeZone: PARIS, hour: "2-digit", minute: "2-digit" },
        day: { timeZone: PARIS, day: "numeric", month: "short" },
        date: { ...utc, day: "numeric", month: "short" },
        month: { ...utc, month: "short", year: "2-digit" },
        year: { ...utc, year: "numeric" },
      };
      return dates(options[kind]).format(ms);
    },
    // What the charts' library writes numbers on its axes with.
    d3: lang === "fr"
      ? { decimal: ",", thousands: "\u202f", grouping: [3], currency: ["", "\u00a0€"] }
      : { decimal: ".", thousands: ",", grouping: [3], currency: ["£", ""] },
    collator: new Intl.Collator(locale),
  };
}
