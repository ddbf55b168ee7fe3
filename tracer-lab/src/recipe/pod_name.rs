//! `namespace/pod`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PodName {
    namespace: String,
    pod: String,
}

impl PodName {
    pub fn new(namespace: &str, pod: &str) -> PodName {
        PodName { namespace: namespace.to_owned(), pod: pod.to_owned() }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// As part of a file's name: no namespace has a dot in its name.
    pub(crate) fn dotted(&self) -> String {
        format!("{}.{}", self.namespace, self.pod)
    }
}

impl FromStr for PodName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<PodName> {
        match text.split_once('/') {
            Some((namespace, pod)) if !namespace.is_empty() && !pod.is_empty() => Ok(PodName::new(namespace, pod)),
            _ => bail!("{text:?} is no pod: write namespace/pod"),
        }
    }
}

impl TryFrom<String> for PodName {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<PodName> {
        text.parse()
    }
}

impl From<PodName> for String {
    fn from(name: PodName) -> String {
        name.to_string()
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!("{}/{}", self.namespace, self.pod))
    }
}
