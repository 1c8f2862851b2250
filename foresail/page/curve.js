// A small curve of the recent demand. Bins that nobody measured are gaps, not zeros.

import { element, setText, svg } from "./dom.js";
import { duration, number } from "./words.js";

const WIDTH = 100;
const HEIGHT = 30;

export function makeCurve() {
  const frame = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  frame.append(svg("path", { class: "area" }), svg("path", { class: "line" }));
  return element("figure", "curve", frame, element("figcaption", "quiet"));
}

export function drawCurve(node, { bins_requests_per_second: bins, bin_seconds: binSeconds }) {
  const [frame, caption] = node.children;
  const known = bins.filter((value) => value !== null);
  const peak = Math.max(0, ...known);
  const words = known.length === 0
    ? "no history yet"
    : `last ${duration(bins.length * binSeconds)}, peak ${number(peak, 1)}/s`;
  setText(caption, words);
  frame.setAttribute("aria-label", `Demand: ${words}`);
  const runs = knownRuns(bins, peak || 1);
  frame.children[0].setAttribute("d", runs.map(area).join(""));
  frame.children[1].setAttribute("d", runs.map(line).join(""));
}

// Stretches of neighbouring known bins, as points of the drawing.
function knownRuns(bins, peak) {
  const step = WIDTH / Math.max(1, bins.length - 1);
  const runs = [[]];
  bins.forEach((value, index) => {
    if (value === null) runs.push([]);
    else runs.at(-1).push([index * step, HEIGHT - 1.5 - (value / peak) * (HEIGHT - 4)]);
  });
  return runs.filter((run) => run.length > 0);
}

function line(run) {
  const points = run.length === 1 ? [run[0], [run[0][0] + 0.5, run[0][1]]] : run;
  return "M" + points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join("L");
}

function area(run) {
  return `${line(run)}L${run.at(-1)[0].toFixed(2)},${HEIGHT}L${run[0][0].toFixed(2)},${HEIGHT}Z`;
}
