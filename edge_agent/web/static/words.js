// Figures, times and words as people read them.

export function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

export function count(value) {
  return value.toLocaleString("en").replaceAll(",", "\u202f");
}

// As many decimals as the width of what is usual deserves: more say nothing, and cost a glance.
function decimals(low, high) {
  const width = Math.abs((high ?? 0) - (low ?? 0));
  return width > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(width)))) : null;
}

export function range(low, high) {
  if (low === null || high === null) return "not learnt yet";
  const places = decimals(low, high);
  return places === null || Math.abs(high) >= 1e6 ? `${figure(low)} to ${figure(high)}`
    : `${low.toFixed(places)} to ${high.toFixed(places)}`;
}

// A value beside its usual range, in the range's own decimals.
export function beside(value, low, high) {
  const places = low === null || high === null ? null : decimals(low, high);
  if (value === null || places === null || Math.abs(value) >= 1e6) return figure(value);
  return value.toFixed(places);
}

// Scores are read by their size alone.
export function score(value) {
  if (value === null || value === undefined) return "–";
  return value >= 100 ? count(Math.round(value)) : value >= 10 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2);
}

export function span(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.round(seconds / 86400)} days`;
}

export function between(first, last) {
  return span((Date.parse(last) - Date.parse(first)) / 1000);
}

export function clock(text, now) {
  const moment = new Date(text);
  const time = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (now && moment.toDateString() === new Date(now).toDateString()) return time;
  const day = moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${time}`;
}

export const STATES = {
  alarm: ["▲", "Alarm"],
  silent: ["○", "Silent"],
  failed: ["✕", "Not learnt"],
  learning: ["◑", "Learning"],
  commissioning: ["◔", "Commissioning"],
  unscored: ["◌", "Not scored yet"],
  normal: ["●", "Normal"],
};

// What can be wrong with a sensor, as somebody says it who stands before the machine.
export const FINDINGS = {
  missing: "sends nothing any more",
  "out of range": "shows values that are physically impossible",
  "stuck at limit": "stands still at the end of its range",
  "unit changed": "seems to speak in another unit",
  frozen: "does not change any more",
  "noise gone": "is far smoother than it was",
  stale: "most channels stand still: the source seems to repeat old values",
  silent: "nothing usable is heard any more: it is not watched",
  "clock skew": "the source's clock is wrong: see Wrong clocks in the documentation",
  spikes: "has many single broken readings",
  "rate changed": "rows come far more or less often than they did",
};

export const REASONS = {
  no_source: "no source is configured for the topic",
  bad_topic: "the topic is not as configured",
  too_large: "the message is too large",
  not_utf8: "the text is not UTF-8",
  not_json: "the payload is not JSON",
  not_a_number: "the payload is not a number",
  malformed: "the payload has another form than configured",
  unsupported: "a part of the format that is not supported",
  wrong_type: "a value is no number",
  not_finite: "a value is not finite (NaN, infinity)",
  no_values: "the message has no values",
  bad_timestamp: "the time cannot be read",
  future_timestamp: "the time lies in the future: check the sender's clock",
  bad_quality: "the source says that the value is bad",
  retained: "kept by the broker, without a time of its own: no news",
  unknown_machine: "nothing in the message names its machine",
  unknown_channel: "a channel that the machine did not have when it was learnt",
  too_many_machines: "more machines than allowed",
  too_many_channels: "more channels than allowed",
  internal_error: "a fault of the agent itself: please report it",
};
