//! What the running kernel's JIT can compile.

use crate::process::kernel_release;

/// BPF has had compare-and-swap since 5.12; the JIT of arm64 refuses it before 5.18.
pub(super) fn has_compare_and_swap() -> bool {
    if cfg!(target_arch = "aarch64") { version(&kernel_release()) >= (5, 18) } else { true }
}

/// The first two numbers of a release; a missing one is 0, for which the answer is the safe one.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_first_two_numbers_of_a_release_count() {
        assert_eq!(version("5.15.0-1060-aws"), (5, 15));
        assert_eq!(version("6.1.0-50-cloud-arm64"), (6, 1));
        assert!(version("") < (5, 18));
        assert!(version("5.4") < (5, 18) && version("6.1.0") >= (5, 18));
    }
}
