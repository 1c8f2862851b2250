// Who holds what of each memory pool, as one bar and in words.

import { byId, element, keepList, setText, setTitle } from "./dom.js";
import { bytes, reading } from "./words.js";

export const COLOURS = 6;

export function renderPools(state) {
  const colourOf = new Map(state.services.map((each, index) => [each.name, index % COLOURS]));
  keepList(byId("pools"), state.pools, {
    key: (pool) => pool.name,
    make: makePool,
    update: (node, pool) => updatePool(node, pool, colourOf),
    nothing: "No memory pool is known yet.",
  });
}

function makePool() {
  const head = element("p", "pool-head", element("strong"), element("span", "quiet"));
  const bar = element("div", "bar");
  bar.setAttribute("role", "img");
  return element("article", "pool", head, bar, element("ul", "legend"));
}

function updatePool(node, pool, colourOf) {
  const [head, bar, legend] = node.children;
  setText(head.firstChild, pool.name);
  const available = reading(pool.available_bytes, bytes);
  setText(
    head.lastChild,
    `${pool.kind} memory, ${bytes(pool.capacity_bytes)}; the host has ${available} left`,
  );
  const parts = poolParts(pool, colourOf);
  keepList(bar, parts, { key: (part) => part.key, make: () => element("span"), update: updateSegment });
  keepList(legend, legendParts(parts), { key: (part) => part.name, make: makeLegend, update: updateLegend });
  bar.setAttribute("aria-label", legendParts(parts).map((part) => `${part.name} ${part.words}`).join(", "));
}

function poolParts(pool, colourOf) {
  const whole = Math.max(pool.capacity_bytes, pool.held_bytes + pool.reserve_bytes);
  const held = pool.holders.map((holder) => ({
    key: holder.replica_id,
    name: holder.service,
    words: `${bytes(holder.memory_bytes)}${holder.is_measured ? "" : " expected"}`,
    title: `${holder.replica_id}, ${holder.state}`,
    hue: `hue-${colourOf.get(holder.service) ?? 0}`,
    look: `hue-${colourOf.get(holder.service) ?? 0}${holder.is_measured ? "" : " expected"}`,
    size: holder.memory_bytes,
    share: holder.memory_bytes / whole,
  }));
  const rest = [
    ["free", "free", pool.free_bytes < 0 ? `over by ${bytes(-pool.free_bytes)}` : bytes(pool.free_bytes), Math.max(0, pool.free_bytes)],
    ["reserve", "kept for others", bytes(pool.reserve_bytes), pool.reserve_bytes],
  ];
  return held.concat(rest.map(([look, name, words, size]) => (
    { key: look, name, words, title: "", look, share: size / whole }
  )));
}

// One entry per service, however many replicas hold memory for it.
function legendParts(parts) {
  const entries = new Map();
  for (const part of parts) {
    const known = entries.get(part.name);
    if (!known || part.hue === undefined) entries.set(part.name, { ...part, look: part.hue ?? part.look, count: 1 });
    else entries.set(part.name, { ...known, size: known.size + part.size, count: known.count + 1 });
  }
  return [...entries.values()].map((entry) => (
    entry.count > 1 ? { ...entry, words: `${bytes(entry.size)} in ${entry.count} replicas` } : entry
  ));
}

function updateSegment(node, part) {
  node.className = part.look;
  node.style.flexGrow = String(part.share);
  setText(node, part.share > 0.08 ? part.name : "");
  setTitle(node, `${part.name} ${part.words} ${part.title}`.trim());
}

function makeLegend() {
  return element("li", "", element("i"), element("span"), " ", element("b"));
}

function updateLegend(node, part) {
  node.children[0].className = part.look;
  setText(node.children[1], part.name);
  setText(node.children[2], part.words);
  node.classList.toggle("bad", part.words.startsWith("over by"));
}
