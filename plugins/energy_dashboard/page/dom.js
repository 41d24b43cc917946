// Elements made of text and nothing else: no text of the data is ever read as HTML.

/** An element with properties (`on…` are listeners, `class`, `data-…`, `aria-…` and other attributes) and children. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export function svgEl(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** One of several choices, as buttons of which one is pressed. `chosen` is called with a choice's key. */
export function choice(label, choices, current, chosen) {
  const buttons = Object.entries(choices).map(([key, text]) =>
    el("button", {
      type: "button", "data-choice": key, "aria-pressed": String(key === current),
      onclick: () => {
        for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.choice === key));
        chosen(key);
      },
    }, text));
  return el("div", { class: "switch", role: "group", "aria-label": label }, buttons);
}

let fields = 0;

/** A control and what it is called. */
export function field(label, control) {
  fields += 1;
  control.id = `field-${fields}`;
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control);
}

/** A labelled list to choose from. */
export function select(label, choices, current, chosen) {
  const options = Object.entries(choices).map(([key, text]) => el("option", { value: key, selected: key === current }, text));
  return field(label, el("select", { onchange: (event) => chosen(event.target.value) }, options));
}
