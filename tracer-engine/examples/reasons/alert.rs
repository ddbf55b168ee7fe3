//! The alerts: on what becomes of flows, each of which stands for reasons, and on the tracer itself. Their names are
//! public: manifests define them, runbooks link here.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    Rejected,
    Unanswered,
    Dropped,
    Plaintext,
    Contradictions,
    Lost,
    Unsynced,
    Detached,
}

impl Alert {
    pub(crate) const ALL: [Alert; 8] = [
        Alert::Rejected,
        Alert::Unanswered,
        Alert::Dropped,
        Alert::Plaintext,
        Alert::Contradictions,
        Alert::Lost,
        Alert::Unsynced,
        Alert::Detached,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Alert::Rejected => "MeshTracerFlowsRejected",
            Alert::Unanswered => "MeshTracerFlowsUnanswered",
            Alert::Dropped => "MeshTracerPacketsDropped",
            Alert::Plaintext => "MeshTracerPlaintextInMesh",
            Alert::Contradictions => "MeshTracerFactsContradictEvidence",
            Alert::Lost => "MeshTracerEventsLost",
            Alert::Unsynced => "MeshTracerFactsMissing",
            Alert::Detached => "MeshTracerProbeDetached",
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
            Alert::Lost => {
                "a node loses kernel events: verdicts of that time are careful, and some flows are not counted"
            }
            Alert::Unsynced => {
                "objects of a kind are not known: the API server does not answer, or a role is missing (`mesh-tracer status`)"
            }
            Alert::Detached => {
                "a probe that a node's kernel could have is off: what can no longer be told `mesh-tracer check` says"
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
            Alert::Lost => "sum by (instance, kind) (rate(meshtracer_events_total{stage=\"lost\"}[5m])) > 0",
            Alert::Unsynced => "min by (instance, kind) (meshtracer_facts_synced) == 0",
            Alert::Detached => "min by (instance, probe) (meshtracer_probe_attached) == 0",
        }
    }

    /// How long it must hold before it fires.
    pub(crate) fn lasting(self) -> &'static str {
        match self {
            Alert::Rejected | Alert::Unanswered | Alert::Dropped | Alert::Contradictions | Alert::Lost => "5m",
            Alert::Plaintext | Alert::Unsynced | Alert::Detached => "15m",
        }
    }

    /// Nobody is woken by what breaks nothing yet.
    pub(crate) fn severity(self) -> &'static str {
        match self {
            Alert::Rejected | Alert::Unanswered | Alert::Dropped | Alert::Lost | Alert::Unsynced => "warning",
            Alert::Plaintext | Alert::Contradictions | Alert::Detached => "info",
        }
    }

    /// Whom it is about.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Alert::Rejected => {
                "{{ $labels.source_workload_namespace }}/{{ $labels.source_workload }} -> \
                 {{ $labels.destination_workload_namespace }}/{{ $labels.destination_workload }}: \
                 {{ $labels.reason }} ({{ $labels.cause }})"
            }
            Alert::Unanswered | Alert::Plaintext => {
                "{{ $labels.source_workload_namespace }}/{{ $labels.source_workload }} -> \
                 {{ $labels.destination_workload_namespace }}/{{ $labels.destination_workload }}: {{ $labels.reason }}"
            }
            Alert::Dropped => {
                "to {{ $labels.destination_workload_namespace }}/{{ $labels.destination_workload }}: {{ $labels.reason }}"
            }
            Alert::Contradictions => "{{ $labels.reason }}",
            Alert::Lost | Alert::Unsynced => "{{ $labels.instance }}: {{ $labels.kind }}",
            Alert::Detached => "{{ $labels.instance }}: {{ $labels.probe }}",
        }
    }

    /// Where the page about it is, in the repository.
    pub(crate) fn runbook(self) -> &'static str {
        match self {
            Alert::Rejected | Alert::Unanswered | Alert::Plaintext => "docs/reasons.md#{{ $labels.reason }}",
            Alert::Dropped => "docs/reasons.md#dropped",
            Alert::Contradictions => "docs/reasons.md#facts-contradict-evidence",
            Alert::Lost | Alert::Unsynced | Alert::Detached => "docs/reasons.md#alerts",
        }
    }
}
