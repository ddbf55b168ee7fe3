//! The dashboard that is shipped: made from this table, so that no panel asks for what no daemon has, and each of its
//! queries asked of a real Prometheus (`prometheus.rs`).

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// One panel: what it answers, its unit as Grafana calls it, what a line is named after, the query.
pub(crate) struct Panel {
    title: &'static str,
    about: &'static str,
    unit: &'static str,
    legend: &'static str,
    pub(crate) query: &'static str,
}

const fn panel(
    title: &'static str,
    about: &'static str,
    unit: &'static str,
    legend: &'static str,
    query: &'static str,
) -> Panel {
    Panel { title, about, unit, legend, query }
}

const PAIR: &str =
    "{{source_workload_namespace}}/{{source_workload}} -> {{destination_workload_namespace}}/{{destination_workload}}";

/// Rows, each of panels side by side.
pub(crate) const ROWS: [(&str, &[Panel]); 4] = [
    (
        "What the mesh does with flows",
        &[
            panel(
                "Flows by class",
                "Every call to a pod's address, by what became of it. Probes and scrapes are left out.",
                "cps",
                "{{class}}",
                r#"sum by (class) (rate(meshtracer_flows_total{traffic="app",destination_workload_namespace=~"$namespace"}[$__rate_interval]))"#,
            ),
            panel(
                "Rejected, by reason and cause",
                "docs/reasons.md has a page for each reason.",
                "cps",
                "{{reason}} ({{cause}})",
                r#"sum by (reason, cause) (rate(meshtracer_flow_rejections_total{destination_workload_namespace=~"$namespace"}[$__rate_interval]))"#,
            ),
            panel(
                "Secured by mutual TLS",
                "Of the application's flows, the share that is.",
                "percentunit",
                "mutual TLS",
                r#"sum(rate(meshtracer_flows_total{traffic="app",connection_security_policy="mutual_tls",destination_workload_namespace=~"$namespace"}[$__rate_interval])) / sum(rate(meshtracer_flows_total{traffic="app",destination_workload_namespace=~"$namespace"}[$__rate_interval])) or vector(0)"#,
            ),
        ],
    ),
    (
        "Who",
        &[
            panel(
                "Most rejected pairs",
                "mesh-tracer why NAMESPACE/WORKLOAD tells the remedy.",
                "cps",
                PAIR,
                r#"topk(10, sum by (source_workload, source_workload_namespace, destination_workload, destination_workload_namespace) (rate(meshtracer_flow_rejections_total{destination_workload_namespace=~"$namespace"}[$__rate_interval])))"#,
            ),
            panel(
                "Headless fallback and opaque TCP",
                "Calls that work, and lose what HTTP routing gives: retries, metrics, policy by path.",
                "cps",
                PAIR,
                r#"topk(10, sum by (source_workload, source_workload_namespace, destination_workload, destination_workload_namespace) (rate(meshtracer_flows_total{class=~"headless-fallback|opaque-tcp|rejected",destination_workload_namespace=~"$namespace"}[$__rate_interval])))"#,
            ),
            panel(
                "Open flows",
                "Counted, and not yet ended.",
                "short",
                "{{class}}",
                "sum by (class) (meshtracer_open_flows)",
            ),
        ],
    ),
    (
        "What the kernel does",
        &[
            panel(
                "Time to connect, 99th percentile",
                "From SYN_SENT to ESTABLISHED.",
                "s",
                "{{class}}",
                "histogram_quantile(0.99, sum by (class, le) (rate(meshtracer_connect_duration_seconds_bucket[$__rate_interval])))",
            ),
            panel(
                "Packets dropped",
                "By the kernel's own reason.",
                "pps",
                "{{reason}}",
                r#"sum by (reason) (rate(meshtracer_drops_total{destination_workload_namespace=~"$namespace"}[$__rate_interval]))"#,
            ),
            panel(
                "Resets, retransmitted SYNs, full accept queues",
                "Each is a symptom; the flows above tell the cause.",
                "cps",
                "resets, {{direction}} on the {{leg}} leg",
                "sum by (direction, leg) (rate(meshtracer_resets_total[$__rate_interval]))",
            ),
        ],
    ),
    (
        "Whether all this can be believed",
        &[
            panel(
                "Kernel events lost",
                "Verdicts of that time are careful.",
                "cps",
                "{{instance}} {{kind}}",
                r#"sum by (instance, kind) (rate(meshtracer_events_total{stage="lost"}[$__rate_interval]))"#,
            ),
            panel(
                "Facts not synced",
                "Kinds that a node's daemon does not know: what depends on them is undetermined.",
                "short",
                "{{kind}}",
                "sum by (kind) (1 - meshtracer_facts_synced)",
            ),
            panel(
                "Facts that contradict evidence",
                "Facts are stale, or a rule is wrong.",
                "cps",
                "{{reason}}",
                "sum by (reason) (rate(meshtracer_contradictions_total[$__rate_interval]))",
            ),
        ],
    ),
];

const COLUMNS: u32 = 24;
const HEIGHT: u32 = 8;

fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    for (row, of_row) in ROWS {
        let at = json!({ "x": 0, "y": y, "w": COLUMNS, "h": 1 });
        panels.push(json!({ "id": panels.len() + 1, "type": "row", "title": row, "gridPos": at, "panels": [] }));
        let width = COLUMNS / u32::try_from(of_row.len()).unwrap();
        for (x, Panel { title, about, unit, legend, query }) in (0..).zip(of_row) {
            panels.push(json!({
                "id": panels.len() + 1,
                "type": "timeseries",
                "title": title,
                "description": about,
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "gridPos": { "x": x * width, "y": y + 1, "w": width, "h": HEIGHT },
                "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
                "targets": [{ "refId": "A", "expr": query, "legendFormat": legend }],
            }));
        }
        y += 1 + HEIGHT;
    }
    json!({
        "uid": "mesh-tracer",
        "title": "mesh-tracer",
        "tags": ["istio", "mesh-tracer"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus" },
            {
                "name": "namespace",
                "label": "Destination namespace",
                "type": "query",
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "query": "label_values(meshtracer_flows_total, destination_workload_namespace)",
                "includeAll": true,
                "allValue": ".*",
                "current": { "text": "All", "value": "$__all" },
                "refresh": 2,
            },
        ] },
        "panels": panels,
    })
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/dashboard/mesh-tracer.json")
}

#[test]
fn the_dashboard_that_is_shipped_is_this_one() {
    let made = serde_json::to_string_pretty(&dashboard()).unwrap() + "\n";
    #[expect(clippy::disallowed_methods, reason = "asked for by a person who changes the table")]
    if std::env::var_os("MESH_TRACER_KEEP_DASHBOARD").is_some() {
        fs::create_dir_all(shipped().parent().unwrap()).unwrap();
        fs::write(shipped(), &made).unwrap();
    }
    let shipped = fs::read_to_string(shipped()).unwrap();
    assert!(shipped == made, "stale: run this test again with MESH_TRACER_KEEP_DASHBOARD=1");
}
