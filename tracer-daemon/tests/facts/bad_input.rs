//! Bad input: each gets one clear line, and what still works goes on.

use crate::{facts, read, skipped};
use proptest::prelude::*;
use std::slice;
use tracer_daemon::source::cluster::{FactsError, IstioInstallation, Remark, read_facts};

/// Document, line and the reason of a malformed text.
fn malformed(text: &str) -> (usize, usize, String) {
    match read(text).expect_err("malformed facts") {
        FactsError::Malformed { place: _, document, line, why, text: _ } => (document, line, why),
        other => panic!("expected malformed facts, got {other}"),
    }
}

fn remarks(text: &str) -> Vec<String> {
    let report = read(text).expect("readable facts").report;
    report.remarks.iter().map(ToString::to_string).collect()
}

#[test]
fn a_malformed_document_is_found_by_its_line() {
    let fine = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n";
    let no_kind = "this is no Kubernetes object: it has no kind";
    let cases = [
        ("not yaml at all", 1, 1, "expected mapping start"),
        ("- a\n- b\n", 1, 1, "expected mapping start"),
        ("\n\n# nothing\nmetadata: {name: a}\n", 1, 4, no_kind),
        ("a: b: c\n", 1, 1, "mapping values are not allowed in this context"),
        ("kind: Pod\nmetadata: {name: a, namespace: b\nspec: {}\n", 1, 3, "did not find expected ',' or '}'"),
        ("kind: Pod\nmetadata: {name: a, namespace: b\n", 1, 2, "unclosed bracket '{'"),
        ("kind: Pod\nspec:\n  nodeName: \"n1\n", 1, 3, ""),
        ("kind: Pod\nkind: Pod\n", 1, 2, "duplicate mapping key `kind` is not allowed here"),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n    port: 80\n",
            1,
            7,
            "expected sequence start",
        ),
        ("apiVersion: v1\nkind: Service\nspec:\n  ports:\n  - port: http\n", 1, 5, ""),
        ("kind: List\nitems:\n- kind: Pod\n- kind: Pod\n  spec: all\n", 1, 5, "expected mapping start"),
        ("kind: List\nitems:\n- metadata:\n    name: a\n", 1, 1, no_kind),
    ];
    for (text, document, line, why) in cases {
        let after = format!("# first\n---\n{fine}---\n{text}---\n{fine}");
        let found = malformed(&after);
        assert_eq!((found.0, found.1), (document + 1, line + 7), "{text:?}: {}", found.2);
        assert!(found.2.contains(why), "{text:?}: {:?}", found.2);
        let alone = malformed(text);
        assert_eq!((alone.0, alone.1), (document, line), "{text:?}: {}", alone.2);
    }
}

#[test]
fn a_malformed_document_is_one_clear_line() {
    let (_dir, file) = crate::written("apiVersion: v1\nkind: Service\nspec:\n  ports: 80\n");
    let said = read_facts(slice::from_ref(&file), &IstioInstallation::default()).expect_err("malformed");
    let expected = format!(
        "{}: document 1, line 4: expected sequence start, in \"ports: 80\"; correct it, or print the objects again with \
         `kubectl get -o yaml`",
        file.display()
    );
    assert_eq!(said.to_string(), expected);
}

#[test]
fn half_a_document_is_an_error_or_half_an_object_but_never_a_panic() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: \"web-0\"\n    \
                namespace: shop\n    annotations: {\"a\": \"b\"}\n  status:\n    podIP: 10.0.0.1\n    podIPs: [{ip: 10.0.0.1}]\n";
    let mut readable = 0;
    for end in 0..=text.len() {
        readable += usize::from(read(&text[..end]).is_ok());
    }
    assert!(readable > 1 && readable < text.len(), "{readable} of {} are readable", text.len());
}

#[test]
fn malformed_mesh_configuration_is_found_in_its_config_map() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    a: b: c\n";
    let (document, _, why) = malformed(text);
    assert_eq!(document, 1);
    assert!(why.contains("in key mesh") && why.contains("mapping values are not allowed"), "{why}");
}

#[test]
fn one_bad_object_leaves_the_others() {
    let text = "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n\
                {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: a}, status: {podIP: nowhere}}\n---\n\
                {apiVersion: v1, kind: Namespace, metadata: {}}\n";
    assert_eq!(
        skipped(text),
        [
            "Namespace  is skipped: metadata.name is missing",
            "Pod a/b is skipped: status.podIP \"nowhere\" is no ip address"
        ]
    );
    let upserts = read(text).expect("readable facts").deltas.len() - 12;
    assert_eq!(upserts, 1);
}

#[test]
fn odd_but_true_things_are_remarked_upon() {
    let pod = |name: &str, rest: &str| {
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: a}}, {rest}}}")
    };
    let service = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {clusterIP: None}}";
    let with_ip = "status: {phase: Running, podIPs: [{ip: 10.0.0.1}], podIP: 10.0.0.1}";
    let of_host = "spec: {hostNetwork: true}, status: {phase: Running, podIP: 192.0.2.1}";
    let gone = "status: {phase: Failed, podIP: 10.0.0.1}";
    let text = [
        service.to_owned(),
        pod("waiting", "status: {phase: Pending}"),
        pod("p", with_ip),
        pod("q", with_ip),
        pod("old", gone),
        pod("h1", of_host),
        pod("h2", of_host),
    ]
    .join("\n---\n");
    assert_eq!(facts(&text).len(), 7, "none of it is an error");
    assert_eq!(
        remarks(&text),
        [
            "Service a/s declares no port",
            "Pod a/waiting has no ip yet",
            "pods a/p, a/q all claim 10.0.0.1: facts from different times or clusters?",
        ]
    );
}

#[test]
fn an_object_said_twice_counts_as_said_last() {
    let namespace =
        |label| format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: a, labels: {{v: '{label}'}}}}}}");
    let same = format!("{}\n---\n{}", namespace("1"), namespace("1"));
    assert_eq!(remarks(&same), Vec::<String>::new());
    let differs = format!("{}\n---\n{}", namespace("1"), namespace("2"));
    assert_eq!(remarks(&differs), ["Namespace a is there twice and differs: the last one counts; remove the other"]);
    assert_eq!(facts(&differs).len(), 1);
}

#[test]
fn an_empty_file_is_no_error_but_said() {
    for text in ["", "# nothing\n", "---\n---\n"] {
        let facts = read(text).expect("readable facts");
        assert!(matches!(&*facts.report.remarks, [Remark::Empty(_)]), "{text:?}");
        assert_eq!(facts.deltas.len(), 12, "{text:?}");
    }
}

#[test]
fn what_begins_like_json_and_is_none_is_found_by_its_line() {
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"Service\",\n \"spec\": {\"ports\": 80}}\n";
    assert_eq!(malformed(text), (1, 2, "expected sequence start".to_owned()));
    let half = "{\"apiVersion\": \"v1\",\n \"kind\": \"List\",\n \"items\": [\n  {\"kind\": \"Pod\",\n";
    let (document, line, why) = malformed(half);
    assert_eq!((document, line), (1, 4), "{why}");
}

#[test]
fn an_unknown_kind_may_be_deep() {
    let deep = (0..200).fold("1".to_owned(), |inner, _| format!("{{a: {inner}}}"));
    assert_eq!(facts(&format!("{{apiVersion: x/v1, kind: Deep, spec: {deep}}}")).len(), 0);
    let bottomless = (0..100_000).fold(String::new(), |inner, _| inner + "{a: ");
    let (_, _, why) = malformed(&bottomless);
    assert!(!why.is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        pieces in prop::collection::vec(prop_oneof![
            Just("kind: Pod\n"), Just("apiVersion: v1\n"), Just("---\n"), Just("...\n"), Just("metadata:\n"), Just("  name: a\n"),
            Just("  namespace: b\n"), Just("items:\n"), Just("- "), Just("{"), Just("}"), Just("["), Just("]"), Just("*a"), Just("&a "),
            Just("<<: "), Just("!!str "), Just("\""), Just("'"), Just("|\n"), Just("? "), Just(": "), Just("#"), Just("%YAML 1.2\n"),
            Just("\t"), Just("\u{feff}"), Just("\0"), Just("é"), Just("kind: List\n"), Just("status: {podIP: 10.0.0.1}\n"), Just(","),
        ], 0..40),
    ) {
        let text = pieces.concat();
        if let Err(error) = read(&text) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }

    #[test]
    fn no_object_makes_it_panic(value in "[-a-z0-9*.,:/~]{0,12}", number in any::<i64>()) {
        for object in [
            "kind: Pod, status: {podIPs: [{ip: 'V'}], startTime: 'V'}, metadata: {creationTimestamp: 'V', ownerReferences: [{kind: Job, \
             name: 'V', controller: true}], annotations: {sidecar.istio.io/status: 'V'}}, spec: {containers: [{name: istio-proxy, \
             image: 'V', ports: [{containerPort: N}]}], initContainers: [{name: istio-init, args: [-p, 'V', -b, 'V', 'V', -i]}]}",
            "kind: Service, metadata: {annotations: {networking.istio.io/exportTo: 'V'}}, spec: {clusterIP: 'V', ports: [{port: N, \
             targetPort: 'V'}, {port: 1, targetPort: N}]}",
            "kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: \"protocolDetectionTimeout: 'V'\"}",
        ] {
            let text = object.replace('V', &value).replace('N', &number.to_string());
            let _either = read(&format!("{{apiVersion: v1, {text}}}"));
        }
    }
}
