//! The stories of the demo, in words: what each call of `tracer-lab/meshes/demo` stands for.

const STORIES: [(&str, &str); 17] = [
    ("prometheus-plain", "Prometheus without a sidecar scrapes a pod's IP"),
    ("prometheus-declared", "Prometheus with a sidecar scrapes a pod's IP, on a port that a headless Service declares"),
    ("prometheus-http-named", "The same, on a port named http"),
    ("es-transport", "Elasticsearch peers on a port that no Service declares"),
    ("etcd-peer-by-name", "etcd dials its peer and says the pod's DNS name"),
    ("etcd-peer-by-ip", "etcd dials its peer and says the pod's IP"),
    ("redis-replica", "A Redis replica follows its primary, port named tcp"),
    ("connect-forward", "A Kafka Connect worker forwards to a peer's IP"),
    ("mail-banner", "A mail server that speaks first"),
    ("web-by-name-at-pod-ip", "A Service's name, dialled at the IP of one of its pods"),
    ("web-by-vip", "The same Service by its VIP"),
    ("web-by-ip", "The same Service by a pod's IP"),
    ("legacy", "A legacy pod outside the mesh, called by another outsider"),
    ("legacy-from-mesh", "The same legacy pod, called from inside the mesh"),
    ("debug-port", "A port nobody listens on"),
    ("pod-gone", "A pod that is gone, dialled by a pod with a sidecar"),
    ("pod-gone-plain", "A pod that is gone, dialled by a pod without one"),
];

/// What the call `id` stands for; the id itself where nobody has told its story yet.
pub(super) fn of(id: &str) -> &str {
    STORIES.iter().find(|(told, _)| *told == id).map_or(id, |(_, story)| story)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn every_call_of_the_demo_has_a_story_and_every_story_a_call() {
        let file = Workspace::this().root().join("tracer-lab/meshes/demo/calls.jsonl");
        let text = fs::read_to_string(file).unwrap();
        let calls = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ids: Vec<_> = calls.map(|call| call["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, STORIES.map(|(id, _)| id));
    }
}
