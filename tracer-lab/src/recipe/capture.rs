//! The arguments of `istio-init`: what of a pod's traffic its sidecar gets.

use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;

/// A list that `*` may stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Which<T> {
    All,
    Only(Vec<T>),
}

/// The arguments of `istio-init`, in REDIRECT mode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Capture {
    pub(crate) outbound_port: u16,
    pub(crate) inbound_port: u16,
    pub(crate) proxy_uid: u32,
    pub(crate) proxy_gid: u32,
    pub(crate) inbound_ports: Which<u16>,
    pub(crate) excluded_inbound_ports: Vec<u16>,
    pub(crate) outbound_ranges: Which<Ipv4Net>,
    pub(crate) excluded_outbound_ranges: Vec<Ipv4Net>,
    pub(crate) outbound_ports: Vec<u16>,
    pub(crate) excluded_outbound_ports: Vec<u16>,
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

    #[test]
    fn what_the_lab_cannot_do_is_said() {
        let error = Capture::from_args(&["-m".to_owned(), "TPROXY".to_owned()]).unwrap_err();
        assert_eq!(format!("{error:#}"), "-m \"TPROXY\": the lab captures in mode REDIRECT only");
    }
}
