// Numbers as people read them. Missing is said, never shown as 0.

export const UNKNOWN = "unknown";

const SIZES = [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]];

export function number(value, digits = 1) {
  if (value === null || value === undefined) return UNKNOWN;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const [unit, size] = SIZES.find(([, each]) => Math.abs(value) >= each) ?? ["B", 1];
  return `${number(value / size, Math.abs(value) / size < 10 ? 1 : 0)} ${unit}`;
}

// Rounded down, so that 99.96 % never reads as a target of 100 %.
export function percent(ratio) {
  if (ratio === null || ratio === undefined) return UNKNOWN;
  return `${number(Math.floor(ratio * 1000 + 1e-9) / 10, 1)} %`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds < 10) return `${number(seconds, seconds < 1 ? 1 : 0)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function clock(timestampSeconds) {
  return new Date(timestampSeconds * 1000).toLocaleTimeString("en-GB");
}

export function plural(count, word) {
  const shown = number(count, 0); // estimated counts are no whole numbers
  return `${shown} ${word}${shown === "1" ? "" : "s"}`;
}

// A reading as text; a stale one says how old it is.
export function reading(body, write = number) {
  if (body.value === null) return UNKNOWN;
  const text = write(body.value);
  return body.quality === "stale" ? `${text} (${duration(body.age_seconds)} old)` : text;
}

// Why a reading is not fresh, for the tooltip; empty when it is.
export function doubt(body) {
  if (body.quality === "missing") {
    return `${body.missing_reason?.replaceAll("_", " ")} (${body.source})`;
  }
  return body.quality === "stale" ? `stale (${body.source})` : "";
}
