// One card per service: replicas, demand, what waits, objectives, the last decision.

import { byId, element, keepList, setText, setTitle } from "./dom.js";
import { COLOURS } from "./pools.js";
import { drawCurve, makeCurve } from "./curve.js";
import { clock, doubt, duration, number, percent, plural, UNKNOWN } from "./words.js";

export function renderServices(state) {
  keepList(byId("services"), state.services.map((service, index) => ({ service, index })), {
    key: ({ service }) => service.name,
    make: makeCard,
    update: (card, item) => updateCard(card, item, state.reported_timestamp_seconds),
    nothing: "No service is known yet.",
  });
}

function makeCard() {
  const card = element("article", "card");
  const part = (name, node) => {
    node.classList.add(name);
    card.append(node);
    return node;
  };
  part("card-head", element("header", "", element("i"), element("h3"), element("span", "quiet")));
  part("replicas", element("ul")).setAttribute("aria-label", "Replicas");
  part("demand", element("div", "", fact("Demand"), makeCurve()));
  part("waiting", element("div", "", fact("In flight"), fact("Held")));
  part("objectives", element("ul")).setAttribute("aria-label", "Objectives");
  part("said", element("p", "", element("strong"), element("span"), element("span", "quiet")));
  return card;
}

function fact(name) {
  return element("p", "fact", element("span", "quiet", name), element("b"), element("small"));
}

function updateCard(card, { service, index }, now) {
  const [head, replicas, demand, waiting, objectives, said] = card.children;
  head.children[0].className = `hue-${index % COLOURS}`;
  setText(head.children[1], service.name);
  setText(head.children[2], `${service.tier} · ${service.owner}`);
  setTitle(head.children[1], `clients ask for ${service.models.join(" or ")}`);
  keepList(replicas, service.replicas.filter((each) => each.state !== "stopped"), {
    key: (each) => each.replica_id,
    make: () => element("li", "", element("b"), element("small")),
    update: (node, each) => updateReplica(node, each, now),
    nothing: "no replica runs",
  });
  updateDemand(demand, service.demand);
  updateWaiting(waiting, service);
  keepList(objectives, service.objectives, {
    key: (each) => each.words,
    make: () => element("li", "", element("b"), element("em"), element("span"), element("small")),
    update: updateObjective,
    nothing: "no objective is declared",
  });
  updateSaid(said, service.last_decision);
}

function replicaWords(replica, now) {
  if (["serving", "draining"].includes(replica.state)) {
    return `${number(replica.in_flight_requests.value, 0)} in flight`;
  }
  const seconds = now - replica.ordered_timestamp_seconds;
  return replica.state === "failed" ? `ordered ${duration(seconds)} ago` : `for ${duration(seconds)}`;
}

function updateReplica(node, replica, now) {
  node.className = `state-${replica.state}`;
  setText(node.children[0], replica.state);
  setText(node.children[1], replicaWords(replica, now));
  setTitle(node, [replica.replica_id, replica.variant, replica.base_url].filter(Boolean).join(" · "));
}

function updateDemand(node, demand) {
  const [level, curve] = node.children;
  const isKnown = demand.requests_per_second !== null;
  setText(level.children[1], isKnown ? number(demand.requests_per_second, 1) : UNKNOWN);
  setText(level.children[2], isKnown ? "requests/s" : "");
  drawCurve(curve, demand);
}

function updateWaiting(node, service) {
  const [flying, held] = node.children;
  updateCount(flying, service.in_flight_requests);
  updateCount(held, service.held_requests);
  const isHeld = service.held_requests.value > 0;
  held.classList.toggle("attention", isHeld);
  const oldest = service.oldest_held_seconds.value;
  if (isHeld && oldest !== null) setText(held.children[2], `for ${duration(oldest)}`);
}

function updateCount(node, body) {
  setText(node.children[1], number(body.value, 0));
  setText(node.children[2], body.quality === "stale" ? `${duration(body.age_seconds)} old` : "");
  setTitle(node, doubt(body));
}

function updateObjective(node, objective) {
  const met = objective.is_met;
  node.className = met === null ? "unjudged" : met ? "met" : "missed";
  const ratio = objective.attainment_ratio;
  setText(node.children[0], ratio === null ? "not judged yet" : percent(ratio));
  setText(node.children[1], met === null ? "" : met ? "objective met" : "objective missed");
  setText(node.children[2], objective.words);
  setText(node.children[3], judgedWords(objective));
}

function judgedWords({ judged_events: judged, measured_seconds: measured }) {
  if (judged === null) return "nothing measured yet";
  return `${plural(judged, "event")} in the last ${duration(measured)}`;
}

function updateSaid(node, decision) {
  const [action, reason, when] = node.children;
  setText(action, decision ? decision.action_words : "no decision yet");
  setText(reason, decision ? `: ${decision.reason_words}` : "");
  const verdict = decision && decision.action.kind !== "hold" ? `${decision.verdict_words} · ` : "";
  setText(when, decision ? `${verdict}${clock(decision.decided_timestamp_seconds)}` : "");
}
