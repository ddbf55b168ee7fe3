//! The SNI of mesh mTLS: it names the cluster that the proxy chose.

use crate::net::Name;

/// `outbound_.PORT_.SUBSET_.HOST`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ServerName<'a> {
    pub(crate) port: u16,
    pub(crate) subset: &'a str,
    pub(crate) host: &'a str,
}

impl<'a> ServerName<'a> {
    /// `model.BuildDNSSrvSubsetKey`
    pub(crate) fn spelled(self) -> Name {
        let Self { port, subset, host } = self;
        format!("outbound_.{port}_.{subset}_.{host}").into()
    }

    /// `model.ParseSubsetKey`. `None`: a DestinationRule has set another SNI.
    pub(crate) fn parse(sni: &'a str) -> Option<Self> {
        let (port, rest) = sni.strip_prefix("outbound_.")?.split_once("_.")?;
        let (subset, host) = rest.split_once("_.")?;
        Some(Self { port: port.parse().ok()?, subset, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_can_be_parsed() {
        for subset in ["", "v1"] {
            let name = ServerName { port: 9300, subset, host: "es.search.svc.cluster.local" };
            assert_eq!(ServerName::parse(&name.spelled()), Some(name));
        }
        for other in ["", "es.search", "outbound_.x_._.es", "outbound_.9300_._"] {
            assert_eq!(ServerName::parse(other), None, "{other}");
        }
    }
}
