// The page: asks the agent every other second while somebody looks, shows what it says, and sends commands.

import { drawCameras } from "./cameras.js";
import { fill, h } from "./dom.js";
import * as manage from "./manage.js";
import { history, incidentPage, wantedCurve } from "./past.js";
import { data, machinePage, model, overview } from "./views.js";
import { count, useZone } from "./words.js";

const EVERY_MS = 2000;
const SLOWEST_MS = 15000;
const main = document.getElementById("main");
const ask = document.getElementById("ask");
const CURVE_MS = 30000; // a curve of hours and days changes slowly
const view = { search: "", only: "", span: "near", earlier: false, curve: null };
let latest = null;
let announced = null;
let timer = 0;
let failures = 0;
let round = 0;

// -- asking and showing --------------------------------------------------------------------------------------

function place() {
  const login = location.hash.match(/^#\/login\/([\w-]{16,})$/);
  if (login) { // a link with a token: it is kept for this tab alone, and goes out of the address at once
    session.set("token", login[1]);
    window.history.replaceState(null, "", "#/");
  }
  const [page, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  let name = rest.join("/");
  try {
    name = decodeURIComponent(name);
  } catch {
    name = "";
  }
  return { page: page || "machines", name };
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(12000) });
  const doc = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(doc.detail ?? "no answer"), { status: answer.status });
  return doc;
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  const { page, name } = place();
  try {
    const doc = page === "machine" ? await machine(name)
      : page === "incident" ? await get(`api/incident/${encodeURIComponent(name)}`)
      : page === "model" ? { card: await get("api/model"), state: await get("api/state") } : await get("api/state");
    if (mine !== round) return;
    failures = 0;
    latest = { page, doc };
    show();
  } catch (error) {
    if (mine !== round) return;
    failures += 1;
    trouble(error);
  }
  if (!document.hidden) timer = setTimeout(refresh, Math.min(SLOWEST_MS, EVERY_MS * 2 ** Math.min(failures, 4)));
}

// A machine as it is now and, where somebody looks at more than the last minutes, as it was.
async function machine(name) {
  const wanted = wantedCurve(view);
  const known = view.curve;
  if (wanted && !(known?.name === name && known.span === wanted && Date.now() - known.asked < CURVE_MS)) {
    const curve = await get(`api/curve/${wanted}/${encodeURIComponent(name)}`);
    view.curve = { ...curve, name, asked: Date.now() };
  }
  return get(`api/machine/${encodeURIComponent(name)}`);
}

function show() {
  const { page, doc } = latest;
  useZone((page === "model" ? doc.state : doc).zone);
  const width = Math.max(260, Math.min(main.clientWidth, 760) - 34);
  const parts = page === "machine" ? machinePage(doc, { ...view, width, token: session.get("token") })
    : page === "history" ? history(doc)
      : page === "incident" ? incidentPage(doc, { width })
      : page === "data" ? data(doc)
        : page === "model" ? model(doc.card, doc.state) : overview(doc, view);
  fill(main, parts);
  if (page === "machines") announce(doc.alarms);
  if (page === "machine") {
    const refused = () => { session.set("token", ""); told("The token is not the right one."); };
    drawCameras(doc.machine.name, doc.cameras, { token: session.get("token"), refused }).catch(() => {});
  }
  frame(page, page === "model" ? doc.state : doc);
}

// Alarms that were not there a moment ago are said to those who cannot see them.
function announce(alarms) {
  const fresh = alarms.filter((alarm) => announced && !announced.has(alarm.id));
  announced = new Set(alarms.map((alarm) => alarm.id));
  if (fresh.length > 0) {
    document.getElementById("said").textContent = fresh.map((alarm) => `New alarm: ${alarm.machine}, ${alarm.severity}`).join(". ");
  }
}

function frame(page, doc) {
  document.getElementById("agent").textContent = doc.agent;
  const open = doc.alarm_count ?? (doc.alarm ? 1 : 0);
  document.title = `${open > 0 ? `(${count(open)}) ` : ""}${page === "machine" ? `${doc.machine.name} · ` : ""}${doc.agent}`;
  live("live", "good");
  fill(document.getElementById("amiss"), doc.amiss.map((text) => h("p", null, text)));
  for (const item of document.querySelectorAll("nav a")) {
    const here = item.dataset.page === page || (page === "machine" && item.dataset.page === "machines")
      || (page === "incident" && item.dataset.page === "history");
    if (here) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
}

function live(text, kind) {
  const node = document.getElementById("live");
  if (node.textContent !== text) node.textContent = text;
  node.className = `live ${kind}`;
}

function trouble(error) {
  if (error.status === 404) {
    live("live", "good");
    fill(main, h("h1", null, "Not known"), h("p", null, error.message), h("p", null, h("a", { href: "#/" }, "‹ All machines")));
    return;
  }
  live(latest ? "no answer: what you see is old" : "no answer from the agent", "bad");
}

// -- commands ------------------------------------------------------------------------------------------------

const memory = (store) => ({
  get: (key) => { try { return store().getItem(key) ?? ""; } catch { return ""; } },
  set: (key, value) => { try { store().setItem(key, value); } catch { /* a browser that keeps nothing */ } },
});
const kept = memory(() => localStorage);
const session = memory(() => sessionStorage);
const TITLES = { ack: "Acknowledge", shelve: "Shelve", unshelve: "Unshelve", label: "Name the fault",
  accept: "This is normal", undo: "Undo", ...manage.TITLES };
const EXPLAINED = {
  ack: "You have seen this alarm and take care of it.",
  shelve: "Nobody is called for this machine for a while. It is still watched.",
  unshelve: "People are called for this machine again.",
  label: "Later alarms that look like this one carry the name.",
  accept: "What this tells of is known from now on, and told no more. Not for faults: they would be told no more either. It can be undone.",
  undo: "It is told again when it comes again.",
  ...manage.EXPLAINED,
};
let asked = null;

function field(label, attributes, extra) {
  return h("label", null, label, h("input", { autocomplete: "off", ...attributes }), extra);
}

function openDialog(name, target) {
  asked = { name, target, request: `page-${crypto.getRandomValues(new Uint32Array(3)).join("-")}` };
  const kinds = (latest?.doc.cameras ?? []).filter((one) => one.suspects.some(({ id }) => id === target.alarm)).flatMap((one) => one.kinds);
  const faults = kinds.length > 0 ? kinds : latest?.doc.faults ?? [];
  const durations = [["900", "15 minutes"], ["3600", "1 hour"], ["28800", "8 hours"]];
  ask.replaceChildren(h("form", { method: "dialog", novalidate: true },
    h("h2", { id: "ask-title" }, `${TITLES[name]}: ${target.machine}`),
    h("p", { class: "quiet" }, EXPLAINED[name]),
    name === "label" && field("The fault", { name: "fault", required: true, maxlength: 64, list: "faults", value: "" },
      h("datalist", { id: "faults" }, faults.map((fault) => h("option", { value: fault })))),
    name === "shelve" && h("fieldset", null, h("legend", null, "For how long"), durations.map(([seconds, word], at) =>
      h("label", { class: "radio" }, h("input", { type: "radio", name: "for_s", value: seconds, checked: at === 1 }), word))),
    manage.fieldsOf(name, target, latest?.doc, field),
    field("Your name", { name: "by", required: true, maxlength: 100, value: kept.get("by"), autocomplete: "name" }),
    field("Comment (may be empty)", { name: "comment", maxlength: 300 }),
    !session.get("token") && field("Token", { name: "token", type: "password", required: true, maxlength: 1024 },
      h("span", { class: "quiet" }, "Whoever looks after this agent has it. Kept until you close this tab.")),
    h("p", { class: "problem", role: "alert" }),
    h("div", { class: "actions" },
      h("button", { type: "submit", class: "main" }, TITLES[name]),
      h("button", { type: "button", "data-do": "cancel" }, "Cancel"))));
  ask.showModal();
  ask.querySelector("input")?.focus();
}

async function submit(form) {
  const problem = form.querySelector(".problem");
  const values = Object.fromEntries(new FormData(form));
  const missing = [...form.querySelectorAll("[required]")].find((input) => !input.value.trim());
  if (missing) {
    problem.textContent = "This is needed, too.";
    missing.focus();
    return;
  }
  const { name, target, request } = asked;
  const managed = manage.commandOf(name, target, values);
  if (managed.problem) {
    problem.textContent = managed.problem;
    return;
  }
  const token = session.get("token") || values.token;
  const fields = { id: request, by: values.by.trim(), comment: values.comment.trim(), ...managed.fields };
  if (target.alarm) fields.alarm = target.alarm;
  else fields.machine = target.machine;
  if (name === "undo") fields.undo = true;
  if (name === "label") fields.fault = values.fault.trim();
  if (name === "shelve") fields.for_s = Number(values.for_s);
  kept.set("by", fields.by);
  form.querySelector(".main").disabled = true;
  problem.textContent = "";
  try {
    const answer = await fetch(`api/command/${name === "undo" ? "accept" : managed.command}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify(fields),
      signal: AbortSignal.timeout(12000),
    });
    const reply = await answer.json();
    if (answer.status === 401) session.set("token", "");
    else session.set("token", token);
    if (!answer.ok) throw new Error(reply.detail || reply.reason);
    ask.close();
    told(reply.result === "unchanged" ? `Nothing to do: ${reply.detail}` : `${TITLES[name]}: ${reply.detail || "done"}.`);
    if (name === "forget") location.hash = "#/";
    refresh();
  } catch (error) {
    asked.request = `page-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
    problem.textContent = `Not done: ${error.message}`;
    if (!session.get("token") && !form.querySelector("[name=token]")) {
      problem.before(field("Token", { name: "token", type: "password", required: true, maxlength: 1024 }));
    }
    form.querySelector(".main").disabled = false;
  }
}

main.addEventListener("click", (event) => {
  const button = event.target.closest("[data-unlock]");
  if (!button) return;
  session.set("token", button.parentElement.querySelector("input").value.trim());
  refresh();
});

function told(text) {
  const node = document.getElementById("told");
  node.textContent = text;
  setTimeout(() => { if (node.textContent === text) node.textContent = ""; }, 6000);
}

// -- what people do ------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { do: name, span, alarm, machine, filter } = button.dataset;
  if (name === "cancel") ask.close();
  else if (name) openDialog(name, { alarm, machine });
  else if (filter) {
    view.only = view.only === filter ? "" : filter;
    show();
  } else if (span) {
    view.span = span;
    show();
    if (wantedCurve(view)) refresh();
  }
});
document.addEventListener("change", (event) => {
  if (event.target.id !== "earlier") return;
  view.earlier = event.target.checked;
  show();
  refresh();
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  submit(event.target);
});
document.addEventListener("input", (event) => {
  if (event.target.id !== "search") return;
  view.search = event.target.value;
  show();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
window.addEventListener("resize", () => { if (latest) show(); });
window.addEventListener("hashchange", () => {
  view.search = view.only = "";
  Object.assign(view, { span: "near", earlier: false, curve: null });
  latest = null;
  main.replaceChildren(h("p", { class: "quiet" }, "Loading …"));
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
  refresh();
});
refresh();
