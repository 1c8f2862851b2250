// Times and counts of a fleet as people read them.

import { plural } from "./words.js";

export function isLive(fleet) {
  return fleet.kind === "live";
}

// The time of the recorded day, such as 09:30.
export function dayClock(atSeconds, { start_of_day_seconds: start }) {
  const minutes = Math.floor((start + atSeconds) / 60);
  const two = (value) => String(value).padStart(2, "0");
  return `${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
}

// The same to the second where minutes are the whole of it.
export function momentClock(atSeconds, fleet) {
  if (!isLive(fleet)) return dayClock(atSeconds, fleet);
  const seconds = Math.floor(fleet.start_of_day_seconds + atSeconds) % 60;
  return `${dayClock(atSeconds, fleet)}:${String(seconds).padStart(2, "0")}`;
}

export function replicaWords(service) {
  const parts = [
    [service.serving_replicas, "serving"],
    [service.starting_replicas, "starting"],
    [service.draining_replicas, "draining"],
    [service.waiting_replicas, "waiting for a GPU"],
  ].filter(([count]) => count > 0);
  const held = service.held_requests > 0 ? [`${plural(service.held_requests, "request")} held`] : [];
  const words = [...parts.map(([count, word]) => `${count} ${word}`), ...held];
  return words.length === 0 ? "none runs" : words.join(", ");
}

export function moveWords(move) {
  if (move.from_replicas === move.to_replicas) return `${move.service} stays at ${move.to_replicas}`;
  return `${move.service} ${move.from_replicas} → ${move.to_replicas}`;
}
