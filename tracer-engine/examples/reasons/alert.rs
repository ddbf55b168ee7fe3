//! The alerts that stand for reasons. Their names are public: manifests define them, runbooks link here.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    Rejected,
    Unanswered,
    Dropped,
    Plaintext,
    Contradictions,
}

impl Alert {
    pub(crate) const ALL: [Alert; 5] =
        [Alert::Rejected, Alert::Unanswered, Alert::Dropped, Alert::Plaintext, Alert::Contradictions];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Alert::Rejected => "MeshTracerFlowsRejected",
            Alert::Unanswered => "MeshTracerFlowsUnanswered",
            Alert::Dropped => "MeshTracerPacketsDropped",
            Alert::Plaintext => "MeshTracerPlaintextInMesh",
            Alert::Contradictions => "MeshTracerFactsContradictEvidence",
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Alert::Rejected => "the mesh turns connections between two workloads away, or stalls them",
            Alert::Unanswered => "connections between two workloads get no answer, or from nobody who listens",
            Alert::Dropped => "the kernel drops packets of connections between pods",
            Alert::Plaintext => {
                "connections between pods of the mesh go in plaintext, and break once the destination is STRICT"
            }
            Alert::Contradictions => {
                "what the kernel shows fits no route of the configuration: facts are stale, or a rule is wrong"
            }
        }
    }

    pub(crate) fn expression(self) -> &'static str {
        match self {
            Alert::Rejected => {
                "sum by (source_workload, source_workload_namespace, destination_workload, destination_workload_namespace, reason, cause) \
                 (rate(meshtracer_flow_rejections_total{reason!~\"app-not-listening|refused|timed-out|unreachable|abandoned|dropped|stale-pod-ip\"}[5m])) > 0"
            }
            Alert::Unanswered => {
                "sum by (source_workload, source_workload_namespace, destination_workload, destination_workload_namespace, reason) \
                 (rate(meshtracer_flow_rejections_total{reason=~\"app-not-listening|refused|timed-out|unreachable|abandoned|stale-pod-ip\"}[5m])) > 0"
            }
            Alert::Dropped => {
                "sum by (reason, destination_workload, destination_workload_namespace) (rate(meshtracer_drops_total[5m])) > 0"
            }
            Alert::Plaintext => {
                "sum by (source_workload, source_workload_namespace, destination_workload, destination_workload_namespace, reason) \
                 (rate(meshtracer_flows_total{reason=~\"passthrough|source-uncaptured\",traffic=\"app\"}[5m])) > 0"
            }
            Alert::Contradictions => "sum by (reason) (rate(meshtracer_contradictions_total[10m])) > 0",
        }
    }
}
