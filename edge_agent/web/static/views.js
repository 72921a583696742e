// What each page shows, from the agent's documents to elements. Asks nothing and changes nothing.

import { bar, channelChart, trend } from "./charts.js";
import { h } from "./dom.js";
import { called, manageSection, manyActions, matches, nextCard, nextNote, placeLine } from "./manage.js";
import { camerasSection, picturesCard } from "./cameras.js";
import { cycleSection } from "./cycles.js";
import { acceptedList, noticeCards } from "./notices.js";
import { alikeSection, pastChannel, pastList, scoreSection } from "./past.js";
import { findingsCard } from "./sensors.js";
import { REASONS, STATES, beside, between, clock, count, figure, range, score, span } from "./words.js";

const link = (name) => `#/machine/${encodeURIComponent(name)}`;
const DRIFT_RATIO = 1.5;
const LITTLE_DRIFT = 0.25, MUCH_DRIFT = 2; // population stability index beyond the usual; docs/runbooks/drift.md
const NEAR = 0.8; // of the threshold
const FEW = 12; // machines that one list shows without their places
const TITLED_CHANNELS = 3; // in a list of alarms; the machine's own page has all
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

function pill(state, severity) {
  const [sign, word] = STATES[state] ?? ["?", state];
  return h("span", { class: `pill ${state} ${severity ?? ""}` }, h("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}

function notes(machine, now) {
  return [
    machine.unsettled && "quiet just now, and not over",
    machine.state === "alarm" && machine.acknowledged && "acknowledged",
    machine.shelved && `shelved by ${machine.shelved.by}`,
    machine.suppressed && `suppressed: ${machine.suppressed.by}`,
    machine.findings > 0 && plural(machine.findings, "sensor finding"),
    drifted(machine) && `threshold ${figure(machine.threshold_ratio)} times what was learnt`,
    machine.silent_s !== null && `nothing usable heard for ${span(machine.silent_s)}: not watched`,
    machine.drifted && "drifted far from what was learnt: inspect it, or learn it afresh",
    machine.reason && `not learnt: ${machine.reason}`,
    machine.state === "failed" && machine.learnt_about && `tried again about ${clock(machine.learnt_about, now)}`,
    machine.budget && machine.budget.spent > machine.budget.per_week
      && `${machine.budget.spent} alarms in seven days, the budget is ${figure(machine.budget.per_week)}`,
  ].filter(Boolean);
}

// A threshold that has followed the machine so far up tells of a machine that is not what was learnt.
const drifted = (machine) => machine.threshold_ratio !== null && machine.threshold_ratio > DRIFT_RATIO;

// Each state has a word of its own, and says that the machine is not watched, and until when.
function progressWords(machine, share, now) {
  if (machine.state === "learning") return "all its rows are here; what is normal is being worked out: not watched yet";
  const percent = `${Math.min(99, Math.floor(100 * share))} %: not watched`;
  if (machine.silent_s !== null) return `${percent}; no row comes`;
  return machine.learnt_about ? `${percent} until about ${clock(machine.learnt_about, now)}` : percent;
}

function progress(machine, now) {
  const share = machine.rows_wanted ? machine.rows / machine.rows_wanted : 0;
  return h("div", { class: "progress" },
    bar(share, "learn"),
    h("span", { class: "quiet" }, progressWords(machine, share, now)));
}

// -- alarms --------------------------------------------------------------------------------------------------

function phrase(channel) {
  const { observed, normal_low: low, normal_high: high } = channel;
  return [
    h("strong", { class: observed === null || observed < low || observed > high ? "bad" : "" },
      observed === null ? "nothing" : beside(observed, low, high)),
    h("span", { class: "quiet" }, ` usually ${range(low, high)}`),
  ];
}

function standing(alarm) {
  const life = alarm.lifecycle;
  const seen = life.acknowledged;
  return [
    alarm.unsettled && "Quiet just now, and not over: it is normal again once it has been calm as the machine ran when it was loud",
    alarm.reopened > 0 && `It has come back ${alarm.reopened === 1 ? "once" : `${count(alarm.reopened)} times`}`,
    seen && `Acknowledged by ${seen.by}${seen.comment ? `: ${seen.comment}` : ""}`,
    life.shelved && `Shelved by ${life.shelved.by}${life.shelved.until ? ` until ${clock(life.shelved.until)}` : " for this alarm"}`,
    life.suppressed && `Suppressed by ${life.suppressed.by}${life.suppressed.comment ? `: ${life.suppressed.comment}` : ""}`,
    life.held && "Nobody was called: too many alarms opened at once",
    !life.active && "The machine is back to normal. The alarm waits to be acknowledged",
  ].filter(Boolean);
}

function actions(alarm, commands) {
  const life = alarm.lifecycle;
  const button = (name, word, kind) => commands.includes(name)
    && h("button", { type: "button", class: kind, "data-do": name, "data-alarm": alarm.id, "data-machine": alarm.machine }, word);
  const buttons = [
    !life.acknowledged && button("ack", "Acknowledge", "main"),
    life.shelved ? button("unshelve", "Unshelve", "") : button("shelve", "Shelve", ""),
    button("label", "Name the fault", ""),
    button("accept", "This is normal", ""),
  ].filter(Boolean);
  return buttons.length > 0 && h("div", { class: "actions" }, buttons);
}

function faultLine(alarm) {
  if (alarm.fault.name === "unknown") return h("p", { class: "fault quiet" }, "Which fault it is, is not known.");
  if (alarm.fault.by) return h("p", { class: "fault" }, "It is ", h("strong", null, alarm.fault.name), `, says ${alarm.fault.by}`);
  return h("p", { class: "fault" }, "Probably ", h("strong", null, alarm.fault.name),
    ` (${Math.round(alarm.fault.probability * 100)} %)`);
}

// What people say is to be done about the fault; addresses in it are links.
function todoLine(alarm) {
  if (!alarm.what_to_do) return false;
  const parts = alarm.what_to_do.split(/(https?:\/\/\S+)/);
  return h("p", { class: "todo" }, h("strong", null, "What to do: "),
    parts.map((part, at) => at % 2 ? h("a", { href: part, rel: "noreferrer", target: "_blank" }, part) : part));
}

function alarmCard(alarm, doc, { titled }) {
  return h("article", { class: `card alarm ${alarm.severity}`, "data-key": alarm.id },
    h("header", { class: "row" },
      h(titled ? "h2" : "h3", null, titled ? h("a", { href: link(alarm.machine) }, alarm.machine) : "Alarm"),
      h("span", null, alarm.unsettled && [h("span", { class: "tag unsettled" }, "unsettled"), " "],
        h("span", { class: `tag ${alarm.severity}` }, alarm.severity))),
    h("p", { class: "quiet" }, `Since ${clock(alarm.onset, doc.time)}, for ${between(alarm.onset, alarm.latest)}. `
      + `Score ${score(alarm.score_now ?? alarm.score)}, at worst ${score(Math.max(alarm.peak_score, alarm.score_now ?? 0))}; `
      + `${figure(alarm.threshold)} is the threshold.`),
    h("ul", { class: "evidence" }, alarm.channels.slice(0, titled ? TITLED_CHANNELS : undefined).map((channel) => h("li", null,
      h("div", { class: "row" }, h("strong", { class: "name" }, channel.name),
        h("span", { class: "quiet" }, channel.detail ?? channel.symptom)),
      bar(channel.contribution, "share"),
      h("div", { class: "row" }, h("span", { class: "read" }, phrase(channel)),
        h("span", { class: "quiet" }, `${Math.round(channel.contribution * 100)} %`))))),
    titled && alarm.channels.length > TITLED_CHANNELS
      && h("p", { class: "quiet" }, `and ${plural(alarm.channels.length - TITLED_CHANNELS, "more channel")}`),
    faultLine(alarm),
    todoLine(alarm),
    standing(alarm).map((text) => h("p", { class: "standing" }, text)),
    actions(alarm, doc.commands));
}

// -- pages ---------------------------------------------------------------------------------------------------

// Near the limit: calm, and its score in the upper fifth below the threshold.
const near = (machine) => machine.state === "normal" && machine.score !== null && machine.score <= machine.threshold
  && machine.score >= NEAR * machine.threshold;

// A pill a state that there is; pressed, it leaves only its machines in the list.
function summaryPills(doc, only) {
  const pills = Object.keys(STATES).filter((state) => doc.counts[state]).map((state) => [state, pill(state), doc.counts[state]]);
  const close = doc.machines.filter(near).length;
  if (close > 0) pills.push(["near", h("span", { class: "pill near" }, "Near the limit"), close]);
  return pills.map(([name, shown, many]) => h("li", null,
    h("button", { type: "button", class: "filter", "data-filter": name, "aria-pressed": only === name ? "true" : "false" }, shown, ` ${count(many)}`)));
}

// Who, where, what and since when of every open alarm, a line each, where the cards are more than a screen.
function alarmLines(doc) {
  const places = new Map(doc.machines.map((machine) => [machine.name, machine]));
  return h("ul", { class: "card lines", "aria-label": "Open alarms in short" }, doc.alarms.map((alarm) => {
    const machine = places.get(alarm.machine) ?? { name: alarm.machine, display_name: "", location: "" };
    const known = alarm.fault.name !== "unknown";
    const [first] = alarm.channels;
    return h("li", { "data-key": alarm.id }, h("a", { class: "line", href: link(alarm.machine) },
      h("span", { class: "row" }, h("strong", { class: "name" }, called(machine)), h("span", { class: `tag ${alarm.severity}` }, alarm.severity)),
      h("span", { class: "quiet" }, [machine.location, known ? alarm.fault.name : first && `${first.name} ${first.detail ?? first.symptom}`,
        `since ${clock(alarm.onset, doc.time)}`, alarm.lifecycle.acknowledged && `seen by ${alarm.lifecycle.acknowledged.by}`,
        alarm.lifecycle.shelved && "shelved"].filter(Boolean).join(" · "))));
  }));
}

// By place where more than a few machines have one; the place of the worst machine first.
function machineLists(machines, now) {
  const places = new Map();
  for (const machine of machines) places.set(machine.location, [...places.get(machine.location) ?? [], machine]);
  const list = (found, label) => h("ul", { class: "machines", "aria-label": label }, found.map((machine) => machineItem(machine, now)));
  if (machines.length <= FEW || places.size < 2) return list(machines, "Machines");
  return [...places].map(([place, found]) => h("section", { class: "place", "data-key": `place ${place}` },
    h("h2", null, place || "No place", h("span", { class: "quiet" }, ` ${plural(found.length, "machine")}`)), list(found, place || "No place")));
}

export function overview(doc, { search, only }) {
  const wanted = search.trim();
  const shown = doc.machines.filter((machine) => matches(machine, wanted)
    && (!only || (only === "near" ? near(machine) : machine.state === only)));
  return [
    h("h1", { class: "unseen" }, "Machines"),
    h("ul", { class: "summary", "aria-label": "Machines by state" }, summaryPills(doc, only)),
    doc.alarms.length > 1 && alarmLines(doc),
    doc.alarms.length > 0 && h("section", { "aria-label": "Open alarms", class: "alarms" },
      doc.alarms.map((alarm) => alarmCard(alarm, doc, { titled: true })),
      doc.alarm_count > doc.alarms.length
        && h("p", { class: "quiet" }, `and ${plural(doc.alarm_count - doc.alarms.length, "more alarm")}`)),
    picturesCard(doc.pictures, doc, { titled: true }),
    doc.notices.length > 0 && h("section", { "aria-label": "Notices" },
      noticeCards(doc.notices, doc, { titled: true }),
      doc.notice_count > doc.notices.length
        && h("p", { class: "quiet" }, `and ${plural(doc.notice_count - doc.notices.length, "more notice")}`)),
    doc.machine_count > (doc.commands.includes("relearn") ? 1 : 8) && h("label", { class: "search" }, "Find machines: a name, or a pattern (press-*, line1/*)",
      h("input", { id: "search", type: "search", autocomplete: "off", spellcheck: "false" })),
    manyActions(wanted, shown, doc),
    doc.machine_count === 0
      ? h("section", { class: "card" }, h("h2", null, "No machine was heard yet"),
        h("p", null, "A machine appears here with its first message. See Data for messages that were turned away."))
      : machineLists(shown, doc.time),
    doc.machine_count > doc.machines.length
      && h("p", { class: "quiet" }, `and ${plural(doc.machine_count - doc.machines.length, "more machine")}`),
    doc.commands.length === 0 && h("p", { class: "quiet foot" }, "This page is for reading only: no token is set up."),
  ];
}

function machineItem(machine, now) {
  const told = notes(machine, now);
  const scored = machine.score !== null && machine.state !== "commissioning" && machine.state !== "learning";
  return h("li", { "data-key": machine.name },
    h("a", { class: "card machine", href: link(machine.name) },
      h("span", { class: "who" }, h("span", { class: "name" }, called(machine)), near(machine) ? h("span", { class: "pill near" }, "Near the limit") : pill(machine.state, machine.severity)),
      machine.state === "commissioning" || machine.state === "learning" ? progress(machine, now)
        : h("span", { class: "figures" }, trend(machine.trend),
          scored && h("span", { class: "score-now" }, h("span", { class: machine.score > machine.threshold ? "bad" : "" },
            score(machine.score)), h("span", { class: "quiet" }, ` of ${figure(machine.threshold)}`))),
      told.length > 0 && h("span", { class: "quiet told-of" }, told.join(" · "))));
}

export function machinePage(doc, view) {
  const machine = doc.machine;
  const told = notes(machine, doc.time);
  const learning = machine.state === "commissioning" || machine.state === "learning";
  const shelf = machine.shelved && !doc.alarm && doc.commands.includes("unshelve");
  return [
    h("p", { class: "back" }, h("a", { href: "#/" }, "‹ All machines")),
    h("div", { class: "row title" }, h("h1", { class: "name" }, called(machine)), pill(machine.state, machine.severity)),
    placeLine(machine) && h("p", { class: "quiet" }, placeLine(machine)),
    told.length > 0 && h("p", { class: "quiet" }, told.join(" · ")),
    doc.alarm && alarmCard(doc.alarm, doc, { titled: false }),
    doc.alarm && alikeSection(doc.alike, doc, { machine: machine.name }),
    noticeCards(doc.notices, doc, { titled: false }),
    doc.findings.length > 0 && h("section", { class: "card sensors", "aria-label": "Sensors" },
      h("h2", null, "Sensors"), findingsCard(doc.findings, doc, { titled: false })),
    shelf && h("div", { class: "actions" },
      h("button", { type: "button", "data-do": "unshelve", "data-machine": machine.name }, "Unshelve")),
    h("section", { class: "card", "aria-label": "Score" },
      h("h2", null, learning ? "Being learnt" : "Score"),
      learning ? progress(machine, doc.time) : scoreSection(doc, view),
      !learning && h("p", { class: "quiet" },
        `Above the line the machine counts as unusual; ${machine.silent_s === null ? "now" : "when it was heard last"} `,
        h("strong", { class: machine.score > machine.threshold ? "bad" : "" }, score(machine.score)), ".")),
    cycleSection(doc.cycle, doc),
    picturesCard(doc.pictures, doc, { titled: false }),
    camerasSection(doc.cameras, doc, view),
    nextCard(machine, doc),
    h("h2", null, "Channels"),
    h("p", { class: "quiet legend" },
      h("span", { class: "key seen" }, "seen"), h("span", { class: "key usual" }, "usual (98 % of calm time)"),
      h("span", { class: "key model" }, "expected by the model")),
    h("ul", { class: "channels" }, doc.channels.map((channel) => channelItem(channel, view))),
    doc.accepted.length > 0 && [h("h2", null, "Accepted"), acceptedList(doc.accepted, doc)],
    h("h2", null, "Earlier alarms"),
    doc.history_note && h("p", { class: "warn" }, doc.history_note),
    pastList(doc.history, doc, { named: false }),
    h("dl", { class: "facts" },
      fact("Last row", doc.last ? clock(doc.last, doc.time) : "none"),
      fact("A row every", doc.period_s ? span2(doc.period_s) : "unknown"),
      fact("Rows heard", count(machine.rows)),
      machine.threshold_ratio !== null && fact("Threshold",
        h("span", { class: drifted(machine) ? "warn" : "" }, `${score(machine.threshold_ratio)} times what was learnt`)),
      machine.budget && fact("Budget", h("span", { class: machine.budget.spent > machine.budget.per_week ? "warn" : "" },
        machine.budget.text)),
      ...driftFacts(machine.drift),
      doc.modes.length > 0 && fact("Operating modes", doc.modes.join("; ")),
      doc.seen_once.length > 0 && fact("Seen once while it was learnt, and normal since", [
        doc.seen_once.map((one) => h("p", null, `${clock(one.from, doc.time)} to ${clock(one.to, doc.time)}: ${one.channel}`)),
        h("p", { class: "quiet" }, "Was one of these a fault? Then learn the machine afresh.")]),
      fact("Learnt", doc.learnt ? `${clock(doc.learnt, doc.time)}, from ${plural(doc.learnt_rows, "row")}` : "not yet")),
    manageSection(machine, doc),
  ];
}

function driftFacts({ inputs, channel, scores, scored_share: share }) {
  const word = (psi) => h("span", { class: psi > MUCH_DRIFT ? "warn" : "" },
    psi < LITTLE_DRIFT ? "as learnt" : `${psi > MUCH_DRIFT ? "other than" : "a little off what was"} learnt (${score(psi)})`);
  return [
    inputs !== null && fact("Values", [word(inputs), inputs >= LITTLE_DRIFT && channel && [", most ", h("strong", null, channel)]]),
    scores !== null && fact("Calm scores", word(scores)),
    share !== null && fact("Watched", `${Math.round(share * 100)} % of the last day`),
  ];
}

const span2 = (seconds) => (seconds < 10 ? `${figure(seconds)} s` : span(seconds));

const KINDS = {
  counter: "Counter: its rate is watched.",
  state: "State: not scored.",
  constant: "Constant while it was learnt: not scored.",
  ignore: "Ignored, as configured.",
};

function channelItem(channel, view) {
  const out = channel.low !== null && channel.seen !== null && (channel.seen < channel.low || channel.seen > channel.high);
  return h("li", { class: `card channel ${channel.hidden ? "hidden-one" : ""}`, "data-key": channel.name },
    h("div", { class: "row" }, h("h3", { class: "name" }, channel.name, channel.unit && h("span", { class: "quiet" }, ` ${channel.unit}`)),
      channel.hidden ? h("span", { class: "tag warning" }, "left out of the score")
        : channel.share >= 0.005 && h("span", { class: "quiet" }, `${Math.round(channel.share * 100)} % of the score`)),
    KINDS[channel.kind] !== undefined && h("p", { class: "quiet" }, KINDS[channel.kind]),
    pastChannel(channel, view) ?? (channel.rows.length > 0 && channelChart(channel)),
    h("dl", { class: "beside" },
      h("div", null, h("dt", null, "Seen"), h("dd", { class: out ? "bad" : "" }, channel.seen === null ? "nothing"
        : beside(channel.seen, channel.low, channel.high))),
      h("div", null, h("dt", null, "Model expected"), h("dd", null, beside(channel.expected, channel.low, channel.high))),
      h("div", null, h("dt", null, "Usual"), h("dd", null, range(channel.low, channel.high)))));
}

function fact(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

export function data(doc) {
  const q = doc.quality;
  const lost = q.late + q.duplicate + q.shed + Object.values(q.rejected).reduce((sum, n) => sum + n, 0);
  const rows = (table) => Object.entries(table).sort(([, a], [, b]) => b - a)
    .map(([name, n]) => h("tr", null, h("th", { scope: "row" }, REASONS[name] ?? name), h("td", null, count(n))));
  const table = (title, entries, none) => h("section", { class: "card" }, h("h2", null, title),
    Object.keys(entries).length === 0 ? h("p", { class: "quiet" }, none) : h("table", null, h("tbody", null, rows(entries))));
  return [
    h("h1", null, "Data quality"),
    h("section", { class: "card sensors", "aria-label": "Sensors" }, h("h2", null, "Sensors"),
      doc.findings.length === 0 ? h("p", { class: "quiet" }, "No sensor of a learnt machine is known to be broken.")
        : findingsCard(doc.findings, doc, { titled: true }),
      doc.finding_count > doc.findings.length
        && h("p", { class: "quiet" }, `and ${plural(doc.finding_count - doc.findings.length, "more finding")}`)),
    h("p", { class: "quiet" }, "Counted since the agent was started:"),
    h("section", { class: "card" }, h("h2", null, "Messages"),
      h("p", { class: "big" }, count(q.received), h("span", { class: "quiet" }, " received, "), count(q.accepted),
        h("span", { class: "quiet" }, " used")),
      q.received > 0 && bar(q.accepted / q.received, "good"),
      h("table", null, h("tbody", null, rowsOf([
        ["sent twice", q.duplicate], ["too late for their row", q.late],
        ["dropped: this computer could not keep up", q.shed], ["waiting now", q.queued],
      ]))),
      lost === 0 && h("p", { class: "quiet" }, "No message was lost or turned away.")),
    table("Messages turned away", q.rejected, "None."),
    table("Single values turned away", q.values_rejected, "None."),
    h("section", { class: "card" }, h("h2", null, "Scoring and alerts"),
      h("table", null, h("tbody", null, rowsOf([
        ["windows scored", q.windows_scored],
        ["windows not scored", Object.values(q.windows_skipped).reduce((sum, n) => sum + n, 0)],
        ["alerts not delivered yet", q.alerts_waiting], ["alerts given up", q.alerts_dropped],
        ["contained faults of the agent", q.internal_errors],
      ])))),
  ];
}

function rowsOf(pairs) {
  return pairs.map(([name, n]) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, count(n))));
}

export function model(doc, state) {
  return [
    h("h1", null, "Model"),
    h("section", { class: "card" }, h("h2", { class: "name" }, `${doc.name} ${doc.version}`),
      h("dl", { class: "facts" },
        fact("Signature", doc.signed_by ? `good, by key ${doc.signed_by}` : "none was asked for"),
        doc.release !== null && fact("Release", count(doc.release)),
        doc.expires && fact("Too old from", clock(doc.expires)),
        fact("Architecture", doc.architecture),
        fact("Window", plural(doc.window_rows, "row")),
        fact("Made", clock(doc.created)),
        doc.labels.length > 0 && fact("Names", doc.labels.join(", ")),
        fact("Runs on", state?.provider ?? "–"),
        fact("Agent", state ? `${state.agent}, version ${state.version}` : "–"),
        fact("Digest", h("code", null, doc.digest)))),
    h("section", { class: "card cardtext" }, card(doc.card)),
  ];
}

// The little of Markdown that model cards are written in; everything stays text.
function card(text) {
  const parts = [];
  for (const block of text.split(/\n\s*\n/)) {
    const lines = block.split("\n").filter((line) => line.trim());
    if (lines.length === 0) continue;
    const heading = /^(#{1,4})\s+(.*)/.exec(lines[0]);
    if (heading) {
      parts.push(h(heading[1].length === 1 ? "h2" : "h3", null, plain(heading[2])));
      lines.shift();
    }
    if (lines.length === 0) continue;
    if (lines.every((line) => line.startsWith("|"))) parts.push(tableOf(lines));
    else if (/^[-*]\s/.test(lines[0])) parts.push(h("ul", null, items(lines).map((item) => h("li", null, plain(item)))));
    else parts.push(h("p", null, plain(lines.join(" "))));
  }
  return parts;
}

function items(lines) {
  const found = [];
  for (const line of lines) {
    if (/^[-*]\s/.test(line)) found.push(line.slice(2));
    else found.push(`${found.pop() ?? ""} ${line.trim()}`);
  }
  return found;
}

function tableOf(lines) {
  const rows = lines.filter((line) => !/^\|[\s:|-]+\|$/.test(line)).map((line) => line.split("|").slice(1, -1));
  const cells = (row, tag) => h("tr", null, row.map((cell) => h(tag, null, plain(cell.trim()))));
  return h("div", { class: "scroll" }, h("table", null, h("thead", null, cells(rows[0], "th")),
    h("tbody", null, rows.slice(1).map((row) => cells(row, "td")))));
}

const plain = (text) => text.replaceAll("`", "").replaceAll("**", "");
