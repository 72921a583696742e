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
  if (Math.round(seconds) < 90) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 1440)} days`;
}

export function between(first, last) {
  return span((Date.parse(last) - Date.parse(first)) / 1000);
}

// Times are those of the machines' site, where the agent says which zone that is: alerts tell the same. Without one they
// are the reader's own. A reader who is elsewhere is told the zone.
let zone;
let named;

export function useZone(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name ?? undefined });
    zone = name ?? undefined;
  } catch {
    zone = undefined; // a browser that does not know it
  }
  named = zone && zone !== Intl.DateTimeFormat().resolvedOptions().timeZone ? "short" : undefined;
}

export function clock(text, now) {
  const moment = new Date(text);
  const time = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone, timeZoneName: named });
  const day = (at) => at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: zone });
  return now && day(moment) === day(new Date(now)) ? time : `${day(moment)}, ${time}`;
}

export const STATES = {
  alarm: ["▲", "Alarm"],
  silent: ["○", "Silent"],
  failed: ["✕", "Not learnt"],
  learning: ["◑", "Almost learnt"],
  commissioning: ["◔", "Learning"],
  unscored: ["◌", "Not scored yet"],
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
  bad_quality: "the source says that the value is bad",
  retained: "kept by the broker, without a time of its own: no news",
  unknown_machine: "nothing in the message names its machine",
  unknown_channel: "a channel that the machine did not have when it was learnt, and that is not learnt beside it",
  too_many_machines: "more machines than allowed",
  too_many_channels: "more channels than allowed",
  internal_error: "a fault of the agent itself: please report it",
};
