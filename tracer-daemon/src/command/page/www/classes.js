// What a class looks like: a colour, a shape and a letter, each of which alone tells it from the others.

const SVG = "http://www.w3.org/2000/svg";

// Shapes within 18 by 18.
const octagon = "6,1 12,1 17,6 17,12 12,17 6,17 1,12 1,6";
const diamond = "9,0 18,9 9,18 0,9";
const triangle = "9,0 18,17 0,17";
const square = "1,1 17,1 17,17 1,17";
const hexagon = "4,1 14,1 18,9 14,17 4,17 0,9";
const house = "9,0 17,6 17,17 1,17 1,6";

/** In the order in which somebody at night wants to see them. */
export const CLASSES = {
  "rejected": { letter: "R", shape: octagon, dash: "8 4", says: "did not get through" },
  "undetermined": { letter: "?", shape: diamond, dash: "2 4", says: "more than one end is possible" },
  "unmeshed": { letter: "U", shape: triangle, dash: "12 3 2 3", says: "got through, by no mesh route" },
  "headless-fallback": { letter: "H", shape: house, dash: "", says: "any Host, to exactly that pod" },
  "opaque-tcp": { letter: "T", shape: square, dash: "", says: "carried as a stream" },
  "mesh-routed": { letter: "M", shape: hexagon, dash: "", says: "routed by a declared host" },
};

/** An element of SVG. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** An element of HTML. `on...` are listeners; what is undefined is left out. */
export function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The shape with its letter; the word stands beside it. The style sheet draws both, so that a row costs a name. */
export function mark(name) {
  return html("span", { class: `mark ${name}`, "aria-hidden": "true" });
}

export function badge(name, word = name) {
  return html("span", { class: `class ${name}` }, mark(name), html("span", { class: "word" }, word.toUpperCase()));
}
