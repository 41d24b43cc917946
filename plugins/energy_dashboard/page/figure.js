// One chart on the page: title, controls, legend, drawing, its data as a table, its picture.

import { choice, el, select } from "./dom.js";
import { save } from "./download.js";
import { draw } from "./draw.js";
import { pictureOf } from "./picture.js";
import { hideTip, swatch } from "./tip.js";

/**
 * A chart is `{id, wide?, title, controls?, absent?, build}`; `build(model, context)` gives null where there is nothing to
 * show, else `{subtitle, spec, height, legend, lines, summary, note?, facts?, columns, rows}`. `context` has texts, formats,
 * theme, width and the choices made in `controls`.
 */
export class Figure {
  constructor(chart, surroundings) {
    this.chart = chart;
    this.around = surroundings;
    this.view = null;
    this.turn = 0;
    const { t } = surroundings;
    const title = chart.title(surroundings);
    this.title = el("h3", { id: `${chart.id}-title` }, title);
    this.subtitle = el("p", { class: "subtitle" });
    this.plot = el("div", { class: "plot", role: "img" });
    this.summary = el("p", { class: "summary", id: `${chart.id}-summary` });
    this.note = el("p", { class: "note" });
    this.legend = el("div", { class: "legend" });
    this.facts = el("dl", { class: "facts" });
    this.table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("asTable") + t("colon") + title });
    this.details = el("details", { ontoggle: () => this.fillTable() }, el("summary", {}, t("asTable")), this.table);
    this.picture = el("button", {
      type: "button", class: "button quiet", "aria-label": t("pictureOf", { title }),
      onclick: () => this.download().catch(() => { this.note.textContent = t("pictureFailed"); }),
    }, t("picture"));
    this.element = el("figure", { id: chart.id, class: `card ${chart.wide ? "wide" : ""}`, "aria-labelledby": this.title.id },
      el("div", { class: "card-head" }, el("div", {}, this.title, this.subtitle), this.picture),
      this.controls(), this.facts, this.legend, this.plot, this.note, this.summary, this.details);
  }

  controls() {
    const { t, choices } = this.around;
    const made = (this.chart.controls?.(this.around) ?? []).map(({ key, label, values, list }) =>
      (list ? select : choice)(t(label), values, choices[key], (value) => this.choose(key, value)));
    return made.length ? el("div", { class: "controls" }, made) : null;
  }

  choose(key, value) {
    this.around.choose(key, value);
    this.show(this.model);
  }

  /** Draw `model`; of two calls that overlap the later one counts. */
  async show(model) {
    this.model = model;
    const { t } = this.around;
    const turn = ++this.turn;
    const width = Math.floor(this.plot.getBoundingClientRect().width);
    const built = this.built = this.chart.build(model, { ...this.around, width, narrow: width < 520 });
    this.subtitle.textContent = built?.subtitle ?? "";
    this.picture.hidden = this.details.hidden = this.legend.hidden = !built;
    this.summary.textContent = built ? built.summary : "";
    this.note.textContent = built?.note ?? "";
    this.facts.hidden = !built?.facts;
    this.facts.replaceChildren(...(built?.facts ?? []).map(([label, value, aside]) =>
      el("div", {}, el("dt", {}, label), el("dd", {}, value, el("small", {}, aside)))));
    if (!built) {
      this.finish();
      this.plot.removeAttribute("role");
      this.plot.removeAttribute("aria-label");
      this.plot.replaceChildren(el("p", { class: "nothing" }, this.chart.absent?.(model, this.around) ?? t("noDataFor")));
      return;
    }
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", `${this.title.textContent}. ${built.summary}`);
    this.drawLegend(built.legend);
    this.fillTable();
    const host = el("div");
    const view = await draw(host, built.spec, { ...this.around, width, height: built.height, lines: built.lines });
    if (turn !== this.turn) {
      view.finalize();
      return;
    }
    this.finish();
    this.view = view;
    this.plot.replaceChildren(host);
  }

  drawLegend(legend) {
    const { t } = this.around;
    const marks = legend.map(({ key, name, colour, line, shown, toggle }) => (toggle
      ? el("button", { type: "button", "aria-pressed": String(shown), "data-series": key, onclick: () => { toggle(); this.show(this.model); } },
        swatch(colour), name)
      : el("span", { class: "mark" }, swatch(colour, line), name)));
    const focused = document.activeElement?.dataset?.series;
    const held = this.legend.contains(document.activeElement);
    this.legend.replaceChildren(...marks);
    if (legend.some(({ toggle }) => toggle)) {
      this.legend.setAttribute("role", "group");
      this.legend.setAttribute("aria-label", t("legend"));
    }
    if (held) this.legend.querySelector(`[data-series="${focused}"]`)?.focus();
  }

  /** The table is made when somebody opens it. */
  fillTable() {
    if (!this.details.open || !this.built) return;
    const { columns, rows } = this.built;
    this.table.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col" }, column)))),
      el("tbody", {}, rows.map(([first, ...others]) =>
        el("tr", {}, el("th", { scope: "row" }, first), others.map((text) => el("td", {}, text)))))));
  }

  async download() {
    const { theme, footer, span } = this.around;
    const { subtitle, legend } = this.built;
    const shown = legend.filter((entry) => entry.shown !== false);
    const blob = await pictureOf(this.plot.querySelector("svg"), { theme, title: this.title.textContent, subtitle, legend: shown, footer });
    save(blob, `${this.chart.id}-${span.start}-${span.end}.png`);
  }

  /** End what the drawing keeps alive. */
  finish() {
    hideTip();
    this.view?.finalize();
    this.view = null;
  }
}
