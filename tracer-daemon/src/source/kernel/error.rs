//! Why the probes cannot run: each one a single line that ends with what to do.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum KernelError {
    #[error("capability {0} is missing: run as root, or grant it (securityContext.capabilities.add)")]
    MissingCapability(&'static str),
    #[error(
        "the kernel refused the probes although every capability is there ({0}): run outside of a user namespace, and \
         with lockdown not above integrity"
    )]
    NotPermitted(String),
    #[error(
        "this kernel does not tell its types (/sys/kernel/btf/vmlinux: {0}): boot one with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf(String),
    #[error("required hook {hook} cannot be attached: {why}: run a kernel of 5.15 or later")]
    RequiredHook { hook: &'static str, why: String },
    #[error("this kernel's struct {structure} has no {path}, which the probes need: run a kernel of 5.15 or later")]
    RequiredField { structure: &'static str, path: &'static str },
    #[error("a ring of {0} bytes: give a power of two between 4096 and 1073741824")]
    RingSize(u32),
    #[error("cannot {what}: {why}")]
    Failed { what: &'static str, why: String },
}

impl KernelError {
    pub(super) fn failed(what: &'static str) -> impl Fn(String) -> Self {
        move |why| Self::Failed { what, why }
    }
}
