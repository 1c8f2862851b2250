// The table of decisions; each opens to its explanation and what was considered.

import { byId, element, keepList, setText } from "./dom.js";
import { clock, number } from "./words.js";

export function renderDecisions(decisions) {
  byId("no-decisions").hidden = decisions.length > 0;
  byId("decisions-table").hidden = decisions.length === 0;
  keepList(byId("decisions"), decisions, {
    key: (each) => each.decision_id,
    make: makeRow,
    update: () => {}, // a decision never changes
  });
}

function makeRow(decision) {
  const kind = decision.action.direction ?? "hold";
  const when = element("time", "", clock(decision.decided_timestamp_seconds));
  when.dateTime = new Date(decision.decided_timestamp_seconds * 1000).toISOString();
  return element(
    "tr",
    "",
    element("td", "", when),
    element("td", "", decision.service),
    element("td", "", element("span", `action action-${kind}`, decision.action_words)),
    element("td", "", makeWhy(decision)),
    element("td", `verdict-${decision.verdict}`, decision.verdict_words),
  );
}

function makeWhy(decision) {
  const why = element("details", "", element("summary", "", decision.reason_words));
  why.append(element("p", "", decision.explanation));
  if (decision.candidates.length > 1) {
    why.append(element("ul", "", ...decision.candidates.map(makeCandidate)));
  }
  const id = element("p", "quiet");
  setText(id, `decision ${decision.decision_id}, reason ${decision.reason}, catalogue ${decision.catalogue_digest.slice(0, 12)}`);
  why.append(id);
  return why;
}

function makeCandidate({ action, value_per_hour: value, rejected_because: reason }) {
  const what = action.kind === "hold" ? "hold" : `scale ${action.direction} to ${action.to_replicas}`;
  const worth = value === null ? "cannot be valued" : `worth ${number(value, 2)} an hour`;
  const fate = reason === null ? "chosen" : `not chosen: ${reason.replaceAll("_", " ")}`;
  return element("li", "", `${what}, ${worth}, ${fate}`);
}
