// The latest cycle of a machine that runs a program: each channel's course over its recipe's band, and how long steps took.

import { bar } from "./charts.js";
import { h } from "./dom.js";
import { beside, clock, count, figure, range } from "./words.js";

export function cycleSection(cycle, doc) {
  if (!cycle) return null;
  const times = [cycle.duration && { ...cycle.duration, name: "Whole cycle" },
    ...cycle.steps.map((one) => ({ ...one, name: `Step ${one.step}` }))].filter(Boolean);
  const longest = Math.max(...times.map((one) => Math.max(one.seconds, one.high ?? 0)), 1e-9);
  return h("section", { class: "card", "aria-label": "Last cycle" },
    h("h2", null, cycle.recipe ? `Last cycle, recipe ${cycle.recipe}` : "Last cycle"),
    h("p", { class: "quiet" }, `Over at ${clock(cycle.end, doc.time)}. `,
      cycle.learning && `Learning ${count(cycle.learning[0])} of ${count(cycle.learning[1])} cycles; not judged until then.`),
    times.length > 0 && h("ul", { class: "steps", "aria-label": "How long it took" }, times.map((one) => stepItem(one, longest))),
    cycle.courses.map(courseFigure),
    h("p", { class: "quiet" }, cycle.courses.some((one) => one.low)
      ? "Band: two spreads about the middle of this recipe's cycles." : "Too few cycles of this recipe yet for a band.",
      cycle.channel_count > cycle.courses.length && ` The ${cycle.courses.length} of ${count(cycle.channel_count)} channels furthest from theirs.`));
}

function stepItem({ name, seconds, low, high }, longest) {
  const out = low !== null && (seconds < low || seconds > high);
  return h("li", { "data-key": name },
    h("div", { class: "row" }, h("span", null, name),
      h("span", null, h("strong", { class: out ? "bad" : "" }, `${beside(seconds, low, high)} s`),
        low !== null && h("span", { class: "quiet" }, ` usually ${range(low, high)}`))),
    bar(seconds / longest, out ? "bad" : "calm"));
}

function courseFigure({ channel, values, low, high }) {
  const seen = values.map((value, at) => [at, value]).filter(([, value]) => value !== null);
  if (seen.length < 2) return null;
  const band = low ? low.map((least, at) => [at, least, high[at]]).filter(([, least, most]) => least !== null && most !== null) : [];
  const all = [...seen.map(([, value]) => value), ...band.flatMap(([, least, most]) => [least, most])];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const x = (at) => 2 + (at / Math.max(1, values.length - 1)) * 296;
  const y = (value) => 70 - ((value - least) / (most - least || 1)) * 68;
  const place = ([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  const outside = band.filter(([at, lo, hi]) => values[at] !== null && (values[at] < lo || values[at] > hi)).length;
  const said = `${channel} over the cycle, from ${figure(Math.min(...seen.map(([, value]) => value)))} to `
    + `${figure(Math.max(...seen.map(([, value]) => value)))}; ${outside} of ${values.length} places outside the band`;
  return h("div", { "data-key": channel },
    h("h3", { class: "name" }, channel),
    h("svg", { class: "rows", viewBox: "0 0 300 72", preserveAspectRatio: "none", role: "img", "aria-label": said },
      band.length > 1 && h("path", { class: "band", d: `M${band.map(([at, lo]) => place([at, lo])).join("L")}L${
        band.map(([at, , hi]) => place([at, hi])).reverse().join("L")}Z` }),
      h("path", { class: outside ? "curve bad" : "curve calm", d: `M${seen.map(place).join("L")}` })));
}
