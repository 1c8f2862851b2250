// The top of the page, and the one sentence that says how things stand.

import { byId, setText, setTitle } from "./dom.js";
import { clock, duration, plural, UNKNOWN } from "./words.js";

const BADGES = { dry_run: "DRY RUN", active: "ACTIVE" };

export function renderHead(state) {
  const badge = byId("mode-badge");
  setText(badge, BADGES[state.mode] ?? "NO CATALOGUE");
  badge.dataset.mode = state.mode ?? "unknown";
  setText(byId("mode-words"), state.mode_words.replace(/^[^:]*: /, ""));
  const age = state.tick.last_success_age_seconds;
  setText(byId("tick-age"), age === null ? "none yet" : `${duration(age)} ago`);
  renderLedger(byId("ledger"), state.ledger);
  setText(byId("endpoint"), state.gateway.is_left_out ? "your own gateway" : (state.gateway.url ?? UNKNOWN));
  const { version, digest } = state.catalogue;
  const catalogue = digest ? `catalogue version ${version} (${digest.slice(0, 12)})` : "no catalogue";
  setText(byId("version"), `Foresail ${state.foresail_version} · ${catalogue}`);
}

function renderLedger(node, ledger) {
  const checked = { true: "verified", false: "NOT INTACT", null: "not verified yet" };
  setText(node, ledger ? `${plural(ledger.record_count, "record")}, ${checked[ledger.is_intact]}` : UNKNOWN);
  node.className = ledger?.is_intact === false ? "bad" : "";
  setTitle(node, ledger?.findings.join("\n") ?? "");
}

// Announced to screen readers, so it changes only when the state of things does: no counting numbers.
export function renderStatus(state) {
  const [level, sentence] = broken(state) ?? troubled(state) ?? well(state);
  show(level, sentence);
}

export function renderGone(sinceTimestampSeconds, hasState) {
  const rest = hasState ? " What you see is from before." : "";
  show("bad", `The controller does not answer since ${clock(sinceTimestampSeconds)}.${rest}`);
}

function show(level, sentence) {
  const node = byId("status");
  node.dataset.level = level;
  setText(node, sentence);
}

function broken(state) {
  if (state.ledger?.is_intact === false) return ["bad", `The ledger is not intact: ${state.ledger.findings[0] ?? "run foresail ledger verify"}`];
  if (state.tick.last_success_age_seconds === null && !state.tick.last_problem) return ["wait", "Starting: no tick has succeeded yet."];
  if (!state.is_ready) return ["bad", `Nothing is being decided: ${withoutAge(state)}.`];
  if (state.catalogue.problem) return ["warn", `The catalogue file was changed and is not taken: ${state.catalogue.problem}`];
  return null;
}

function withoutAge(state) {
  return state.tick.last_problem ?? "the last successful tick is too old";
}

function troubled(state) {
  const told = state.services.flatMap(trouble);
  return told.length > 0 ? ["warn", `${told.join("; ")}.`] : null;
}

function trouble(service) {
  const failed = service.replicas.filter((each) => each.state === "failed").length;
  const told = [];
  if (failed > 0) told.push(`${plural(failed, "replica")} failed`);
  if (service.held_requests.value > 0) told.push("requests are held");
  if (service.objectives.some((each) => each.is_met === false)) told.push("an objective is missed");
  return told.length > 0 ? [`${service.name}: ${told.join(", ")}`] : [];
}

function well(state) {
  const serving = state.services.flatMap((each) => each.replicas).filter((each) => each.state === "serving");
  return ["good", `All is well: ${plural(state.services.length, "service")}, ${plural(serving.length, "replica")} serving.`];
}
