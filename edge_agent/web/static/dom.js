// Elements from data, and the smallest change from an old tree to a new one. Data only ever becomes text nodes and
// attribute values of fixed names: there is no way from here to markup, to a handler or to a foreign address.

const SVG = new Set(["svg", "path", "line", "rect", "circle", "text", "g", "clipPath", "defs", "title"]);

export function h(tag, attributes, ...children) {
  const node = SVG.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

// Put `wanted` children into `parent`, touching only what differs, so that focus, scroll and open details stay.
export function fill(parent, ...wanted) {
  align(parent, wanted.flat(Infinity).filter((node) => node instanceof Node));
}

function align(parent, wanted) {
  wanted.forEach((next, at) => {
    const keyed = next.nodeType === Node.ELEMENT_NODE ? next.getAttribute("data-key") : null;
    let now = parent.childNodes[at] ?? null;
    if (keyed !== null && (now === null || now.nodeType !== Node.ELEMENT_NODE || now.getAttribute("data-key") !== keyed)) {
      const found = [...parent.childNodes].find(
        (node, place) => place > at && node.nodeType === Node.ELEMENT_NODE && node.getAttribute("data-key") === keyed
      );
      if (found) {
        parent.insertBefore(found, now);
        now = found;
      } else {
        parent.insertBefore(next, now);
        return;
      }
    }
    if (now === null) parent.append(next);
    else if (!same(now, next)) parent.replaceChild(next, now);
    else if (now.nodeType === Node.TEXT_NODE) {
      if (now.data !== next.data) now.data = next.data;
    } else morph(now, next);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function same(now, next) {
  return now.nodeName === next.nodeName
    && (now.nodeType !== Node.ELEMENT_NODE || now.getAttribute("data-key") === next.getAttribute("data-key"));
}

function morph(now, next) {
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && !(name === "open" && now.nodeName === "DETAILS")) now.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  if (now.nodeName !== "INPUT") align(now, [...next.childNodes]);
}
