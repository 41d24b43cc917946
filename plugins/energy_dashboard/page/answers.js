// The six questions, what the marts answer, and how each answer is made.

import { el } from "./dom.js";

export function answersOf(model, { t, formats, lang }) {
  if (!model.data.answers.length) return el("p", { class: "nothing" }, t("noAnswers"));
  const text = (answer, name) => answer[lang][name];
  return el("div", { class: "answers" }, model.data.answers.map((answer) => el("article", { class: "card answer", id: `answer-${answer.question}` },
    el("h3", {}, el("span", { class: "number", "aria-hidden": "true" }, String(answer.question)), el("span", {}, text(answer, "question"))),
    el("p", {}, text(answer, "answer")),
    text(answer, "figures") ? el("p", { class: "figures" }, el("strong", {}, t("figures") + t("colon")), text(answer, "figures")) : null,
    el("p", { class: "caveat" }, el("strong", {}, t("caveat") + t("colon")), text(answer, "caveat")),
    el("p", { class: "period" },
      answer.period_start ? `${formats.span(answer.period_start, answer.period_end)} · ` : "",
      el("a", { href: `#method-${answer.question}`, onclick: () => { document.getElementById("methods").open = true; } }, t("howMade"))))));
}

export function methodsOf({ t }) {
  return el("details", { id: "methods", class: "card methods" }, el("summary", {}, t("methods")),
    [1, 2, 3, 4, 5, 6].map((question) => [
      el("h4", { id: `method-${question}`, tabindex: "-1" }, `${question}. ${t(`methodTitle${question}`)}`),
      el("p", {}, t(`method${question}`)),
    ]));
}
