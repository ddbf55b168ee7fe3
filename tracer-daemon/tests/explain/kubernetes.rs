//! As much of Kubernetes as a patch needs: objects that are applied, and the controller that keeps EndpointSlices.

use serde_json::{Value, json};

/// A cluster as `kubectl get -o yaml` prints it.
#[derive(Clone)]
pub(crate) struct Objects(Vec<Value>);

impl Objects {
    pub(crate) fn read(text: &str) -> Self {
        let mut objects = Vec::new();
        for document in documents(text) {
            match document["items"].as_array() {
                Some(items) => objects.extend(items.iter().cloned()),
                None => objects.push(document),
            }
        }
        Self(objects)
    }

    pub(crate) fn written(&self) -> String {
        json!({"apiVersion": "v1", "kind": "List", "items": self.0}).to_string()
    }

    /// Server-side apply, and what the endpoint controller does about it.
    pub(crate) fn applied(&self, patch: &str) -> Self {
        let mut after = self.clone();
        for object in documents(patch) {
            let mut defaulted = object.clone();
            let known = after.0.iter_mut().find(|known| same(known, &object));
            if let Some(known) = known {
                merge(known, &object);
            } else {
                defaulted["metadata"]["creationTimestamp"] = json!("2099-01-01T00:00:00Z");
                defaulted["metadata"]["uid"] = json!(object.to_string());
                after.0.push(defaulted);
            }
            if object["kind"] == "Service" {
                after.reconcile(&object);
            }
        }
        after
    }

    /// The EndpointSlices of a Service with a selector are made anew.
    fn reconcile(&mut self, applied: &Value) {
        let service = self.0.iter().find(|known| same(known, applied)).expect("it was applied").clone();
        let Some(selector) = service["spec"]["selector"].as_object().filter(|selector| !selector.is_empty()) else {
            return;
        };
        let (namespace, name) = (&service["metadata"]["namespace"], &service["metadata"]["name"]);
        self.0.retain(|object| {
            let of_service = &object["metadata"]["labels"]["kubernetes.io/service-name"] == name;
            !(object["kind"] == "EndpointSlice" && &object["metadata"]["namespace"] == namespace && of_service)
        });
        let selects = |pod: &&Value| {
            let labels = &pod["metadata"]["labels"];
            let gone = ["Failed", "Succeeded"].contains(&pod["status"]["phase"].as_str().unwrap_or_default());
            pod["kind"] == "Pod"
                && &pod["metadata"]["namespace"] == namespace
                && !gone
                && pod["status"]["podIP"].is_string()
                && selector.iter().all(|(key, value)| &labels[key] == value)
        };
        let slices: Vec<Value> = self.0.iter().filter(selects).map(|pod| slice(&service, pod)).collect();
        self.0.extend(slices);
    }
}

/// One a pod: a named targetPort may be another number in each.
fn slice(service: &Value, pod: &Value) -> Value {
    let ready = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready = ready.clone().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let number = match &port["targetPort"] {
            Value::Null => port["port"].clone(),
            Value::String(name) => container_port(pod, name)?,
            number => number.clone(),
        };
        Some(json!({"name": port["name"].as_str().unwrap_or_default(), "port": number, "protocol": protocol}))
    });
    let ip = &pod["status"]["podIP"];
    let (pod, namespace) = (&pod["metadata"]["name"], &pod["metadata"]["namespace"]);
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("{}-{}", service["metadata"]["name"].as_str().expect("a name"), pod.as_str().expect("a name")),
            "namespace": namespace, "labels": {"kubernetes.io/service-name": service["metadata"]["name"]},
        },
        "endpoints": [{
            "addresses": [ip], "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace},
        }],
        "ports": ports.collect::<Vec<_>>(),
    })
}

fn container_port(pod: &Value, name: &str) -> Option<Value> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    ports.find(|port| port["name"] == name).map(|port| port["containerPort"].clone())
}

fn same(a: &Value, b: &Value) -> bool {
    let name = |of: &Value| (of["kind"].clone(), of["metadata"]["namespace"].clone(), of["metadata"]["name"].clone());
    name(a) == name(b)
}

/// What is said replaces what was; the ports of a Service are a map by number and protocol.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                let known = into.entry(key.clone()).or_insert(Value::Null);
                if key == "ports" && known.is_array() { merge_ports(known, value) } else { merge(known, value) }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn merge_ports(into: &mut Value, from: &Value) {
    let key = |port: &Value| (port["port"].clone(), port["protocol"].as_str().unwrap_or("TCP").to_owned());
    let into = into.as_array_mut().expect("a list of ports");
    for port in from.as_array().into_iter().flatten() {
        match into.iter_mut().find(|known| key(known) == key(port)) {
            Some(known) => merge(known, port),
            None => into.push(port.clone()),
        }
    }
}

fn documents(text: &str) -> Vec<Value> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let parse = |text: &String| serde_saphyr::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    documents.iter().filter(|text| !text.trim().is_empty()).map(parse).collect()
}
