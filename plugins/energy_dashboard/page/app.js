// The page: takes its data from a route or from itself, shows them, and shows them again when something is chosen.

import { readAddress, seenWindow, writeAddress } from "./address.js";
import { answersOf, methodsOf } from "./answers.js";
import { bannersOf, errorBanner } from "./banners.js";
import { SOURCES, THEMES } from "./colours.js";
import { choice, el } from "./dom.js";
import { openTab } from "./download.js";
import { hatchPattern } from "./draw.js";
import { BORDER_BALANCE, DESTINATIONS, FULLNESS } from "./exchanges.js";
import { Figure } from "./figure.js";
import { formatsOf } from "./format.js";
import { GAS_TEMPERATURE } from "./gas.js";
import { LINKS } from "./links.js";
import { MIX, TOTALS } from "./mix.js";
import { modelOf } from "./model.js";
import { DEFAULT_PERIOD, showPicker } from "./picker.js";
import { tableOf } from "./rows.js";
import { SEASON_MIX } from "./seasons.js";
import { SCATTER, TEMPERATURE_DAYS } from "./temperature.js";
import { LANGUAGES, textsOf } from "./texts.js";
import { followTheme } from "./theme.js";
import { freshnessOf, tilesOf } from "./tiles.js";

/** Milliseconds after which an answer is no longer waited for: more than the server waits for the warehouse. */
const PATIENCE = 60_000;

/** Of the shape of the data that this page reads. */
const VERSION = 1;

const SECTIONS = {
  sectionMix: [MIX, TOTALS, SEASON_MIX],
  sectionGas: [GAS_TEMPERATURE],
  sectionExchanges: [BORDER_BALANCE, DESTINATIONS, FULLNESS],
  sectionTemperature: [TEMPERATURE_DAYS, SCATTER],
};

/** What of the page's state stands in the address. */
const KEPT = ["period", "lang", "shape", "hide"];

const embedded = document.getElementById("energy-data");
const state = {
  period: DEFAULT_PERIOD, lang: ownLanguage(), theme: THEMES.light, data: null, figures: [], turn: 0,
  choices: {
    shape: "absolute", hide: [], fullnessMethod: "raw", fullnessGroups: "tercile", fullnessBorder: "all", linksQuestion: "q3",
    search: "", sort: "day", descending: true,
  },
};

/** The language that Airflow's UI was set to on this host, else the browser's. */
function ownLanguage() {
  const chosen = document.body.dataset.url ? localStorage.getItem("i18nextLng") : null;
  return (chosen ?? navigator.language).startsWith("fr") ? "fr" : "en";
}

function readState() {
  const { period, lang, shape, hide } = readAddress();
  if (period) state.period = period;
  if (LANGUAGES.includes(lang)) state.lang = lang;
  if (shape === "relative") state.choices.shape = shape;
  if (hide) state.choices.hide = hide.split(",").filter((source) => SOURCES.includes(source));
}

function keepState() {
  const { period, lang, choices: { shape, hide } } = state;
  writeAddress({
    ...(embedded ? {} : { period }), lang,
    ...(shape === "relative" ? { shape } : {}), ...(hide.length ? { hide: hide.join(",") } : {}),
  }, KEPT);
}

function context() {
  const { lang, theme, choices, data } = state;
  const [t, formats] = [textsOf(lang), formatsOf(lang)];
  return {
    lang, t, formats, theme, choices, wanted: state.period,
    span: data && { start: data.period.start, end: data.period.end },
    footer: data && [
      data.sample ? t("sampleMark") : null, t("source"), t("dataOf", { at: formats.instant(Date.parse(data.generated_at)) }),
    ].filter(Boolean).join(" · "),
    choose: (key, value) => { choices[key] = value; keepState(); },
  };
}

async function load() {
  const turn = ++state.turn;
  const { t } = context();
  keepState();
  showPicker(document.getElementById("picker"), { period: state.data?.period, available: state.data?.available }, context(), choosePeriod);
  const main = document.getElementById("content");
  main.setAttribute("aria-busy", "true");
  if (!state.data) main.replaceChildren(el("p", { class: "nothing" }, t("loading")));
  try {
    const data = embedded ? JSON.parse(embedded.textContent) : await fetched(state.period);
    if (turn !== state.turn) return;
    state.data = data;
    await show();
  } catch (error) {
    if (turn !== state.turn) return;
    fail(error instanceof Unread ? error : unread("errorPage"));
    if (!(error instanceof Unread)) throw error;
  }
}

/** That the data could not be read, with the reason in both languages. */
class Unread extends Error {
  constructor(texts) {
    super(texts.en);
    this.texts = texts;
  }
}

function unread(key, values) {
  return new Unread(Object.fromEntries(LANGUAGES.map((lang) => [lang, textsOf(lang)(key, values)])));
}

async function fetched(period) {
  let answer;
  let body;
  try {
    answer = await fetch(`${document.body.dataset.url}?${new URLSearchParams({ period })}`, { signal: AbortSignal.timeout(PATIENCE) });
    body = await answer.json();
  } catch (error) {
    if (error.name === "TimeoutError") throw unread("errorTime");
    if (answer && !answer.ok) throw unread("errorStatus", { status: answer.status });
    throw unread("errorNetwork");
  }
  if (answer.status === 401) throw unread("errorLogin");
  if (body.error) throw new Unread({ fr: body.error.message_fr, en: body.error.message_en });
  if (!answer.ok) throw unread("errorStatus", { status: answer.status });
  if (body.version !== VERSION) throw unread("errorVersion");
  return body;
}

/** Say why there are no data, and show none: what was there before is of another period. */
function fail(error) {
  state.data = null;
  state.figures.forEach((figure) => figure.finish());
  state.figures = [];
  document.getElementById("banners").replaceChildren(errorBanner(error.texts[state.lang], context(), load));
  document.getElementById("contents").replaceChildren();
  document.getElementById("span").textContent = "";
  const main = document.getElementById("content");
  main.replaceChildren();
  main.setAttribute("aria-busy", "false");
}

async function show() {
  const around = context();
  const { t } = around;
  const model = modelOf(state.data);
  document.getElementById("span").textContent = spanText(state.data.period, around);
  document.getElementById("foot").textContent = around.footer;
  document.getElementById("banners").replaceChildren(...bannersOf(model, around));
  if (embedded) document.getElementById("picker").hidden = true;
  else showPicker(document.getElementById("picker"), { period: state.data.period, available: state.data.available }, around, choosePeriod);
  document.getElementById("content").setAttribute("aria-busy", "true");
  state.figures.forEach((figure) => figure.finish());
  const figures = Object.fromEntries([...Object.values(SECTIONS).flat(), LINKS].map((chart) => [chart.id, new Figure(chart, around)]));
  state.figures = Object.values(figures);
  const heading = (key) => el("h2", { id: key }, t(key));
  const main = document.getElementById("content");
  main.replaceChildren(
    tilesOf(model, around), freshnessOf(model, around),
    ...Object.entries(SECTIONS).map(([key, charts]) => el("section", { "aria-labelledby": key }, heading(key),
      el("div", { class: "grid" }, charts.map((chart) => figures[chart.id].element)))),
    el("section", { "aria-labelledby": "sectionAnswers" }, heading("sectionAnswers"), el("p", { class: "subtitle" }, t("wholeHistory")),
      answersOf(model, around), el("div", { class: "grid after" }, figures.links.element, methodsOf(around))),
    el("section", { "aria-labelledby": "sectionTable" }, heading("sectionTable"), tableOf(model, around)),
  );
  document.getElementById("contents").replaceChildren(...[...Object.keys(SECTIONS), "sectionAnswers", "sectionTable"].map((key) =>
    el("a", { href: `#${key}` }, t(key))));
  for (const figure of Object.values(figures)) {
    await figure.show(model);
    if (figures.mix !== state.figures[0]) return; // all is shown anew since
  }
  main.setAttribute("aria-busy", "false");
}

function spanText({ kind, start, end }, { t, formats, wanted }) {
  if (kind === "day") return formats.longDay(start);
  if (kind === "month") return formats.month(start);
  if (kind === "season") return `${t(wanted.split("-")[1])} ${wanted.split("-")[0]} · ${formats.span(start, end)}`;
  return formats.span(start, end);
}

function choosePeriod(period) {
  state.period = period;
  load();
}

/** What stands outside of the data, in the page's language. */
function showFrame() {
  const { t, lang } = context();
  document.documentElement.lang = lang;
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  const held = document.getElementById("language").contains(document.activeElement);
  const buttons = choice(t("language"), Object.fromEntries(LANGUAGES.map((other) => [other, t(other)])), lang, chooseLanguage);
  for (const button of buttons.children) button.lang = button.dataset.choice;
  document.getElementById("language").replaceChildren(buttons);
  if (held) document.querySelector(`#language [data-choice="${lang}"]`).focus();
}

function chooseLanguage(lang) {
  state.lang = lang;
  keepState();
  showFrame();
  if (state.data) show();
  else load();
}

function showTheme(dark) {
  state.theme = dark ? THEMES.dark : THEMES.light;
  document.getElementById("patterns").replaceChildren(hatchPattern(state.theme));
  if (state.data) show();
}

/** Charts are as wide as their places: drawn again when those change. */
function followWidth() {
  let width = window.innerWidth;
  let waiting = null;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (window.innerWidth === width || !state.data) return;
      width = window.innerWidth;
      for (const figure of state.figures) figure.show(figure.model);
    }, 150);
  });
}

function start() {
  readState();
  showFrame();
  followTheme(showTheme);
  followWidth();
  const ownTab = document.getElementById("own-tab");
  ownTab.hidden = seenWindow() === window;
  ownTab.addEventListener("click", (event) => {
    event.preventDefault();
    openTab(`${location.pathname}${seenWindow().location.search}`);
  });
  ownTab.href = location.pathname;
  load();
}

start();
