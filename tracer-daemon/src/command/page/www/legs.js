// One flow as its legs: who passed it to whom, and where it ended.

import { svg } from "./classes.js";

const WIDTH = 600;
const BOX = { width: 118, height: 46 };
const TOP = 14;

const FAILED = new Set(["refused", "reset", "timed-out", "unreachable", "abandoned", "dropped"]);

/** `end`: the place of the last step where that is known (`source-proxy`, `destination-proxy`, ...). */
export function legs(flow, end) {
  const by = (kind) => flow.legs.filter((leg) => leg.kind === kind).at(-1);
  const [app, capture, upstream, inbound, local] = ["app", "capture", "upstream", "inbound", "local"].map(by);
  const sidecar = (party) => party.mesh === "sidecar" || party.mesh === "ambient";
  const places = [{ at: "source", name: flow.source, sub: "application", seen: true }];
  if (capture || upstream) places.push({ at: "source-proxy", name: "its proxy", sub: "source", seen: true });
  if (inbound || local || (sidecar(flow.server) && flow.class !== "unmeshed")) {
    places.push({ at: "destination-proxy", name: "its proxy", sub: "destination", seen: Boolean(inbound || local) });
  }
  const reached = Boolean(local) || (places.length === 1 && app?.outcome === "established") || flow.class !== "rejected";
  places.push({ at: "application", name: flow.target, sub: "application", seen: reached });

  // Of two sockets of one connection the one that knows its end says more.
  const between = (from, to) => {
    if (to.at === "source-proxy") return [capture, app];
    if (to.at === "destination-proxy") return from.at === "source-proxy" ? [inbound, upstream] : [inbound, app];
    if (from.at === "destination-proxy") return [local];
    return from.at === "source-proxy" ? [upstream] : [app];
  };
  const refusedAt = flow.class === "rejected" ? culprit(places, end, between) : -1;

  const gap = (WIDTH - BOX.width * places.length) / Math.max(places.length - 1, 1);
  const x = (index) => index * (BOX.width + gap);
  const drawing = svg("svg", { class: "legs", viewBox: `-2 0 ${WIDTH + 4} 96`, role: "img" },
    svg("title", {}, `${flow.source} to ${flow.target}: ${flow.class}, ${flow.why}`));
  for (const [index, place] of places.entries()) {
    const refusing = index === refusedAt;
    const group = svg("g", { class: `box${place.seen ? "" : " ghost"}${refusing ? " refusing" : ""}` },
      svg("rect", { x: x(index), y: TOP, width: BOX.width, height: BOX.height, rx: 7 }),
      svg("text", { x: x(index) + BOX.width / 2, y: TOP + 20, "text-anchor": "middle" }, clipped(place.name), svg("title", {}, place.name)),
      svg("text", { x: x(index) + BOX.width / 2, y: TOP + 36, "text-anchor": "middle", class: "sub" }, place.sub));
    if (refusing) {
      group.append(svg("text", { x: x(index) + BOX.width / 2, y: TOP + BOX.height + 16, "text-anchor": "middle", class: "broken-text" },
        index === places.length - 1 && !place.seen ? "not reached" : "ends here"));
    }
    drawing.append(group);
    if (index + 1 === places.length) continue;
    const [left, right, middle, y] = [x(index) + BOX.width, x(index + 1), x(index) + BOX.width + gap / 2, TOP + BOX.height / 2];
    const known = between(place, places[index + 1]).filter(Boolean);
    const leg = known.find((leg) => FAILED.has(leg.outcome)) ?? known[0];
    const beyond = refusedAt >= 0 && index >= refusedAt;
    const broken = refusedAt === index + 1;
    drawing.append(svg("line", { class: `wire${beyond || broken || !leg ? " broken" : ""}`, x1: left, x2: right - 7, y1: y, y2: y }));
    if (!beyond) drawing.append(svg("path", { d: `M${right - 8},${y - 4} L${right - 1},${y} L${right - 8},${y + 4}`, class: "wire" }));
    if (broken) {
      drawing.append(svg("path", { class: "cross", d: `M${middle - 6},${y - 6} l12,12 m0,-12 l-12,12` }));
    }
    if (leg) {
      const by = leg.reset_by ? ` by the ${leg.reset_by}` : "";
      drawing.append(svg("text", { x: middle, y: TOP + BOX.height + 16 + (gap < 60 ? 14 : 0), "text-anchor": "middle", class: "sub" },
        leg.outcome, svg("title", {}, `${leg.kind}: ${leg.client} to ${leg.server}, ${leg.outcome}${by}`)));
    }
  }
  return drawing;
}

/** Whose doing it was: the place of the last step, else behind the first leg that failed. */
function culprit(places, end, between) {
  const told = places.findIndex((place) => place.at === end);
  if (told > 0) return told;
  for (let index = 1; index < places.length; index += 1) {
    if (between(places[index - 1], places[index]).some((leg) => leg && FAILED.has(leg.outcome))) return index;
  }
  return places.length - 1;
}

/** The beginning says whose it is, the end which one. */
function clipped(name, most = 18) {
  return name.length <= most ? name : `${name.slice(0, most / 2 - 1)}…${name.slice(-most / 2)}`;
}
