// GPUs in use over time, one layer per service. Colour says which service, texture which tier.

import { element, svg } from "./dom.js";
import { COLOURS } from "./pools.js";
import { dayClock, isLive, momentClock } from "./fleet_words.js";

const WIDTH = 600;
const HEIGHT = 150;
const LEFT = 24;
const BOTTOM = 16;
const TOP = 6;
const TEXTURES = { critical: null, standard: "hatch", batch: "dots" };

export function makeChart() {
  const frame = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  frame.append(textures(), svg("g", { class: "layers" }), svg("g", { class: "axes" }));
  return element("figure", "stack", frame);
}

function textures() {
  const defs = svg("defs");
  const hatch = svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  hatch.append(svg("rect", { width: 2, height: 6, class: "ink" }));
  const dots = svg("pattern", { id: "dots", width: 6, height: 6, patternUnits: "userSpaceOnUse" });
  dots.append(svg("circle", { cx: 3, cy: 3, r: 1.4, class: "ink" }));
  defs.append(hatch, dots);
  return defs;
}

export function drawChart(node, side, fleet) {
  const frame = node.firstChild;
  const scale = scales(fleet);
  const [, layers, axes] = frame.children;
  layers.replaceChildren(...stacked(side, fleet, scale));
  axes.replaceChildren(...grid(fleet, scale));
  frame.setAttribute("aria-label", label(side, fleet));
}

function label(side, fleet) {
  const now = fleet.services.map(({ name }) => `${name} ${side.timeline_gpus[name].at(-1) ?? 0}`).join(", ");
  return `GPUs in use since ${dayClock(0, fleet)}; at ${momentClock(fleet.now_seconds, fleet)} ${side.gpus_in_use} of ${fleet.gpus}: ${now}`;
}

function scales(fleet) {
  return {
    x: (seconds) => LEFT + ((WIDTH - LEFT) * seconds) / fleet.end_seconds,
    y: (gpus) => TOP + (HEIGHT - BOTTOM - TOP) * (1 - gpus / fleet.gpus),
  };
}

function stacked(side, fleet, scale) {
  const below = side.timeline_seconds.map(() => 0);
  return fleet.services.flatMap((service, index) => {
    const lower = [...below];
    side.timeline_gpus[service.name].forEach((count, at) => { below[at] += count; });
    const outline = area(side.timeline_seconds, lower, below, fleet.now_seconds, scale);
    const colour = svg("path", { d: outline, class: `layer fill-${index % COLOURS}` });
    const texture = TEXTURES[service.tier];
    return texture ? [colour, svg("path", { d: outline, fill: `url(#${texture})` })] : [colour];
  });
}

// A band of steps: each value holds until the next moment, the last one until now.
function area(times, lower, upper, now, { x, y }) {
  if (times.length === 0) return "";
  const ends = [...times.slice(1), Math.max(now, times.at(-1))];
  const top = times.map((time, at) => `${x(time)},${y(upper[at])} ${x(ends[at])},${y(upper[at])}`);
  const back = times.map((time, at) => `${x(ends[at])},${y(lower[at])} ${x(time)},${y(lower[at])}`).reverse();
  return `M${top.join(" L")} L${back.join(" L")} Z`;
}

function grid(fleet, { x, y }) {
  const marks = [];
  for (let gpus = 0; gpus <= fleet.gpus; gpus += 2) {
    marks.push(svg("line", { x1: LEFT, x2: WIDTH, y1: y(gpus), y2: y(gpus), class: "rule" }));
    marks.push(text(LEFT - 4, y(gpus) + 3, String(gpus), "end"));
  }
  const unit = isLive(fleet) ? 60 : 1800;
  const step = Math.max(unit, Math.ceil(fleet.end_seconds / 5 / unit) * unit);
  for (let at = 0; at < fleet.end_seconds; at += step) {
    marks.push(text(x(at), HEIGHT - 4, dayClock(at, fleet), at === 0 ? "start" : "middle"));
  }
  return marks;
}

function text(x, y, words, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}
