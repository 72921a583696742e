// Two charts as SVG: a machine's score against its threshold, and a channel's rows in the band of what is usual.

import { h } from "./dom.js";
import { clock, figure } from "./words.js";

const TICKS = [0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500];
const HEIGHT = 190;
const LEFT = 30;
const BOTTOM = 20;

// Square roots: the way up to the threshold stays readable beside a score of fifty.
export function scoreChart(curve, { width, stretch, threshold, now, before = null, from }) {
  const points = pairs(curve);
  if (points.length < 2) return h("p", { class: "quiet" }, "No scores yet.");
  const first = from ?? points[0][0];
  const last = points.at(-1)[0];
  const earlier = before === null ? [] : pairs(before).filter(([time]) => time >= first && time <= last);
  const top = Math.max(1.5, ...points.map(([, score]) => score), ...earlier.map(([, score]) => score)) * 1.08;
  const x = (time) => LEFT + ((time - first) / Math.max(1, last - first)) * (width - LEFT - 2);
  const y = (score) => HEIGHT - BOTTOM - Math.sqrt(Math.max(0, score) / top) * (HEIGHT - BOTTOM - 6);
  const at = y(threshold ?? 1);
  const path = line(points, x, y, 3.5 * stretch);
  const said = `Score of ${points.length} points, latest ${figure(points.at(-1)[1])}, `
    + `highest ${figure(Math.max(...points.map(([, score]) => score)))}, threshold ${figure(threshold ?? 1)}`;
  return h("svg", { class: "score", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": said },
    h("defs", null,
      h("clipPath", { id: "above" }, h("rect", { x: 0, y: 0, width, height: Math.max(0, at) })),
      h("clipPath", { id: "below" }, h("rect", { x: 0, y: at, width, height: Math.max(0, HEIGHT - at) }))),
    h("rect", { class: "danger", x: LEFT, y: 0, width: width - LEFT, height: Math.max(0, at) }),
    ticks(top, y, threshold ?? 1).map((tick) => [
      h("line", { class: "grid", x1: LEFT, x2: width, y1: y(tick), y2: y(tick) }),
      h("text", { class: "tick", x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, figure(tick)),
    ]),
    h("line", { class: "threshold", x1: LEFT, x2: width, y1: at, y2: at }),
    earlier.length > 1 && h("path", { class: "curve before", d: line(earlier, x, y, 3.5 * before.stretch) }),
    h("path", { class: "curve calm", d: path, "clip-path": "url(#below)" }),
    h("path", { class: "curve bad", d: path, "clip-path": "url(#above)" }),
    h("circle", { class: points.at(-1)[1] > (threshold ?? 1) ? "dot bad" : "dot calm",
      cx: x(last), cy: y(points.at(-1)[1]), r: 3.5 }),
    h("text", { class: "tick", x: LEFT, y: HEIGHT - 4 }, clock(first * 1000, now)),
    h("text", { class: "tick", x: width, y: HEIGHT - 4, "text-anchor": "end" }, clock(last * 1000, now)));
}

const pairs = (curve) => curve.times.map((time, at) => [time, curve.scores[at]]).filter(([, score]) => score !== null);

function ticks(top, y, threshold) {
  const chosen = [threshold];
  for (const tick of TICKS) {
    if (tick <= top && chosen.every((other) => Math.abs(y(other) - y(tick)) > 20)) chosen.push(tick);
  }
  return chosen;
}

function line(points, x, y, gap) {
  let before = -Infinity;
  return points.map(([place, value]) => {
    const step = `${place - before > gap ? "M" : "L"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
    before = place;
    return step;
  }).join("");
}

// A short trend for a list; the middle line is the threshold.
export function trend(curve) {
  const points = (curve?.scores ?? []).map((score, at) => [at, score]).filter(([, score]) => score !== null);
  if (points.length < 2) return null;
  const top = Math.max(1.5, ...points.map(([, score]) => score));
  const x = (at) => (at / Math.max(1, curve.scores.length - 1)) * 96 + 2;
  const y = (score) => 26 - Math.sqrt(Math.max(0, score) / top) * 24;
  return h("svg", { class: "trend", viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("line", { class: "threshold", x1: 0, x2: 100, y1: y(1), y2: y(1) }),
    h("path", { class: points.at(-1)[1] > 1 ? "curve bad" : "curve calm", d: line(points, x, y, 1.5) }));
}

// Rows of one channel, the band where 98 % of the calm rows lay, and what the model expected of the newest.
export function channelChart(channel) {
  const rows = channel.rows.map((value, at) => [at, value]).filter(([, value]) => value !== null);
  if (rows.length < 2) return h("p", { class: "quiet" }, "Nothing was heard of it lately.");
  const values = rows.map(([, value]) => value);
  const extremes = channel.lows ? rows.map(([at]) => [at, channel.lows[at], channel.highs[at]]) : [];
  const all = [...values, ...extremes.flatMap(([, least, most]) => [least, most]), channel.low, channel.high, channel.expected].filter((value) => value !== null);
  let [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  [low, high] = [low - room, high + room];
  const x = (at) => 2 + (at / Math.max(1, channel.rows.length - 1)) * 290;
  const y = (value) => 70 - ((value - low) / (high - low)) * 68;
  const outside = channel.low !== null && (values.at(-1) < channel.low || values.at(-1) > channel.high);
  const said = `${channel.name}: latest ${figure(channel.seen)}, usually ${figure(channel.low)} to `
    + `${figure(channel.high)}, the model expected ${figure(channel.expected)}`;
  return h("svg", { class: "rows", viewBox: "0 0 300 72", preserveAspectRatio: "none", role: "img", "aria-label": said },
    channel.low !== null && h("rect", { class: "band", x: 0, width: 300, y: y(channel.high),
      height: Math.max(1, y(channel.low) - y(channel.high)) }),
    extremes.map(([at, least, most]) => h("line", { class: "extremes", x1: x(at), x2: x(at), y1: y(least), y2: y(most) })),
    h("path", { class: outside ? "curve bad" : "curve calm", d: line(rows, x, y, 1.5) }),
    channel.expected !== null
      && h("line", { class: "expected", x1: 276, x2: 300, y1: y(channel.expected), y2: y(channel.expected) }));
}

// A share from 0 to 1 as a bar.
export function bar(share, kind) {
  return h("svg", { class: `bar ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("rect", { class: "track", x: 0, y: 0, width: 100, height: 6 }),
    h("rect", { class: "value", x: 0, y: 0, width: Math.max(0, Math.min(1, share ?? 0)) * 100, height: 6 }));
}
