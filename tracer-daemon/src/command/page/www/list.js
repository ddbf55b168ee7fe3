// A list of any length with as many rows as the window shows. The newest flow is at the top.

import { badge } from "./classes.js";

export const ROW = 28;
/** Rows beyond either edge. */
const BEYOND = 3;

export class List {
  /** `open(flow)`: somebody chose it. */
  constructor(list, rows, open) {
    this.list = list;
    this.rows = rows;
    this.flows = [];
    this.pool = [];
    this.chosen = null;
    // Asked of the browser it would cost a layout, each time that flows come.
    this.top = 0;
    list.addEventListener("scroll", () => {
      this.top = list.scrollTop;
      this.later();
    }, { passive: true });
    new ResizeObserver(() => this.later()).observe(list);
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row?.flow) open(row.flow);
    });
    // What is clipped is told where the mouse rests.
    rows.addEventListener("mouseover", (event) => {
      const row = event.target.closest(".row");
      if (row?.flow) row.title = `${row.flow.source} → ${row.flow.target}\n${row.flow.class}, ${row.flow.why}`;
    });
  }

  /** All of them, oldest first. `grew`: how many of them are new; whoever scrolled down keeps what is before his eyes. */
  show(flows, grew = 0) {
    this.flows = flows;
    if (this.length !== flows.length) {
      this.length = flows.length;
      this.rows.style.height = `${flows.length * ROW}px`;
    }
    if (this.top > 0 && grew > 0) this.list.scrollTop = this.top += grew * ROW;
    this.later();
  }

  choose(flow) {
    this.chosen = flow;
    const at = this.at(flow);
    if (at >= 0) {
      const top = at * ROW;
      const { scrollTop, clientHeight } = this.list;
      if (top < scrollTop) this.list.scrollTop = top;
      else if (top + ROW > scrollTop + clientHeight) this.list.scrollTop = top + ROW - clientHeight;
    }
    this.later();
  }

  /** The flow so many rows further down. */
  neighbour(step) {
    const at = this.chosen === null ? -1 : this.at(this.chosen);
    const next = at < 0 ? Math.floor(this.list.scrollTop / ROW) : Math.min(Math.max(at + step, 0), this.flows.length - 1);
    return this.flows[this.flows.length - 1 - next] ?? null;
  }

  at(flow) {
    const at = this.flows.lastIndexOf(flow);
    return at < 0 ? -1 : this.flows.length - 1 - at;
  }

  /** Once a frame, whatever happened. */
  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { scrollTop, clientHeight } = this.list;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - BEYOND);
    const last = Math.min(this.flows.length, Math.ceil((scrollTop + clientHeight) / ROW) + BEYOND);
    while (this.pool.length < last - first) this.pool.push(this.rows.appendChild(blank()));
    this.list.removeAttribute("aria-activedescendant");
    const count = this.pool.length;
    for (let at = first; at < first + count; at += 1) {
      // By its place: what stays before somebody's eyes stays in its row.
      const row = this.pool[at % count];
      const flow = at < last ? this.flows[this.flows.length - 1 - at] : null;
      row.hidden = flow === null;
      if (flow === null) continue;
      fill(row, flow);
      if (row.at !== at) {
        row.at = at;
        row.style.transform = `translateY(${at * ROW}px)`;
        row.setAttribute("aria-posinset", at + 1);
      }
      if (row.of !== this.flows.length) row.setAttribute("aria-setsize", row.of = this.flows.length);
      if (row.chosen !== (flow === this.chosen)) row.setAttribute("aria-selected", row.chosen = flow === this.chosen);
      if (flow === this.chosen) this.list.setAttribute("aria-activedescendant", row.id);
    }
  }
}

let made = 0;

function blank() {
  const row = document.createElement("div");
  row.className = "row";
  row.id = `row-${made += 1}`;
  row.setAttribute("role", "option");
  for (const name of ["time", "what", "from", "to", "why", "security"]) {
    row.appendChild(document.createElement("span")).className = name;
  }
  row.querySelector(".what").append(badge("undetermined"));
  return row;
}

function fill(row, flow) {
  // A corrected flow is the same object with another date.
  if (row.flow === flow && row.date === flow.time) return;
  row.flow = flow;
  row.date = flow.time;
  const [time, what, from, to, why, security] = row.children;
  time.textContent = flow.time.slice(11, 23);
  if (row.class !== flow.class) {
    row.class = flow.class;
    what.firstChild.className = `class ${flow.class}`;
    what.firstChild.firstChild.className = `mark ${flow.class}`;
    what.firstChild.lastChild.textContent = flow.class.toUpperCase();
  }
  from.textContent = flow.source;
  to.textContent = flow.target;
  why.textContent = flow.why;
  security.textContent = flow.security === "unknown" ? "" : flow.security;
}
