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
    #[error(
        "required hook {hook} cannot be attached: {why}: boot with lockdown=integrity or none; confidentiality forbids \
         to read the kernel's structures"
    )]
    LockedDown { hook: &'static str, why: String },
    #[error("this kernel's struct {structure} has no {path}, which the probes need: run a kernel of 5.15 or later")]
    RequiredField { structure: &'static str, path: &'static str },
    #[error("a ring of {0} bytes: give a power of two between 4096 and 1073741824")]
    RingSize(u32),
    #[error("cannot {what}: {why}")]
    Failed { what: &'static str, why: String },
}

impl KernelError {
    /// Of a hook that nothing works without. A locked down kernel has the helper, and keeps it from everybody: its words
    /// are the verifier's of any helper, so that they alone lead to the wrong remedy.
    pub(super) fn required(hook: &'static str, why: String) -> Self {
        if why.contains("cannot use helper bpf_probe_read") {
            Self::LockedDown { hook, why }
        } else {
            Self::RequiredHook { hook, why }
        }
    }

    pub(super) fn failed(what: &'static str) -> impl Fn(String) -> Self {
        move |why| Self::Failed { what, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.12 says it, booted with lockdown=confidentiality.
    #[test]
    fn a_locked_down_kernel_is_told_from_an_old_one() {
        let why = "Invalid argument (os error 22); the verifier says: 1056: (b7) r2 = 2048; 1057: (85) call \
                   bpf_probe_read#4; program of this type cannot use helper bpf_probe_read#4";
        let said = KernelError::required("inet_sock_set_state", why.to_owned()).to_string();
        assert!(said.contains("lockdown=integrity") && !said.contains("5.15"), "{said}");
        let old = "the verifier says: unknown func bpf_get_socket_cookie#46";
        let said = KernelError::required("inet_sock_set_state", old.to_owned()).to_string();
        assert!(said.ends_with("run a kernel of 5.15 or later"), "{said}");
    }
}
