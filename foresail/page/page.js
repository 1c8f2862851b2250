// Asks the controller once a second and shows what it says. It never changes anything.

import { byId, keepList, element, setText } from "./dom.js";
import { renderDecisions } from "./decisions.js";
import { renderPools } from "./pools.js";
import { renderServices } from "./services.js";
import { renderGone, renderHead, renderStatus } from "./status.js";

const POLL_MILLISECONDS = 1000;
const TIMEOUT_MILLISECONDS = 4000;
const DECISIONS = "v1/decisions?last=40&changes_only=true";

let lastAnswer = null; // in milliseconds since 1970
let decidedTick = null; // the tick whose decisions the table shows
const openedAt = Date.now();

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

async function refresh() {
  const state = await ask("v1/state");
  lastAnswer = Date.now();
  document.body.classList.remove("gone");
  renderHead(state);
  renderStatus(state);
  renderPools(state);
  renderServices(state);
  renderProblems(state.problems);
  const tick = `${state.started_timestamp_seconds}/${state.tick.last_success_timestamp_seconds}`;
  if (tick !== decidedTick) {
    renderDecisions((await ask(DECISIONS)).decisions);
    decidedTick = tick;
  }
}

function renderProblems(problems) {
  byId("problems-section").hidden = problems.length === 0;
  keepList(byId("problems"), problems.map((each) => `${each.source}: ${each.message}`), {
    key: (text) => text,
    make: () => element("li"),
    update: setText,
  });
}

async function poll() {
  try {
    await refresh();
  } catch (error) {
    console.warn(error);
    document.body.classList.add("gone");
    renderGone((lastAnswer ?? openedAt) / 1000, lastAnswer !== null);
    setText(byId("tick-age"), "unknown");
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

poll();
