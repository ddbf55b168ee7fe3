//! What istio-cni lays in an ambient pod: all traffic to the ztunnel that listens inside it, its own traffic past it.
//!
//! `cni/pkg/iptables/iptables.go`, `AppendInpodRules`.

use crate::recipe::ambient::{HBONE, INBOUND, MARK, OUTBOUND};

/// The kubelet's probes, which istio-cni sends from this address, go past.
const PROBES: &str = "169.254.7.127";
/// Of the connections that ztunnel opens: by it their answers find the way back to ztunnel, whose address they bear not.
const CONNECTION: &str = "0x111/0xfff";

/// Answers to a client's address that ztunnel has borrowed are for ztunnel, on this very machine.
pub(super) fn routes() -> [String; 2] {
    [
        format!("rule add fwmark {CONNECTION} pref 32764 lookup 100"),
        "route add local 0.0.0.0/0 dev lo table 100".to_owned(),
    ]
}

pub(super) fn rules() -> Vec<String> {
    let own = format!("{MARK:#x}/0xfff");
    let mut rules = vec!["*mangle".to_owned()];
    let chains =
        [":ISTIO_PRERT - [0:0]", ":ISTIO_OUTPUT - [0:0]", "-A PREROUTING -j ISTIO_PRERT", "-A OUTPUT -j ISTIO_OUTPUT"];
    rules.extend(chains.map(str::to_owned));
    rules.push(format!("-A ISTIO_PRERT -m mark --mark {own} -j CONNMARK --set-xmark {CONNECTION}"));
    rules.push(format!("-A ISTIO_OUTPUT -m connmark --mark {CONNECTION} -j CONNMARK --restore-mark"));
    rules.push("COMMIT".to_owned());

    rules.push("*nat".to_owned());
    rules.extend(chains.map(str::to_owned));
    rules.push(format!("-A ISTIO_PRERT -s {PROBES}/32 -p tcp -j ACCEPT"));
    let unmarked = format!("-p tcp -m mark ! --mark {own}");
    rules.push(format!(
        "-A ISTIO_PRERT ! -d 127.0.0.1/32 {unmarked} -m tcp ! --dport {HBONE} -j REDIRECT --to-ports {INBOUND}"
    ));
    rules.push(format!("-A ISTIO_OUTPUT -d {PROBES}/32 -p tcp -j ACCEPT"));
    rules.push(format!("-A ISTIO_OUTPUT -p tcp -m mark --mark {CONNECTION} -j ACCEPT"));
    rules.push("-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT".to_owned());
    rules.push(format!("-A ISTIO_OUTPUT ! -d 127.0.0.1/32 {unmarked} -j REDIRECT --to-ports {OUTBOUND}"));
    rules.push("COMMIT".to_owned());
    rules
}
