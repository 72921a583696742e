// The past: how a machine did before, what closed, and one incident with all that is kept of it.

import { bar, channelChart, scoreChart } from "./charts.js";
import { h } from "./dom.js";
import { beside, between, clock, count, range, score } from "./words.js";

const SPANS = [["near", "10 min"], ["day", "24 h"], ["week", "7 days"], ["month", "30 days"]];
const EARLIER = { near: "Same time yesterday", day: "Same time yesterday", week: "The week before" };
const link = (name) => `#/machine/${encodeURIComponent(name)}`;
const DEEDS = {
  opened: "the alarm was raised", latched: "back to normal, not acknowledged", closed: "back to normal", reopened: "it came back",
  unsettled: "quiet, and not over", returned: "it came back",
  released: "no longer held back", suppressed: "suppressed", unsuppressed: "no longer suppressed", restarted: "the agent was restarted",
  superseded: "another alarm took its place", recommissioned: "the machine was learnt afresh", handed_over: "another agent took over",
  ack: "acknowledged", label: "named", accept: "said to be normal", unaccept: "said not to be normal after all",
  accepted: "accepted", shelve: "shelved", unshelve: "no longer shelved", suppress: "suppressed", unsuppress: "no longer suppressed",
  recommission: "learnt afresh",
};

// -- a machine's score -----------------------------------------------------------------------------------------

// What the machine page asks for beside the machine itself; null: nothing.
export function wantedCurve({ span, earlier }) {
  return span !== "near" || earlier ? span : null;
}

export function scoreSection(doc, { span, earlier, curve, width }) {
  const machine = doc.machine;
  const known = curve?.span === span ? curve : null;
  const before = earlier && known?.before ? shifted(known, known.before) : null;
  const chosen = span === "near" ? doc.near : known?.kept ? points(known) : span === "day" ? doc.far : { times: [], scores: [] };
  const stretch = span === "near" ? 3 : known?.stretch_s ?? 300;
  return [
    h("div", { class: "choice", role: "group", "aria-label": "Time shown" }, SPANS.map(([name, word]) =>
      h("button", { type: "button", "data-span": name, "aria-pressed": String(name === span) }, word))),
    span !== "near" && !known ? h("p", { class: "quiet" }, "Loading …")
      : scoreChart(chosen, { width, stretch, threshold: machine.threshold, now: doc.time, before,
        from: known && span !== "near" ? known.from : undefined }),
    EARLIER[span] && h("label", { class: "check" },
      h("input", { type: "checkbox", id: "earlier", checked: earlier }),
      h("span", { class: "key before" }, EARLIER[span])),
    earlier && known?.kept && EARLIER[span] && !before && h("p", { class: "quiet" }, "Nothing is kept of that time."),
    known && !known.kept && h("p", { class: "warn" }, `Only what is remembered since the start: ${known.why}.`),
  ];
}

const points = ({ start, scores, stretch_s: stretch }) => ({ times: scores.map((_, at) => start + at * stretch), scores });

function shifted({ stretch_s: stretch, earlier_s: earlier }, { start, scores }) {
  if (scores.every((value) => value === null)) return null;
  return { times: scores.map((_, at) => start + earlier + at * stretch), scores, stretch };
}

// A channel's mean between its extremes, in the time that was chosen; null where nothing is kept of it.
export function pastChannel(channel, { span, curve }) {
  const known = span !== "near" && curve?.span === span ? curve.channels?.[channel.name] : null;
  if (!known || known.mean.every((value) => value === null)) return null;
  return channelChart({ ...channel, rows: known.mean, lows: known.low, highs: known.high, expected: null });
}

// -- what closed -----------------------------------------------------------------------------------------------

export function history(doc) {
  return [
    h("h1", null, "History"),
    h("p", { class: "quiet" }, doc.history_count > doc.history.length
      ? `The latest ${doc.history.length} of ${count(doc.history_count)} alarms that closed.` : "Alarms that closed, the latest first."),
    doc.history_note && h("p", { class: "warn" }, doc.history_note),
    h("p", null, h("a", { class: "download", href: "api/incidents.csv", download: "incidents.csv" }, "Download as CSV")),
    pastList(doc.history, doc, { named: true }),
  ];
}

export function pastList(list, doc, { named }) {
  if (list.length === 0) return h("p", { class: "quiet" }, "None that closed.");
  return h("ul", { class: "past" }, list.map((past) => h("li", { class: "card", "data-key": past.id },
    h("div", { class: "row" },
      named ? h("a", { class: "name", href: link(past.machine) }, past.machine) : h("strong", null, clock(past.onset, doc.time)),
      h("span", { class: `tag ${past.severity}` }, past.severity)),
    lasted(past, doc, named),
    past.summary && !past.finding && h("p", null, past.summary),
    past.comment && h("p", null, past.comment),
    past.finding && h("p", null, past.severity === "notice" || past.finding.startsWith("source:") ? past.finding : `sensor ${past.finding}`),
    past.fault && h("p", null, "It was ", h("strong", null, past.fault)),
    past.kept && h("p", null, h("a", { href: `#/incident/${encodeURIComponent(past.id)}` }, "What was seen, and who did what ›")),
    naming(past, doc))));
}

function lasted(past, doc, named) {
  return h("p", { class: "quiet" }, [
    named && clock(past.onset, doc.time), `lasted ${between(past.onset, past.closed)}`,
    past.reopened > 0 && `came back ${past.reopened === 1 ? "once" : `${count(past.reopened)} times`}`,
    past.peak && !past.finding && `at worst ${score(past.peak)}`,
    past.acknowledged_by ? `acknowledged by ${past.acknowledged_by}` : "not acknowledged",
  ].filter(Boolean).join(" · "));
}

function naming(past, doc) {
  return !past.finding && doc.commands.includes("label") && h("div", { class: "actions" },
    h("button", { type: "button", "data-do": "label", "data-alarm": past.id, "data-machine": past.machine },
      past.fault ? "Rename the fault" : "Name the fault"));
}

// What looked like this before: the answer to "last time this happened".
export function alikeSection(alike, doc, { machine }) {
  if (!alike?.length) return null;
  return h("section", { class: "card alike", "aria-label": "Last time this happened" },
    h("h2", null, "Last time this happened"),
    h("ul", { class: "findings" }, alike.map((past) => h("li", { "data-key": past.id },
      h("div", { class: "row" },
        h("a", { href: `#/incident/${encodeURIComponent(past.id)}` },
          `${past.machine === machine ? "" : `${past.machine}, `}${clock(past.onset, doc.time)}`),
        h("span", { class: "quiet" }, `${Math.round(past.likeness * 100)} % alike`)),
      h("p", null, past.fault ? ["It was ", h("strong", null, past.fault), "."] : "Nobody has said what it was.",
        ` It lasted ${between(past.onset, past.closed)}.`),
      past.comment && h("p", { class: "standing" }, past.comment)))));
}

// -- one incident ----------------------------------------------------------------------------------------------

export function incidentPage(doc, { width }) {
  const told = doc.incident;
  return [
    h("p", { class: "back" }, h("a", { href: link(told.machine) }, `‹ ${told.machine}`)),
    h("div", { class: "row title" }, h("h1", null, clock(told.onset, doc.time)), h("span", { class: `tag ${told.severity}` }, told.severity)),
    h("section", { class: "card" },
      h("p", null, told.summary || told.finding),
      lasted(told, doc, false),
      told.fault && h("p", null, "It was ", h("strong", null, told.fault)),
      naming(told, doc)),
    told.curve && h("section", { class: "card", "aria-label": "Score" }, h("h2", null, "Score"),
      scoreChart(told.curve, { width, stretch: told.curve.stretch_s, threshold: 1, now: doc.time })),
    told.channels.length > 0 && h("section", { class: "card", "aria-label": "Channels" },
      h("h2", null, "When it was at its worst"), h("ul", { class: "evidence" }, told.channels.map(evidence))),
    told.window && [h("h2", null, `What was measured until ${clock(told.window.time, doc.time)}`),
      h("ul", { class: "channels" }, told.window.channels.map((channel) => windowItem(channel, told.channels)))],
    alikeSection(doc.alike, doc, { machine: told.machine }),
    told.actions.length > 0 && h("section", { class: "card", "aria-label": "Who did what" }, h("h2", null, "Who did what"),
      h("ul", { class: "findings" }, told.actions.map((deed) => h("li", null,
        h("p", null, h("span", { class: "quiet" }, `${clock(deed.time, doc.time)} `), deed.by && [h("strong", null, deed.by), ": "],
          DEEDS[deed.what] ?? deed.what, deed.fault && [" ", h("strong", null, deed.fault)]),
        deed.comment && h("p", { class: "standing" }, deed.comment))))),
  ];
}

function evidence(channel) {
  return h("li", null,
    h("div", { class: "row" }, h("strong", { class: "name" }, channel.name), h("span", { class: "quiet" }, channel.symptom)),
    bar(channel.contribution, "share"),
    h("p", null, channel.observed === null ? "nothing" : beside(channel.observed, channel.normal_low, channel.normal_high),
      h("span", { class: "quiet" }, ` usually ${range(channel.normal_low, channel.normal_high)}`)));
}

function windowItem(channel, known) {
  const usual = known.find((one) => one.name === channel.name);
  return h("li", { class: "card channel", "data-key": channel.name }, h("h3", { class: "name" }, channel.name),
    channelChart({ ...channel, low: usual?.normal_low ?? null, high: usual?.normal_high ?? null,
      seen: channel.rows.at(-1) ?? null, expected: null }));
}
