// What a machine does that was never learnt and is no fault: something to confirm, not to act on.

import { h } from "./dom.js";
import { between, clock } from "./words.js";

export function noticeCards(notices, doc, { titled }) {
  return notices.map((notice) => noticeCard(notice, doc, titled));
}

// What is normal because somebody said so, with the way back.
export function acceptedList(accepted, doc) {
  return h("ul", { class: "past" }, accepted.map((entry) => h("li", { class: "card", "data-key": entry.alarm },
    h("p", null, h("strong", null, entry.fault), `${entry.channel && ` (${entry.channel})`} is normal, said ${entry.by}, ${clock(entry.time, doc.time)}`),
    doc.commands.includes("accept") && h("div", { class: "actions" },
      h("button", { type: "button", "data-do": "undo", "data-alarm": entry.alarm, "data-machine": doc.machine.name }, "Undo")))));
}

function noticeCard(notice, doc, titled) {
  const seen = notice.lifecycle.acknowledged;
  const button = (name, word, kind) => doc.commands.includes(name)
    && h("button", { type: "button", class: kind, "data-do": name, "data-alarm": notice.id, "data-machine": notice.machine }, word);
  const buttons = [button("accept", "This is normal", "main"), !seen && button("ack", "Acknowledge", "")].filter(Boolean);
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
