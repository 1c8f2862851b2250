// The page's only doors to the document. Text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

export function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function svg(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Writes only what differs: unchanged text keeps the reader's selection and is not announced again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setTitle(node, text) {
  if (text) node.title = text;
  else node.removeAttribute("title");
}

// Makes the children of `parent` one per item, in order, and keeps those that stay (and with them
// what the reader opened or focused). `nothing` is shown when there is no item.
export function keepList(parent, items, { key, make, update, nothing = null }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const name = `k:${key(item)}`;
    const child = known.get(name) ?? make(item);
    child.dataset.key = name;
    update(child, item);
    return child;
  });
  if (wanted.length === 0 && nothing) {
    const child = known.get("nothing") ?? element(parent.tagName === "UL" ? "li" : "p", "nothing", nothing);
    child.dataset.key = "nothing";
    wanted.push(child);
  }
  const staying = new Set(wanted);
  for (const child of [...parent.children]) if (!staying.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}
