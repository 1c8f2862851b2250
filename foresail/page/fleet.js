// Asks the demo twice a second and shows its sides: two of a replay, one of a live fleet. It never changes anything.

import { byId, keepList, setText } from "./dom.js";
import { makeSide, updateSide } from "./fleet_side.js";
import { isLive, momentClock } from "./fleet_words.js";
import { number, plural } from "./words.js";

const POLL_MILLISECONDS = 500;
const TIMEOUT_MILLISECONDS = 4000;

let isOver = false;

async function refresh() {
  const answer = await fetch("v1/fleet", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
  if (!answer.ok) throw new Error(`v1/fleet answered ${answer.status}`);
  const fleet = await answer.json();
  document.body.classList.remove("gone");
  renderHead(fleet);
  keepList(byId("sides"), fleet.sides, {
    key: (side) => side.name,
    make: makeSide,
    update: (node, side) => updateSide(node, side, fleet),
  });
  isOver = fleet.is_over;
}

function renderHead(fleet) {
  const live = isLive(fleet);
  setText(byId("badge"), live ? "LIVE" : "REPLAY");
  setText(byId("clock"), momentClock(fleet.now_seconds, fleet));
  setText(byId("speed"), `${number(fleet.speed_ratio, 0)} × recorded`);
  const where = live ? `${fleet.gpus} emulated GPUs, real HTTP; no peer runs beside` : `${fleet.gpus} GPUs on each side, the same requests for both`;
  setText(byId("what"), `${fleet.services.length} services, ${where}`);
  byId("live-note").hidden = !live;
  document.title = live ? "Foresail: a live fleet" : "Foresail: a fleet beside a peer";
  const came = fleet.sides.map((side) => compared(side, fleet)).join("; ");
  say(fleet.is_over ? "good" : "wait", `${fleet.is_over ? "Done" : "Running"}: ${came}.`);
}

function compared(side, { services }) {
  const judged = side.services.map((now, at) => [now, services[at]]).filter(([now]) => now.attainment_ratio !== null);
  const missed = judged.filter(([now, { target_ratio: target }]) => now.attainment_ratio < target);
  if (judged.length === 0) return `${side.name} has nothing judged yet`;
  const which = judged.length === services.length ? `all ${services.length} services` : `the ${plural(judged.length, "service")} judged so far`;
  if (missed.length === 0) return `${side.name} keeps the targets of ${which}`;
  return `${side.name} misses the target of ${missed.map(([now]) => now.name).join(", ")}`;
}

function say(level, text) {
  const status = byId("status");
  status.dataset.level = level;
  setText(status, text);
}

async function poll() {
  try {
    await refresh();
  } catch (error) {
    if (!isOver) {
      console.warn(error);
      say("bad", "The demo does not answer; it may have been ended. What is shown is the last that it said.");
    } else {
      say("good", "The demo is over and its server has ended; this is how it came out.");
    }
    document.body.classList.add("gone");
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

poll();
