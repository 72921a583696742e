// What a machine does that was never learnt and is no fault: something to confirm, not to act on.

import { h } from "./dom.js";
import { between, clock } from "./words.js";

export function noticeCards(notices, doc, { titled }) {
  return notices.map((notice) => noticeCard(notice, doc, titled));
}

function noticeCard(notice, doc, titled) {
  const seen = notice.lifecycle.acknowledged;
  const button = (name, word, kind) => doc.commands.includes(name)
    && h("button", { type: "button", class: kind, "data-do": name, "data-alarm": notice.id, "data-machine": notice.machine }, word);
  const buttons = [!seen && button("ack", "Acknowledge", "")].filter(Boolean);
  return h("article", { class: "card notice", "data-key": notice.id },
    h("header", { class: "row" },
      h(titled ? "h2" : "h3", null, titled
        ? h("a", { href: `#/machine/${encodeURIComponent(notice.machine)}` }, notice.machine) : "Notice"),
      h("span", { class: "tag" }, "notice")),
    h("p", null, notice.summary),
    h("p", { class: "quiet" }, `Since ${clock(notice.onset, doc.time)}, for ${between(notice.onset, notice.latest)}.`),
    seen && h("p", { class: "standing" }, `Acknowledged by ${seen.by}${seen.comment ? `: ${seen.comment}` : ""}`),
    buttons.length > 0 && h("div", { class: "actions" }, buttons));
}
