// The page: what is asked for stands in its address, what is known comes from the stream, each view is drawn from both.

import { CLASSES, html, mark } from "./classes.js";
import { detail } from "./detail.js";
import { compile, toggled } from "./filter.js";
import { Flows, whole } from "./flows.js";
import { graph } from "./graph.js";
import { List } from "./list.js";
import { why } from "./why.js";

/** Made once: it knows a language's habits, and that takes it a while. */
const { format: spelled } = new Intl.NumberFormat("en");
const VIEWS = ["flows", "why", "graph"];
/** Views that are drawn anew as a whole are so not more often than this. */
const REDRAW = 1000;
const STATUS = 15000;

const $ = (id) => document.getElementById(id);
const flows = new Flows();
const list = new List($("list"), $("rows"), (flow) => open(flow));
const asked = { view: "flows", q: "", flow: "" };
let passes = compile("");
let shown = [];
/** What each daemon says of itself. */
let statuses = [];
let redraw = null;

function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  asked.view = VIEWS.includes(said.get("view")) ? said.get("view") : "flows";
  asked.q = said.get("q") ?? "";
  asked.flow = said.get("flow") ?? "";
}

function write() {
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(asked)) if (value !== "" && !(key === "view" && value === "flows")) said.set(key, value);
  history.replaceState(null, "", `#${said}`);
}

function ask(change) {
  const same = (change.q ?? asked.q) === asked.q;
  Object.assign(asked, change);
  write();
  apply(same);
}

/** All of it, from what is asked; `same`: the filter is what it was. */
function apply(same) {
  if ($("query").value !== asked.q) $("query").value = asked.q;
  for (const view of VIEWS) {
    $(`tab-${view}`).setAttribute("aria-selected", view === asked.view);
    $(`view-${view}`).hidden = view !== asked.view;
  }
  if (!same) {
    passes = compile(asked.q);
    shown = flows.kept.filter(passes);
  }
  list.show(shown);
  select();
  count();
  draw();
}

/** The flow that is asked for, as soon as it is there. */
function select() {
  const flow = asked.flow === "" ? null : flows.byId.get(asked.flow) ?? null;
  if (flow === null) {
    $("detail").hidden = true;
    if (asked.flow === "") return;
  } else if ($("detail").hidden || $("detail").flow !== flow || $("detail").date !== flow.time) {
    Object.assign($("detail"), { flow, date: flow.time });
    detail($("detail"), { ...whole(flow), ...flow }, () => ask({ flow: "" }));
  }
  if (flow !== null && list.chosen !== flow) list.choose(flow);
}

function open(flow) {
  ask({ flow: flow.id });
}

function draw() {
  if (asked.view === "why") why($("view-why"), shown, asked.q, unknown(), open);
  if (asked.view === "graph") graph($("view-graph"), shown, (term) => ask({ view: "flows", q: term }));
}

flows.onchange((added, changed) => {
  const more = added.filter(passes);
  if (changed) shown = flows.kept.filter(passes);
  else shown.push(...more);
  list.show(shown, more.length);
  if (asked.flow !== "") select();
  redraw ??= setTimeout(() => {
    redraw = null;
    count();
    if (document.visibilityState === "visible" && !$("view-why").matches(":focus-within")) draw();
  }, asked.view === "flows" ? 200 : REDRAW);
});

function count() {
  const hidden = flows.kept.length - shown.length;
  $("count").textContent = `${spelled(shown.length)} flows${hidden > 0 ? `, ${spelled(hidden)} others do not pass the filter` : ""}`;
  const trouble = unknown();
  $("state").textContent = flows.connected && trouble.length === 0 ? ["live", ...statuses.map((status) => status.node)].join(", ") : trouble[0] ?? flows.said;
  $("state").title = trouble.join("\n");
  $("state").classList.toggle("trouble", trouble.length > 0);
  const by = {};
  for (const flow of shown) by[flow.class] = (by[flow.class] ?? 0) + 1;
  for (const button of $("classes").children) {
    button.querySelector("b").textContent = spelled(by[button.name] ?? 0);
    button.setAttribute("aria-pressed", asked.q.split(/\s+/).includes(`class:${button.name}`));
  }
}

/** What keeps all this from being whole. */
function unknown() {
  const says = [];
  if (!flows.connected || flows.refused) says.push(flows.said);
  if (flows.lost.records > 0) says.push(`${flows.lost.records} records were lost on their way here`);
  if (flows.lost.events > 0) says.push(`${flows.lost.events} kernel events were lost: flows may be missing or told with doubts`);
  if (flows.skipped > 0) says.push(`${flows.skipped} lines could not be read`);
  for (const status of statuses) {
    const of = statuses.length > 1 ? `node ${status.node}: ` : "";
    says.push(...missing(status).map((text) => of + text));
  }
  return says;
}

/** What one daemon lacks. */
function missing(status) {
  if (status.error) return [status.error];
  const says = [];
  if (!status.ready) says.push(`the daemon waits for ${status.waiting_for.join(", ")}`);
  for (const hook of status.hooks) if (!hook.attached) says.push(`hook ${hook.name} is off: ${hook.off_because ?? "no reason given"}`);
  for (const facts of status.facts) {
    if (facts.why) says.push(`${facts.kind}: ${facts.state ?? "failing"}: ${facts.why}`);
    else if (!facts.synced) says.push(`${facts.kind}: not all of them are known yet`);
  }
  return says;
}

async function watchStatus() {
  try {
    const answer = await fetch("status");
    const lines = (await answer.text()).split("\n");
    statuses = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
  } catch {
    statuses = [];
  }
  count();
  setTimeout(watchStatus, STATUS);
}

function step(by) {
  const flow = list.neighbour(by);
  if (flow === null) return;
  list.choose(flow);
  if (!$("detail").hidden) open(flow);
}

const KEYS = {
  "/": () => { $("query").focus(); $("query").select(); },
  "?": () => $("help").showModal(),
  "j": () => step(1), "ArrowDown": () => step(1),
  "k": () => step(-1), "ArrowUp": () => step(-1),
  "Enter": () => { if (list.chosen !== null) open(list.chosen); },
  "1": () => ask({ view: "flows" }), "2": () => ask({ view: "why" }), "3": () => ask({ view: "graph" }),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const typing = event.target === $("query");
  if (event.key === "Escape") {
    if (typing) $("list").focus();
    else if (!$("detail").hidden) ask({ flow: "" });
    else if (asked.q !== "") ask({ q: "" });
    event.preventDefault();
  } else if (typing) {
    if (event.key === "Enter") $("list").focus();
  } else if (event.key in KEYS && !(event.key === "Enter" && event.target.closest("button, a"))) {
    KEYS[event.key]();
    event.preventDefault();
  }
});

for (const name of Object.keys(CLASSES)) {
  $("classes").append(html("button", { name, title: CLASSES[name].says, "aria-pressed": "false", onclick: () => ask({ q: toggled(asked.q, `class:${name}`) }) },
    mark(name), name, html("b", {}, "0")));
}
for (const view of VIEWS) $(`tab-${view}`).addEventListener("click", () => ask({ view }));
let typed = null;
$("query").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(() => ask({ q: $("query").value }), 80);
});
$("show-help").addEventListener("click", () => $("help").showModal());
window.addEventListener("hashchange", () => { read(); apply(false); });

read();
apply(false);
$("list").focus();
flows.follow();
watchStatus();
