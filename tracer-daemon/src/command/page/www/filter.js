// What is typed into the filter, and whether a flow passes. The same key twice is "or", different ones are "and"; a
// negated one takes away. As `mesh-tracer observe` has it.

const KEYS = {
  ns: (flow, value) => flow.homes.includes(value),
  pod: (flow, value) => names(flow.from, value) || names(flow.to, value),
  from: (flow, value) => names(flow.from, value),
  to: (flow, value) => names(flow.to, value),
  ip: (flow, value) => flow.ips.includes(value),
  port: (flow, value) => flow.port === value,
  class: (flow, value) => flow.class === value,
  reason: (flow, value) => flow.reason === value,
  cause: (flow, value) => flow.cause === value || (flow.causes ?? []).includes(value),
  security: (flow, value) => flow.security === value,
  traffic: (flow, value) => flow.traffic === value,
  reporter: (flow, value) => flow.reporter === value,
};

/** A text as terms: `{ key, value, not }`; a word has no key. */
export function parse(text) {
  return text.trim().toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const not = word.startsWith("-") && word.length > 1;
    const bare = not ? word.slice(1) : word;
    const colon = bare.indexOf(":");
    const key = colon > 0 ? bare.slice(0, colon) : "";
    // `10.0.0.1:80` and `shop/web:80` are words.
    return key in KEYS ? { key, value: bare.slice(colon + 1), not } : { key: "", value: bare, not };
  }).filter((term) => term.value !== "");
}

/** A test of flows. */
export function compile(text) {
  const terms = parse(text);
  const alone = terms.filter((term) => term.not || term.key === "");
  const asked = Map.groupBy(terms.filter((term) => !term.not && term.key !== ""), (term) => term.key);
  // Kubelet's probes and scrapes are most of what happens and none of what is looked for.
  const all = terms.some((term) => term.key === "traffic");
  const holds = (flow, term) => term.key === "" ? flow.text.includes(term.value) : KEYS[term.key](flow, term.value);
  return (flow) =>
    (all || flow.traffic === "app")
    && alone.every((term) => holds(flow, term) !== term.not)
    && [...asked.values()].every((alike) => alike.some((term) => holds(flow, term)));
}

/** The text with this term in it, or without it where it was. */
export function toggled(text, term) {
  const words = text.trim().split(/\s+/).filter(Boolean);
  const rest = words.filter((word) => word !== term);
  return (rest.length < words.length ? rest : [...words, term]).join(" ");
}

function names(end, value) {
  return end.includes(value);
}
