// Machines as things to manage: what people call them, their next profile, and what can be asked of one or of many.

import { h } from "./dom.js";
import { count, figure } from "./words.js";

export const TITLES = {
  relearn: "Learn anew", take_new: "Take the new profile", keep_old: "Keep the old profile", budget: "Set the budget",
  rename: "Rename", suppress: "Suppress", unsuppress: "Unsuppress", forget: "Forget",
};
export const EXPLAINED = {
  relearn: "A new profile is learnt from its next rows, beside the old one, which watches until both were compared. It takes over where it is no worse.",
  take_new: "It is watched by the new profile from now on. The old one is kept and can be had back.",
  keep_old: "The new profile is given up, and the old one watches.",
  budget: "So many false alarms a week are accepted of it. Empty: as the configuration says.",
  rename: "What people call it. Topics, metrics and files go by its own name. Empty: as the configuration says.",
  suppress: "For maintenance: it is worked on, and nobody is called. It is still watched.",
  unsuppress: "The work is done: people are called for it again.",
  forget: "Its profile, named faults, alarms and history go for good. If it still sends, it is learnt afresh.",
};
const DECISIONS = { relearn: "begin", take_new: "take_new", keep_old: "keep_old" };
const DURATIONS = [["", "Until the work is done"], ["3600", "1 hour"], ["28800", "8 hours"]];
const STAGES = { gathering: "Gathering rows", learning: "All rows are here, being learnt",
  comparing: "Being compared with the old profile", waiting: "Waits for you", failed: "Not learnt" };

// What people call a machine, with its own name behind.
export function called(machine) {
  return machine.display_name ? [machine.display_name, h("span", { class: "quiet" }, ` ${machine.name}`)] : machine.name;
}

export function placeLine(machine) {
  return [machine.type, machine.location, machine.notes].filter(Boolean).join(" · ");
}

// In few words, for the list.
export function nextNote(machine) {
  const next = machine.next;
  if (!next || next.stage === "failed") return null;
  const what = next.new.length > 0 ? `new channel${next.new.length > 1 ? "s" : ""} ${next.new.join(", ")}` : "learnt anew";
  if (next.stage === "waiting") return "a new profile waits for you";
  return `${what}: ${Math.floor(100 * next.rows / Math.max(next.rows_wanted, 1))} %`;
}

export function nextCard(machine, doc) {
  const next = machine.next;
  const may = doc.commands.includes("relearn");
  const button = (name, kind) => may && h("button", { type: "button", class: kind, "data-do": name, "data-machine": machine.name }, TITLES[name]);
  if (!next) {
    return machine.previous && h("section", { class: "card", "aria-label": "Next profile" },
      h("p", { class: "quiet" }, "It was learnt anew; the profile before is kept."), may && h("div", { class: "actions" }, button("keep_old", "")));
  }
  const learnt = next.stage === "comparing" || next.stage === "waiting";
  return h("section", { class: "card", "aria-label": "Next profile" },
    h("div", { class: "row" }, h("h2", null, next.why === "asked" ? "Next profile" : "New channels"), h("span", { class: "tag" }, STAGES[next.stage])),
    next.new.length > 0 && h("p", null, "Heard, and not watched yet: ", h("strong", null, next.new.join(", "))),
    next.stage !== "failed" && h("p", null, `${count(next.rows)} of ${count(next.rows_wanted)} ${learnt ? "windows" : "rows"}. `,
      "The old profile watches meanwhile."),
    next.paused && h("p", { class: "warn" }, "An alarm is open: its rows are left out."),
    next.told && h("p", null, next.stage === "waiting" ? `The new profile is ${next.told}.` : next.told),
    next.by && h("p", { class: "quiet" }, `Asked for by ${next.by}.`),
    may && next.stage !== "failed" && h("div", { class: "actions" },
      learnt && button("take_new", next.stage === "waiting" ? "main" : ""), button("keep_old", "")));
}

export function manageSection(machine, doc) {
  const offered = ["relearn", "rename", "budget", machine.suppressed ? "unsuppress" : "suppress", !machine.shelved && "shelve", "forget"];
  const buttons = offered.filter((name) => name && doc.commands.includes(name)).map((name) => h("button",
    { type: "button", "data-do": name, "data-machine": machine.name }, TITLES[name] ?? "Shelve"));
  return buttons.length > 0 && h("section", { class: "card", "aria-label": "Manage" },
    h("h2", null, "Manage"), h("div", { class: "actions" }, buttons));
}

// -- many at a time ------------------------------------------------------------------------------------------

const isPattern = (text) => /[*?/]/.test(text);

// As the agent reads it: a pattern of names, after a place and a slash. What is no pattern is looked for anywhere.
export function matches(machine, text) {
  if (!isPattern(text)) return `${machine.name} ${machine.display_name}`.toLowerCase().includes(text.toLowerCase());
  const cut = text.lastIndexOf("/");
  const like = (pattern) => new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`, "su");
  const place = text.slice(0, Math.max(cut, 0));
  return like(text.slice(cut + 1)).test(machine.name)
    && (cut < 0 || like(place).test(machine.location) || like(`*/${place}`).test(machine.location));
}

export function manyActions(text, shown, doc) {
  if (!isPattern(text) || text.includes("[") || shown.length === 0) return null;
  const buttons = ["relearn", "budget", "suppress", "unsuppress", "shelve", "unshelve", "forget"]
    .filter((name) => doc.commands.includes(name))
    .map((name) => h("button", { type: "button", "data-do": name, "data-machine": text }, TITLES[name] ?? `${name[0].toUpperCase()}${name.slice(1)}`));
  return buttons.length > 0 && h("section", { class: "card", "aria-label": "Manage many" },
    h("p", null, h("strong", null, text), ` means ${count(shown.length)} machine${shown.length === 1 ? "" : "s"}:`),
    h("div", { class: "actions" }, buttons));
}

// -- dialogs -------------------------------------------------------------------------------------------------

export function fieldsOf(name, target, doc, field) {
  const machine = doc?.machine;
  if (name === "relearn") return check("force", "The machine is fine, whatever its alarms say: learn their rows, too");
  if (name === "budget") {
    return field("False alarms a week", { name: "per_week", type: "number", min: "0.01", max: "10000", step: "any",
      value: machine?.budget ? figure(machine.budget.per_week) : "" });
  }
  if (name === "rename") return field("What people call it", { name: "name", maxlength: 120, value: machine?.display_name ?? "" });
  if (name === "suppress") {
    return h("fieldset", null, h("legend", null, "For how long"), DURATIONS.map(([seconds, word], at) =>
      h("label", { class: "radio" }, h("input", { type: "radio", name: "for_s", value: seconds, checked: at === 0 }), word)));
  }
  return name === "forget" && field(`To confirm, type ${target.machine}`, { name: "confirm", required: true, maxlength: 120 });
}

function check(name, words) {
  return h("label", { class: "radio" }, h("input", { type: "checkbox", name, value: "yes" }), words);
}

// The command and its fields, or what is wrong with what was typed.
export function commandOf(name, target, values) {
  if (name in DECISIONS) return { command: "relearn", fields: { decision: DECISIONS[name], force: values.force === "yes" } };
  if (name === "budget") return { command: name, fields: { per_week: values.per_week ? Number(values.per_week) : null } };
  if (name === "rename") return { command: name, fields: { name: values.name.trim() } };
  if (name === "suppress") return { command: name, fields: values.for_s ? { for_s: Number(values.for_s) } : {} };
  if (name === "forget") {
    return values.confirm.trim() === target.machine ? { command: name, fields: { confirm: true } }
      : { problem: `This is not ${target.machine}.` };
  }
  return { command: name, fields: {} };
}
