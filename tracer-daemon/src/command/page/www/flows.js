// The flows that this page knows: so many, the newest last. They come as lines of JSON, and are read in slices, because a
// browser that parses ten thousand at once answers no key meanwhile.

/** What is kept; older ones go, a part at a time. */
const KEPT = 20000;
const SPARE = 2000;
/** Milliseconds at a stretch. */
const SLICE = 5;
const AGAIN_AFTER = [500, 1000, 2000, 5000, 10000];

export class Flows {
  constructor() {
    this.kept = [];
    this.byId = new Map();
    this.lost = { events: 0, records: 0 };
    this.skipped = 0;
    this.connected = false;
    this.said = "connecting";
    this.listeners = [];
  }

  /** `change(added, dropped)`: the flows that are new, and whether others went or were corrected. */
  onchange(change) {
    this.listeners.push(change);
  }

  /** Reads until the page is closed; a stream that ends is opened again. */
  async follow() {
    for (let failures = 0; ; failures += 1) {
      try {
        await this.stream(() => { failures = 0; });
      } catch (error) {
        this.said = `not connected: ${error.message}`;
      }
      this.connected = false;
      this.tell([], false);
      await new Promise((again) => setTimeout(again, AGAIN_AFTER[Math.min(failures, AGAIN_AFTER.length - 1)]));
    }
  }

  async stream(opened) {
    const answer = await fetch("flows");
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `HTTP ${answer.status}`);
    this.connected = true;
    this.refused = null;
    this.said = "live";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      // An API server may take the question and have no node answer it.
      if (!done) opened();
      if (done) throw new Error(this.refused ?? "the stream ended; is `mesh-tracer page` still running?");
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      await this.take(lines);
    }
  }

  async take(lines) {
    let begun = performance.now();
    let added = [];
    let corrected = false;
    for (const line of lines) {
      const flow = this.read(line);
      if (flow !== null) corrected = this.add(flow, added) || corrected;
      if (performance.now() - begun > SLICE) {
        this.tell(added, corrected);
        [added, corrected] = [[], false];
        await breath();
        begun = performance.now();
      }
    }
    this.tell(added, this.forget() || corrected);
  }

  /** `null`: no flow. */
  read(line) {
    let flow;
    try {
      flow = JSON.parse(line);
    } catch {
      if (line.trim() !== "") this.skipped += 1;
      return null;
    }
    if (flow?.lost) {
      this.lost.events += flow.lost.events;
      this.lost.records += flow.lost.records;
      return null;
    }
    if (flow?.error) {
      this.refused = flow.error;
      this.said = flow.error;
      return null;
    }
    if (flow?.version !== "v1" || !flow.client || !flow.server) {
      this.skipped += 1;
      return null;
    }
    return brief(flow, line);
  }

  /** Whether it corrects what was known. */
  add(flow, added) {
    const before = this.byId.get(flow.id);
    if (before !== undefined) {
      // After a break of the stream all that is remembered comes once more.
      if (before.time === flow.time) return false;
      Object.assign(before, flow);
      return true;
    }
    this.byId.set(flow.id, flow);
    this.kept.push(flow);
    added.push(flow);
    return false;
  }

  forget() {
    if (this.kept.length <= KEPT + SPARE) return false;
    for (const flow of this.kept.splice(0, this.kept.length - KEPT)) this.byId.delete(flow.id);
    return true;
  }

  tell(added, changed) {
    for (const listener of this.listeners) listener(added, changed);
  }
}

/** All that was told of a flow. */
export function whole(flow) {
  return JSON.parse(flow.line);
}

/** What is shown and searched, made once; the rest stays text until somebody opens it: twenty thousand flows with their legs
    would keep the browser's collector of garbage from idling. */
function brief(record, line) {
  const { id, time, class: name, reason, cause, causes, security, traffic, reporter, client, server } = record;
  const [source, target, why] = [short(client), `${short(server)}:${server.port}`, because(record)];
  const [from, to] = [every(client), every(server)];
  return {
    id, time, class: name, reason, cause, causes, security, traffic, reporter, source, target, why, from, to, line,
    ips: [client.ip, server.ip],
    port: String(server.port),
    pair: `${source} → ${target}`,
    // What one object mends: a workload's port, whichever of its pods was dialled.
    place: server.pod && server.workload ? `${server.namespace}/${server.workload}:${server.port}` : target,
    homes: [home(client), home(server)],
    text: `${from} ${to} ${target} ${client.ip} ${server.ip}:${server.port} ${name} ${why} ${id}`.toLowerCase(),
  };
}

/** As `mesh-tracer observe` names an end. */
function short({ ip, namespace, pod, pod_unknown: unknown, workload, service }) {
  if (namespace && pod) return `${namespace}/${pod}`;
  if (unknown === "service") return `svc/${service ?? "?"}`;
  if (unknown === "node") return `node/${workload ?? "?"}`;
  return ip.includes(":") ? `[${ip}]` : ip;
}

/** Its namespace, or why it has none. */
function home({ namespace, pod_unknown: unknown }) {
  return namespace ?? unknown ?? "no pod";
}

/** Every name that somebody may ask for it by. */
function every({ ip, namespace, pod, workload, service }) {
  const own = (name) => name ? `${namespace ?? ""}/${name}` : "";
  return ` ${own(pod)} ${own(workload)} ${service ?? ""} ${ip} `.toLowerCase();
}

function because({ reason, cause, candidates, outcome, syn_retransmits: again }) {
  if (reason) return cause ? `${reason} (${cause})` : reason;
  if (outcome === "still-connecting") return `${(again ?? 0) + 1} SYNs unanswered`;
  const open = [...new Set((candidates ?? []).map((candidate) => candidate.reason))].sort();
  return open.join(" | ") || "no candidate is left";
}

/** Lets keys and frames have their turn; timers would wait longer, and not run at all in the background. */
function breath() {
  return new Promise((go) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); go(); };
    port2.postMessage(0);
  });
}
