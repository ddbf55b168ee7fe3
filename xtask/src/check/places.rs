//! Wall: nothing in the tree knows the machine it was written on, neither its folders nor the mirrors it downloads from.

use std::path::Path;

use super::finding::Finding;

/// Folders at `/` that hold what exists on one person's machine only.
const HOMES: [&str; 2] = ["root", "home"];

/// Hosts that anyone may name.
const PUBLIC: [&str; 6] = ["debian.org", "crates.io", "pypi.org", "pythonhosted.org", "ubuntu.com", "github.com"];

pub(super) struct Places {
    /// The checkout's own folder, and the hosts that this machine's package managers are told to use.
    unwanted: Vec<String>,
}

impl Places {
    /// `settings`: what apt and pip are configured with here.
    pub(super) fn new(checkout: &Path, settings: &str) -> Self {
        let hosts = settings.split_whitespace().filter_map(host).filter(|host| !is_public(host)).map(str::to_owned);
        let mut unwanted: Vec<_> = HOMES.iter().map(|home| format!("/{home}/")).chain(hosts).collect();
        unwanted.push(format!("{}/", checkout.display()));
        unwanted.sort();
        unwanted.dedup();
        Self { unwanted }
    }

    pub(super) fn findings(&self, file: &Path, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (number, line) in text.lines().enumerate() {
            for unwanted in self.unwanted.iter().filter(|unwanted| line.contains(unwanted.as_str())) {
                let rule = format!("`{unwanted}` is a place of one machine: derive it, or say it without");
                findings.push(Finding::new(file, number + 1, rule));
            }
        }
        findings
    }
}

/// The host of an address, without user, port and path.
fn host(word: &str) -> Option<&str> {
    let (_, rest) = word.split_once("://")?;
    let authority = rest.split(['/', '\'', '"']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (host.contains('.')).then_some(host)
}

fn is_public(host: &str) -> bool {
    PUBLIC.iter().any(|public| host == *public || host.strip_suffix(public).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_of_this_machine_is_not_named_in_the_tree() {
        let settings =
            "URIs: https://user:pass@mirror.corp.example:443/debian\ndeb http://deb.debian.org/debian x main";
        let places = Places::new(Path::new("/src/mesh"), settings);
        let found = places.findings(Path::new("a.sh"), "# ok http://deb.debian.org\ncurl mirror.corp.example/x\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a.sh:2: `mirror.corp.example`"), "{}", found[0]);
    }

    #[test]
    fn a_home_and_the_checkout_are_not_named_in_the_tree() {
        let places = Places::new(Path::new("/src/mesh"), "");
        // Written in two halves: this file is judged as well.
        let text = format!("cd /{}/x\ncd /src/mesh/y\ncd /tmp/z\n", "root");
        assert_eq!(places.findings(Path::new("a.sh"), &text).iter().map(|f| f.line).collect::<Vec<_>>(), [1, 2]);
    }
}
