//! kube-proxy's part: a Service's virtual ip becomes one of its ready endpoints.

use crate::recipe::cluster::VirtualIp;

/// The node's nat table. Endpoints take turns, so that a run is the same each time; kube-proxy itself draws lots.
pub(super) fn rules(virtual_ips: &[VirtualIp]) -> Vec<String> {
    let mut rules = vec!["*nat".to_owned()];
    for VirtualIp { address, endpoints } in virtual_ips {
        let (ip, port) = (address.ip(), address.port());
        for (at, endpoint) in endpoints.iter().enumerate() {
            let turns = endpoints.len() - at;
            let turn = match turns {
                1 => String::new(),
                _ => format!(" -m statistic --mode nth --every {turns} --packet 0"),
            };
            rules.push(format!(
                "-A PREROUTING -d {ip}/32 -p tcp --dport {port}{turn} -j DNAT --to-destination {endpoint}"
            ));
        }
    }
    rules.push("COMMIT".to_owned());
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_takes_its_share_of_what_the_earlier_ones_left() {
        let endpoints = ["10.244.1.30:8080", "10.244.1.31:8080", "10.244.1.32:8080"];
        let endpoints = endpoints.map(|endpoint| endpoint.parse().unwrap()).to_vec();
        let rules = rules(&[VirtualIp { address: "10.96.0.10:80".parse().unwrap(), endpoints }]);
        let to = "-A PREROUTING -d 10.96.0.10/32 -p tcp --dport 80";
        assert_eq!(
            rules,
            [
                "*nat".to_owned(),
                format!("{to} -m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination 10.244.1.30:8080"),
                format!("{to} -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.244.1.31:8080"),
                format!("{to} -j DNAT --to-destination 10.244.1.32:8080"),
                "COMMIT".to_owned(),
            ]
        );
    }
}
