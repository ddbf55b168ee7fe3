// Of the flows that pass the filter those in trouble, by cause: `mesh-tracer why` from what this page knows.

import { badge, html } from "./classes.js";
import { explained, patch } from "./detail.js";
import { whole } from "./flows.js";

/** Pairs of ends that are named. */
const PAIRS = 5;
/** Causes that are shown. */
const CAUSES = 25;

/** `{ flow, count, first, last, pairs }`, refused ones first, then those that happened most. */
export function causes(flows) {
  const groups = new Map();
  for (const flow of flows) {
    if (flow.class !== "rejected" && flow.class !== "undetermined") continue;
    const key = `${flow.class} ${flow.why} ${flow.place}`;
    let group = groups.get(key);
    if (group === undefined) groups.set(key, group = { to: flow.place, count: 0, first: flow.time, pairs: new Map() });
    group.count += 1;
    group.flow = flow;
    group.last = flow.time;
    const pair = group.pairs.get(flow.pair);
    if (pair === undefined) group.pairs.set(flow.pair, { count: 1, flow });
    else Object.assign(pair, { count: pair.count + 1, flow });
  }
  const rank = (group) => group.flow.class === "rejected" ? 0 : 1;
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || b.count - a.count);
}

/** `about`: how whoever asked spelled it; `unknown`: why there may be more; `open(flow)`. */
export function why(view, flows, about, unknown, open) {
  const found = causes(flows);
  const heading = found.length === 0
    ? flows.length === 0 ? "No flow passes the filter, so nothing can be said." : `Nothing is wrong among ${flows.length} flows.`
    : `${found.reduce((sum, group) => sum + group.count, 0)} of ${flows.length} flows, ${found.length} ${found.length === 1 ? "cause" : "causes"}`;
  view.replaceChildren(
    html("p", { class: "empty" }, about === "" ? "Type a pod, a workload or a Service above to ask about it alone." : `About ${about}`),
    html("p", { role: "status" }, html("strong", {}, heading)),
    ...found.slice(0, CAUSES).map((group) => cause(group, open)),
    found.length > CAUSES ? html("p", { class: "empty" }, `${found.length - CAUSES} more: a narrower filter shows them.`) : "",
    unknown.length > 0 ? html("div", { class: "empty" }, html("strong", {}, "Not known"), html("ul", {}, ...unknown.map((says) => html("li", {}, says)))) : "");
}

function cause({ flow, to, count, first, last, pairs }, open) {
  const { explanation, remedy } = whole(flow);
  const mend = html("div", {});
  const button = html("button", {
    onclick: () => {
      button.hidden = true;
      explained(flow.id).then(
        (answer) => mend.replaceChildren(...(answer.patch ? patch(answer) : [html("p", { class: "quiet" }, "No object does it: see what to do above.")])),
        (error) => mend.replaceChildren(html("p", { class: "quiet" }, `no patch: ${error.message}`)));
    },
  }, "Show a patch");
  const most = [...pairs].sort(([, a], [, b]) => b.count - a.count);
  return html("article", { class: "cause" },
    html("h2", {}, badge(flow.class), html("span", {}, flow.why)),
    html("div", { class: "quiet" }, `${count} to ${to}, ${first.slice(11, 19)}${first === last ? "" : ` to ${last.slice(11, 19)}`} UTC`),
    html("ul", {}, ...most.slice(0, PAIRS).map(([pair, { count, flow }]) =>
      html("li", {}, html("span", {}, String(count)), html("button", { onclick: () => open(flow) }, pair)))),
    most.length > PAIRS ? html("div", { class: "quiet small" }, `and ${most.length - PAIRS} other pairs`) : null,
    html("p", {}, explanation),
    html("p", { class: "remedy" }, remedy),
    button, mend);
}
