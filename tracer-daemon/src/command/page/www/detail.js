// Everything about one flow that a person acts on: what became of it, its legs, why, what to do.

import { badge, html } from "./classes.js";
import { legs } from "./legs.js";

/** Shows `flow` in `panel`; `close()` where it is to go. The steps and the patch come from the daemon and may be late. */
export function detail(panel, flow, close) {
  const picture = html("div", {}, legs(flow));
  const more = html("div", { "aria-live": "polite" }, html("p", { class: "quiet small" }, "asking the daemon for the way that it took ..."));
  panel.replaceChildren(
    html("button", { class: "close", "aria-label": "Close", onclick: close }, "✕"),
    html("h2", {}, badge(flow.class), html("span", {}, flow.why)),
    html("div", {}, `${flow.source} → ${flow.target}`),
    html("div", { class: "quiet small" }, `${flow.time.replace("T", " ").slice(0, 23)} UTC on ${flow.node}, ${flow.basis}, security ${flow.security}, ${flow.outcome}`),
    picture,
    html("p", {}, flow.explanation),
    html("p", { class: "remedy" }, flow.remedy),
    more,
    seen(flow));
  panel.hidden = false;
  panel.scrollTop = 0;
  explained(flow.id).then(
    (answer) => {
      if (answer.steps.length > 0) picture.replaceChildren(legs(flow, answer.steps.at(-1).at));
      more.replaceChildren(...told(answer));
    },
    (error) => more.replaceChildren(html("p", { class: "quiet small" }, `no steps and no patch: ${error.message}`)));
}

/** What the daemon says of the flow now. */
export async function explained(id) {
  const answer = await fetch(`explain/${encodeURIComponent(id)}`);
  const said = await answer.json();
  if (said.error) throw new Error(said.error);
  return said;
}

/** A shell's line with the objects, and a button that takes it along. */
export function patch({ patch, patched }) {
  if (!patch) return [];
  const command = `kubectl apply --server-side --force-conflicts -f - <<'EOF'\n${patch.trimEnd()}\nEOF\n`;
  const button = html("button", {
    onclick: async () => {
      button.textContent = await copied(command) ? "copied" : "select and copy by hand";
      setTimeout(() => { button.textContent = "copy"; }, 2000);
    },
  }, "copy");
  const then = patched ? `With this it is ${[patched.class, patched.reason].filter(Boolean).join(" ")}, security ${patched.security}:` : "";
  return [html("p", { class: "small" }, then), html("div", { class: "patch" }, html("pre", { tabindex: "0" }, command), button)];
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function told(answer) {
  const step = ({ at, says, because }) =>
    html("li", {}, html("span", { class: "at" }, `${at} `), says, html("span", { class: "quiet small" }, ` [${because}]`));
  const way = ({ class: name, reason, cause, when, steps }) => html("div", {},
    html("p", {}, badge(name), ` ${reason}${cause ? ` (${cause})` : ""}`, html("span", { class: "quiet" }, when.length ? ` if ${when.join(" or ")}` : "")),
    html("ol", { class: "steps", start: answer.steps.length + 1 }, ...steps.map(step)));
  return [
    ...patch(answer),
    ...answer.caveats.map((caveat) => html("p", { class: "quiet small" }, `Mind: ${caveat}`)),
    html("h3", {}, "The way that it took"),
    html("ol", { class: "steps" }, ...answer.steps.map(step)),
    ...answer.candidates.map(way),
  ];
}

function seen(flow) {
  const row = (...cells) => html("tr", {}, ...cells.map((cell) => html("td", {}, cell)));
  const table = (names, rows) => html("table", {},
    html("thead", {}, html("tr", {}, ...names.map((name) => html("th", { scope: "col" }, name)))), html("tbody", {}, ...rows));
  return html("div", {},
    html("h3", {}, "Legs"),
    table(["leg", "from", "to", "outcome"], flow.legs.map((leg) =>
      row(leg.kind, leg.client, leg.server, leg.outcome + (leg.reset_by ? ` by the ${leg.reset_by}` : "")))),
    html("h3", {}, "Seen"),
    table(["leg", "what", "says"], flow.evidence.map(({ leg, kind, says }) => row(leg, kind, says))),
    flow.events_lost > 0 ? html("p", { class: "rejected" }, `${flow.events_lost} kernel events were lost while it lived: read this with doubt.`) : null,
    html("p", { class: "quiet small" }, `${flow.bytes_sent} bytes sent, ${flow.bytes_received} received. mesh-tracer explain ${flow.id}`));
}
