// Namespaces and what passes between them, an edge for each class. A table beside it says the same in words.

import { CLASSES, badge, html, svg } from "./classes.js";

const SIZE = 640;
const RADIUS = 40;
/** Namespaces that are drawn; a circle of more is no picture. */
const DRAWN = 16;

/** `pick(term)`: a filter that somebody clicked on. */
export function graph(view, flows, pick) {
  const edges = new Map();
  const busy = new Map();
  for (const flow of flows) {
    const [from, to] = flow.homes;
    const key = `${from} ${to} ${flow.class}`;
    const edge = edges.get(key) ?? { from, to, class: flow.class, count: 0 };
    edge.count += 1;
    edges.set(key, edge);
    busy.set(from, (busy.get(from) ?? 0) + 1);
    if (to !== from) busy.set(to, (busy.get(to) ?? 0) + 1);
  }
  const order = Object.keys(CLASSES);
  const all = [...edges.values()].sort((a, b) => order.indexOf(a.class) - order.indexOf(b.class) || b.count - a.count);
  const names = [...busy].sort(([, a], [, b]) => b - a).slice(0, DRAWN).map(([name]) => name).sort();
  if (names.length === 0) {
    view.replaceChildren(html("p", { class: "empty" }, "No flow passes the filter."));
    return;
  }
  view.replaceChildren(html("div", { class: "graph" }, picture(names, all, pick), table(all, pick)));
  if (busy.size > DRAWN) view.append(html("p", { class: "empty" }, `${busy.size - DRAWN} more namespaces are in the table alone.`));
}

function picture(names, edges, pick) {
  const middle = SIZE / 2;
  const ring = names.length === 1 ? 0 : middle - RADIUS - 84;
  const places = new Map(names.map((name, index) => {
    const angle = (index / names.length) * 2 * Math.PI - Math.PI / 2;
    return [name, { x: middle + ring * Math.cos(angle), y: middle + ring * Math.sin(angle), angle }];
  }));
  const drawn = edges.filter((edge) => places.has(edge.from) && places.has(edge.to));
  const between = Map.groupBy(drawn, (edge) => `${edge.from} ${edge.to}`);
  const lines = svg("g", {});
  const marks = svg("g", {});
  const taken = [];
  for (const alike of between.values()) {
    for (const [index, edge] of alike.entries()) {
      const { path, along, tip } = curve(places.get(edge.from), places.get(edge.to), index);
      const at = free(along, [...places.values()], taken);
      taken.push(at);
      const { dash } = CLASSES[edge.class] ?? { dash: "" };
      if (tip) lines.append(svg("polygon", { class: edge.class, points: "0,0 -11,-5 -11,5", fill: "currentColor", transform: `translate(${tip.x},${tip.y}) rotate(${tip.turn})` }));
      lines.append(svg("path", { class: `edge ${edge.class}`, d: path, "stroke-width": 1.2 + Math.log2(1 + edge.count) / 2.5, "stroke-dasharray": dash }));
      const group = svg("g", { class: `edge-mark ${edge.class}`, transform: `translate(${at.x - 9},${at.y - 9})` },
        svg("title", {}, `${edge.from} to ${edge.to}: ${edge.count} ${edge.class}`));
      const { shape, letter } = CLASSES[edge.class] ?? { shape: "0,0 18,0 18,18 0,18", letter: "·" };
      group.append(svg("polygon", { points: shape, fill: "currentColor" }), svg("text", { x: 9, y: 13, class: "letter" }, letter));
      group.addEventListener("click", () => pick(`from:${edge.from}/ to:${edge.to}/ class:${edge.class}`));
      marks.append(group);
    }
  }
  const nodes = names.map((name) => {
    const { x, y } = places.get(name);
    const node = svg("g", { class: "node", tabindex: 0, role: "button", "aria-label": `flows of namespace ${name}` },
      svg("circle", { cx: x, cy: y, r: RADIUS }), svg("text", { x, y: y + 4 }, name.length > 11 ? `${name.slice(0, 10)}…` : name), svg("title", {}, name));
    const go = () => pick(`ns:${name}`);
    node.addEventListener("click", go);
    node.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.stopPropagation(); go(); } });
    return node;
  });
  return svg("svg", { class: "map", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-label": "Namespaces and the flows between them" }, lines, ...nodes, marks);
}

/** Where on its way a mark hides neither a namespace nor another mark; its middle, if that is nowhere. */
function free(along, places, taken) {
  const apart = (a, b, least) => Math.hypot(a.x - b.x, a.y - b.y) >= least;
  const good = (at) => places.every((place) => apart(at, place, RADIUS + 12)) && taken.every((other) => apart(at, other, 20));
  return [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82, 0.1, 0.9].map(along).find(good) ?? along(0.5);
}

/** The way of an edge and the place of its mark; classes of one pair lie beside each other. */
function curve(from, to, index) {
  if (from === to) {
    // Outwards, where no other edge is.
    const reach = RADIUS + 30 + index * 20;
    const [dx, dy] = [Math.cos(from.angle), Math.sin(from.angle)];
    const spread = 0.5;
    const side = (turn) => ({ x: from.x + Math.cos(from.angle + turn) * RADIUS, y: from.y + Math.sin(from.angle + turn) * RADIUS });
    const [a, b] = [side(-spread), side(spread)];
    const far = (turn) => ({ x: from.x + Math.cos(from.angle + turn) * reach * 1.25, y: from.y + Math.sin(from.angle + turn) * reach * 1.25 });
    const [c, d] = [far(-spread), far(spread)];
    return { path: `M${a.x},${a.y} C${c.x},${c.y} ${d.x},${d.y} ${b.x},${b.y}`, along: () => ({ x: from.x + dx * reach, y: from.y + dy * reach }) };
  }
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy);
  const [ux, uy] = [dx / length, dy / length];
  const bend = 18 + index * 26;
  const control = { x: (from.x + to.x) / 2 - uy * bend * 2, y: (from.y + to.y) / 2 + ux * bend * 2 };
  const rim = (place) => {
    const away = Math.hypot(control.x - place.x, control.y - place.y);
    return { x: place.x + (control.x - place.x) / away * RADIUS, y: place.y + (control.y - place.y) / away * RADIUS };
  };
  const [start, stop] = [rim(from), rim(to)];
  const along = (t) => {
    const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t ** 2];
    return { x: a * start.x + b * control.x + c * stop.x, y: a * start.y + b * control.y + c * stop.y };
  };
  const tip = { ...stop, turn: Math.atan2(to.y - control.y, to.x - control.x) * 180 / Math.PI };
  return { path: `M${start.x},${start.y} Q${control.x},${control.y} ${stop.x},${stop.y}`, along, tip };
}

function table(edges, pick) {
  const row = (edge) => html("tr", {},
    html("td", {}, badge(edge.class)),
    html("td", {}, html("button", { onclick: () => pick(`from:${edge.from}/ to:${edge.to}/ class:${edge.class}`) }, `${edge.from} → ${edge.to}`)),
    html("td", {}, String(edge.count)));
  return html("table", { "aria-label": "Flows between namespaces" },
    html("thead", {}, html("tr", {}, ...["class", "from → to", "flows"].map((name) => html("th", { scope: "col" }, name)))),
    html("tbody", {}, ...edges.slice(0, 60).map(row)));
}
