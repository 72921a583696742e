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

export function range(low, high) {
  return low === null || high === null ? "not learnt yet" : `${figure(low)} to ${figure(high)}`;
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
  normal: ["●", "Normal"],
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
  unknown_channel: "a channel that the machine did not have when it was learnt",
  too_many_machines: "more machines than allowed",
  too_many_channels: "more channels than allowed",
  internal_error: "a fault of the agent itself: please report it",
};
