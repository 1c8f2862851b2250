// One policy: its figures, its GPUs over time, how each tier fares, each service, and its last changes.

import { element, keepList, setText } from "./dom.js";
import { COLOURS } from "./pools.js";
import { drawChart, makeChart } from "./fleet_chart.js";
import { isLive, momentClock, moveWords, replicaWords } from "./fleet_words.js";
import { number, percent } from "./words.js";

const SHOWN_MOVES = 12;

export function makeSide(side) {
  const title = element("h2", "", side.name);
  title.id = `side-${side.name}`;
  const node = element("section", "side", title, makeFigures(), makeChart(), element("ul", "tiers"), makeTable(), makeMoves(title.id));
  node.setAttribute("aria-labelledby", title.id);
  node.children[3].setAttribute("aria-label", "Tiers");
  return node;
}

function makeFigures() {
  const figure = (name) => element("div", "", element("dt", "", name), element("dd"));
  return element("dl", "figures", figure("GPU-hours so far"), figure("GPUs in use"), figure("Replicas changed"));
}

function makeTable() {
  const head = element("tr", "", ...["Service", "Replicas", "Kept so far"].map((name) => {
    const cell = element("th", "", name);
    cell.scope = "col";
    return cell;
  }));
  return element("table", "fleet-services", element("thead", "", head), element("tbody"));
}

function makeMoves(titleId) {
  const list = element("ul", "moves");
  const box = element("div", "moves-box", element("h3", "", "Last changes"), list);
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `Last changes of ${titleId.replace("side-", "")}`);
  return box;
}

export function updateSide(node, side, fleet) {
  const [, figures, chart, tiers, table, moves] = node.children;
  const values = [number(side.gpu_hours, isLive(fleet) ? 2 : 1), `${side.gpus_in_use} of ${fleet.gpus}`, number(side.changes, 0)];
  values.forEach((value, at) => setText(figures.children[at].children[1], value));
  drawChart(chart, side, fleet);
  keepList(tiers, side.tiers, { key: (each) => each.name, make: makeTier, update: updateTier });
  const rows = side.services.map((now, index) => ({ now, index, service: fleet.services[index] }));
  keepList(table.children[1], rows, { key: ({ now }) => now.name, make: makeRow, update: updateRow });
  keepList(moves.children[1], side.moves.slice(0, SHOWN_MOVES), {
    key: (move) => `${move.at_seconds}/${move.service}/${move.to_replicas}`,
    make: (move) => makeMove(move, fleet),
    update: () => {}, // what was decided stays so
    nothing: "nothing was changed yet",
  });
}

function makeTier() {
  const meter = element("span", "meter", element("i"), element("b"));
  meter.setAttribute("aria-hidden", "true"); // the words beside it say the same
  return element("li", "", element("strong"), meter, element("span"));
}

// Only the last tenth of the scale tells one policy from another: it fills the meter.
function share(ratio) {
  return `${Math.max(0, Math.min(1, (ratio - 0.8) / 0.2)) * 100}%`;
}

function updateTier(node, tier) {
  const [name, meter, words] = node.children;
  const known = tier.attainment_ratio !== null;
  node.className = known ? (tier.is_met ? "met" : "missed") : "unjudged";
  setText(name, tier.name);
  meter.children[0].style.width = known ? share(tier.attainment_ratio) : "0";
  meter.children[1].style.left = share(tier.target_ratio);
  const judged = known ? `${percent(tier.attainment_ratio)} kept, ${tier.is_met ? "target met" : "target missed"}` : "nothing judged yet";
  setText(words, `${judged} (target ${percent(tier.target_ratio)})`);
}

function makeRow({ service, index }) {
  const swatch = element("i", `swatch hue-${index % COLOURS} tier-${service.tier}`);
  swatch.setAttribute("aria-hidden", "true");
  const name = element("th", "", swatch, service.name, element("small", "", ` ${service.tier}`));
  name.scope = "row";
  return element("tr", "", name, element("td"), element("td"));
}

function updateRow(node, { now, service }) {
  const [, replicas, kept] = node.children;
  setText(replicas, replicaWords(now));
  replicas.className = now.waiting_replicas > 0 || now.held_requests > 0 ? "attention" : "";
  const ratio = now.attainment_ratio;
  const isMissed = ratio !== null && ratio < service.target_ratio;
  setText(kept, ratio === null ? "no request yet" : `${percent(ratio)}${isMissed ? " missed" : ""}`);
  kept.className = isMissed ? "missed" : "";
}

function makeMove(move, fleet) {
  const when = element("time", "quiet", momentClock(move.at_seconds, fleet));
  const what = element("strong", "", moveWords(move));
  const why = element("span", "", `: ${move.reason}`);
  if (!move.explanation) return element("li", "", when, " ", what, why);
  const more = element("details", "", element("summary", "", when, " ", what, why), element("p", "", move.explanation));
  return element("li", "", more);
}
