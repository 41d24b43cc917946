// What a chart says of the place under the pointer.

import { el } from "./dom.js";

const MARGIN = 12;

/** What the charts' library calls: `lines(datum)` gives the tip's title and rows `[label, value, colour]`, or nothing. */
export function tipHandler(lines) {
  return (_, event, item, value) => {
    const content = value === null || value === undefined || value === "" ? null : lines(item.datum);
    if (!content) hideTip();
    else showTip(content, event);
  };
}

export function hideTip() {
  document.getElementById("tip").hidden = true;
}

function showTip({ title, rows }, event) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(
    el("strong", {}, title),
    el("dl", {}, rows.map(([label, value, colour]) => [
      el("dt", {}, colour ? swatch(colour) : null, label), el("dd", {}, value),
    ])),
  );
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = event.clientX + MARGIN + width > document.documentElement.clientWidth ? event.clientX - MARGIN - width : event.clientX + MARGIN;
  const top = event.clientY + MARGIN + height > window.innerHeight ? event.clientY - MARGIN - height : event.clientY + MARGIN;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

/** A small mark of a colour: a square, or a `solid` or `dashed` line, or a `diamond`. */
export function swatch(colour, shape = "") {
  const mark = el("span", { class: `swatch ${shape}`, "aria-hidden": "true" });
  if (colour === "hatch") mark.classList.add("hatch");
  else mark.style.setProperty("--colour", colour);
  return mark;
}
