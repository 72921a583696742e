// What is wrong with sensors: not the machine's behaviour, but what is heard of it.

import { h } from "./dom.js";
import { beside, between, clock, range } from "./words.js";

export function findingsCard(findings, doc, { titled }) {
  return h("ul", { class: "findings" }, findings.map((finding) => findingItem(finding, doc, titled)));
}

function findingItem(finding, doc, titled) {
  const [channel] = finding.channels;
  const seen = finding.lifecycle.acknowledged;
  return h("li", { "data-key": finding.id },
    titled && h("a", { class: "name", href: `#/machine/${encodeURIComponent(finding.machine)}` }, finding.machine),
    h("p", null, finding.summary),
    h("p", { class: "quiet" }, `Since ${clock(finding.onset, doc.time)}, for ${between(finding.onset, finding.latest)}`
      + (finding.channels.length === 1 && channel.observed !== null
        ? ` · ${beside(channel.observed, channel.normal_low, channel.normal_high)}, usually ${range(channel.normal_low, channel.normal_high)}`
        : "")),
    seen && h("p", { class: "standing" }, `Acknowledged by ${seen.by}${seen.comment ? `: ${seen.comment}` : ""}`),
    !seen && doc.commands.includes("ack") && h("div", { class: "actions" },
      h("button", { type: "button", "data-do": "ack", "data-alarm": finding.id, "data-machine": finding.machine }, "Acknowledge")));
}
