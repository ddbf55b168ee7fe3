//! The rules that `istio-init` makes of its arguments.

use crate::recipe::capture::{Capture, Which};

/// The pod's nat table, under the names that Istio gives its chains.
pub(super) fn rules(capture: &Capture) -> Vec<String> {
    let mut rules = vec!["*nat".to_owned()];
    let chains = ["ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT"];
    rules.extend(chains.map(|chain| format!(":{chain} - [0:0]")));
    rules.push(format!("-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {}", capture.inbound_port));
    rules.push(format!("-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {}", capture.outbound_port));
    rules.push("-A PREROUTING -p tcp -j ISTIO_INBOUND".to_owned());
    rules.extend(inbound(capture).into_iter().map(|rule| format!("-A ISTIO_INBOUND {rule}")));
    rules.push("-A OUTPUT -j ISTIO_OUTPUT".to_owned());
    rules.extend(outbound(capture).into_iter().map(|rule| format!("-A ISTIO_OUTPUT {rule}")));
    rules.push("COMMIT".to_owned());
    rules
}

fn inbound(capture: &Capture) -> Vec<String> {
    let mut rules = vec!["-p tcp --dport 15008 -j RETURN".to_owned()];
    match &capture.inbound_ports {
        Which::All => {
            let excluded = capture.excluded_inbound_ports.iter();
            rules.extend(excluded.map(|port| format!("-p tcp --dport {port} -j RETURN")));
            rules.push("-p tcp -j ISTIO_IN_REDIRECT".to_owned());
        }
        Which::Only(ports) => {
            rules.extend(ports.iter().map(|port| format!("-p tcp --dport {port} -j ISTIO_IN_REDIRECT")));
        }
    }
    rules
}

fn outbound(capture: &Capture) -> Vec<String> {
    let excluded = capture.excluded_outbound_ports.iter();
    let mut rules: Vec<_> = excluded.map(|port| format!("-p tcp --dport {port} -j RETURN")).collect();
    // The proxy's own way to the application; 127.0.0.6 is the address it takes for that.
    rules.push("-o lo -s 127.0.0.6/32 -j RETURN".to_owned());
    for owner in [format!("--uid-owner {}", capture.proxy_uid), format!("--gid-owner {}", capture.proxy_gid)] {
        // The proxy to its own pod's ip goes through the inbound side; an application to its own pod's ip does not.
        rules.push(format!("-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner {owner} -j ISTIO_IN_REDIRECT"));
        rules.push(format!("-o lo -m owner ! {owner} -j RETURN"));
        rules.push(format!("-m owner {owner} -j RETURN"));
    }
    rules.push("-d 127.0.0.1/32 -j RETURN".to_owned());
    rules.extend(capture.excluded_outbound_ranges.iter().map(|range| format!("-d {range} -j RETURN")));
    rules.extend(capture.outbound_ports.iter().map(|port| format!("-p tcp --dport {port} -j ISTIO_REDIRECT")));
    match &capture.outbound_ranges {
        Which::All => rules.push("-j ISTIO_REDIRECT".to_owned()),
        Which::Only(ranges) => rules.extend(ranges.iter().map(|range| format!("-d {range} -j ISTIO_REDIRECT"))),
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(args: &str) -> Vec<String> {
        let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
        super::rules(&Capture::from_args(&args).unwrap())
    }

    fn of<'a>(chain: &str, rules: &'a [String]) -> Vec<&'a str> {
        let head = format!("-A {chain} ");
        rules.iter().filter_map(|rule| rule.strip_prefix(&head)).collect()
    }

    #[test]
    fn everything_is_captured_but_the_proxys_own_ports_and_traffic() {
        let rules = rules("istio-iptables -p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x  -b * -d 15090,15021 --log=x");
        assert_eq!(
            of("ISTIO_INBOUND", &rules),
            [
                "-p tcp --dport 15008 -j RETURN",
                "-p tcp --dport 15090 -j RETURN",
                "-p tcp --dport 15021 -j RETURN",
                "-p tcp -j ISTIO_IN_REDIRECT",
            ]
        );
        assert_eq!(
            of("ISTIO_OUTPUT", &rules),
            [
                "-o lo -s 127.0.0.6/32 -j RETURN",
                "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
                "-o lo -m owner ! --uid-owner 1337 -j RETURN",
                "-m owner --uid-owner 1337 -j RETURN",
                "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT",
                "-o lo -m owner ! --gid-owner 1337 -j RETURN",
                "-m owner --gid-owner 1337 -j RETURN",
                "-d 127.0.0.1/32 -j RETURN",
                "-j ISTIO_REDIRECT",
            ]
        );
    }

    #[test]
    fn lists_narrow_what_is_captured() {
        let rules = rules("-b 8080,9090 -d 1 -i 10.0.0.0/8 -x 10.9.0.0/16 -q 5432 -o 443");
        assert_eq!(
            of("ISTIO_INBOUND", &rules),
            [
                "-p tcp --dport 15008 -j RETURN",
                "-p tcp --dport 8080 -j ISTIO_IN_REDIRECT",
                "-p tcp --dport 9090 -j ISTIO_IN_REDIRECT",
            ]
        );
        let outbound = of("ISTIO_OUTPUT", &rules);
        assert_eq!(outbound.first(), Some(&"-p tcp --dport 443 -j RETURN"));
        assert_eq!(
            outbound[outbound.len() - 3..],
            ["-d 10.9.0.0/16 -j RETURN", "-p tcp --dport 5432 -j ISTIO_REDIRECT", "-d 10.0.0.0/8 -j ISTIO_REDIRECT"]
        );
    }
}
