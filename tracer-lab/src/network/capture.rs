//! The rules that `istio-init` makes of its arguments: what of a pod's traffic its sidecar gets.

use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;

/// A list that `*` may stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Which<T> {
    All,
    Only(Vec<T>),
}

/// The arguments of `istio-init`, in REDIRECT mode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Capture {
    outbound_port: u16,
    inbound_port: u16,
    proxy_uid: u32,
    proxy_gid: u32,
    inbound_ports: Which<u16>,
    excluded_inbound_ports: Vec<u16>,
    outbound_ranges: Which<Ipv4Net>,
    excluded_outbound_ranges: Vec<Ipv4Net>,
    outbound_ports: Vec<u16>,
    excluded_outbound_ports: Vec<u16>,
}

/// What `istio-iptables` does where an argument is absent: it captures nothing but what it is told to.
impl Default for Capture {
    fn default() -> Capture {
        Capture {
            outbound_port: 15001,
            inbound_port: 15006,
            proxy_uid: 1337,
            proxy_gid: 1337,
            inbound_ports: Which::Only(Vec::new()),
            excluded_inbound_ports: Vec::new(),
            outbound_ranges: Which::Only(Vec::new()),
            excluded_outbound_ranges: Vec::new(),
            outbound_ports: Vec::new(),
            excluded_outbound_ports: Vec::new(),
        }
    }
}

impl Capture {
    pub(crate) fn from_args(args: &[String]) -> Result<Capture> {
        let mut capture = Capture::default();
        let mut args = args.iter().map(String::as_str).filter(|arg| *arg != "istio-iptables" && !arg.starts_with("--"));
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} has no value"))?;
            capture.set(flag, value).with_context(|| format!("{flag} {value:?}"))?;
        }
        Ok(capture)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<()> {
        match flag {
            "-p" => self.outbound_port = value.parse()?,
            "-z" => self.inbound_port = value.parse()?,
            "-u" => self.proxy_uid = value.parse()?,
            "-g" => self.proxy_gid = value.parse()?,
            "-m" if value == "REDIRECT" => {}
            "-m" => bail!("the lab captures in mode REDIRECT only"),
            "-b" => self.inbound_ports = which(value)?,
            "-d" => self.excluded_inbound_ports = list(value)?,
            "-i" => self.outbound_ranges = which(value)?,
            "-x" => self.excluded_outbound_ranges = list(value)?,
            "-q" => self.outbound_ports = list(value)?,
            "-o" => self.excluded_outbound_ports = list(value)?,
            _ => bail!("the lab does not know this argument of istio-init"),
        }
        Ok(())
    }

    /// The pod's nat table, under the names that Istio gives its chains.
    pub(crate) fn rules(&self) -> Vec<String> {
        let mut rules = vec!["*nat".to_owned()];
        let chains = ["ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT"];
        rules.extend(chains.map(|chain| format!(":{chain} - [0:0]")));
        rules.push(format!("-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {}", self.inbound_port));
        rules.push(format!("-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {}", self.outbound_port));
        rules.push("-A PREROUTING -p tcp -j ISTIO_INBOUND".to_owned());
        rules.extend(self.inbound().into_iter().map(|rule| format!("-A ISTIO_INBOUND {rule}")));
        rules.push("-A OUTPUT -j ISTIO_OUTPUT".to_owned());
        rules.extend(self.outbound().into_iter().map(|rule| format!("-A ISTIO_OUTPUT {rule}")));
        rules.push("COMMIT".to_owned());
        rules
    }

    fn inbound(&self) -> Vec<String> {
        let mut rules = vec!["-p tcp --dport 15008 -j RETURN".to_owned()];
        match &self.inbound_ports {
            Which::All => {
                let excluded = self.excluded_inbound_ports.iter();
                rules.extend(excluded.map(|port| format!("-p tcp --dport {port} -j RETURN")));
                rules.push("-p tcp -j ISTIO_IN_REDIRECT".to_owned());
            }
            Which::Only(ports) => {
                rules.extend(ports.iter().map(|port| format!("-p tcp --dport {port} -j ISTIO_IN_REDIRECT")));
            }
        }
        rules
    }

    fn outbound(&self) -> Vec<String> {
        let excluded = self.excluded_outbound_ports.iter();
        let mut rules: Vec<_> = excluded.map(|port| format!("-p tcp --dport {port} -j RETURN")).collect();
        // The proxy's own way to the application; 127.0.0.6 is the address it takes for that.
        rules.push("-o lo -s 127.0.0.6/32 -j RETURN".to_owned());
        for owner in [format!("--uid-owner {}", self.proxy_uid), format!("--gid-owner {}", self.proxy_gid)] {
            // The proxy to its own pod's ip goes through the inbound side; an application to its own pod's ip does not.
            rules.push(format!("-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner {owner} -j ISTIO_IN_REDIRECT"));
            rules.push(format!("-o lo -m owner ! {owner} -j RETURN"));
            rules.push(format!("-m owner {owner} -j RETURN"));
        }
        rules.push("-d 127.0.0.1/32 -j RETURN".to_owned());
        rules.extend(self.excluded_outbound_ranges.iter().map(|range| format!("-d {range} -j RETURN")));
        rules.extend(self.outbound_ports.iter().map(|port| format!("-p tcp --dport {port} -j ISTIO_REDIRECT")));
        match &self.outbound_ranges {
            Which::All => rules.push("-j ISTIO_REDIRECT".to_owned()),
            Which::Only(ranges) => rules.extend(ranges.iter().map(|range| format!("-d {range} -j ISTIO_REDIRECT"))),
        }
        rules
    }
}

fn which<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Result<Which<T>> {
    if text == "*" { Ok(Which::All) } else { list(text).map(Which::Only) }
}

fn list<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Result<Vec<T>> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| Ok(part.parse()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(args: &str) -> Vec<String> {
        let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
        Capture::from_args(&args).unwrap().rules()
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

    #[test]
    fn what_the_lab_cannot_do_is_said() {
        let error = Capture::from_args(&["-m".to_owned(), "TPROXY".to_owned()]).unwrap_err();
        assert_eq!(format!("{error:#}"), "-m \"TPROXY\": the lab captures in mode REDIRECT only");
    }
}
