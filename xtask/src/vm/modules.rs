//! Kernel modules for a guest: what it needs of those that its kernel does not have compiled in, in the order in which
//! they can be loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Pods' interfaces; iptables with what the tests and Istio's rules ask of it. A name that a kernel does not have as a
/// module is compiled in, or was merged into another; the test that misses it says so.
const WANTED: [&str; 29] = [
    "veth",
    "nf_tables",
    "nft_compat",
    "nft_chain_nat",
    "nft_counter",
    "nft_ct",
    "nft_limit",
    "nft_masq",
    "nft_nat",
    "nft_redir",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "xt_tcpudp",
    "xt_addrtype",
    "xt_comment",
    "xt_conntrack",
    "xt_limit",
    "xt_mark",
    "xt_multiport",
    "xt_owner",
    "xt_statistic",
    "xt_string",
    "ts_bm",
    "xt_MASQUERADE",
    "xt_nat",
    "xt_REDIRECT",
    "ipt_REJECT",
    "ip6t_REJECT",
];

/// One module, not compressed.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Each module after those that it depends on.
pub(super) fn wanted(tree: &Path) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(tree, &mut files)?;
    let mut loader = Loader { files, done: BTreeSet::new(), order: Vec::new() };
    for name in WANTED {
        loader.load(name)?;
    }
    Ok(loader.order)
}

struct Loader {
    files: BTreeMap<String, PathBuf>,
    done: BTreeSet<String>,
    order: Vec<Module>,
}

impl Loader {
    fn load(&mut self, name: &str) -> Result<()> {
        let Some(file) = self.files.get(name) else { return Ok(()) };
        if !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let content = read(file)?;
        for dependency in depends(&content) {
            self.load(&dependency)?;
        }
        self.order.push(Module { name: name.to_owned(), content });
        Ok(())
    }
}

/// Modules by their name, which has underscores where a file's may have dashes.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("no modules in {}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some((name, ".ko" | ".ko.xz")) = split(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

fn split(path: &Path) -> Option<(String, &str)> {
    let name = path.file_name()?.to_str()?;
    let (stem, ending) = name.split_at(name.find(".ko")?);
    Some((stem.replace('-', "_"), ending))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let shown = file.display();
    if file.extension().is_some_and(|end| end == "ko") {
        return fs::read(file).with_context(|| format!("cannot read {shown}"));
    }
    // Not every kernel decompresses modules itself.
    let output = Command::new("xz").arg("-dc").arg(file).output().context("cannot start xz")?;
    anyhow::ensure!(output.status.success(), "xz -dc {shown}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

/// `depends=a,b` among the NUL-terminated strings of a module's .modinfo.
fn depends(module: &[u8]) -> Vec<String> {
    let strings = module.split(|byte| *byte == 0);
    let list = strings.into_iter().find_map(|string| string.strip_prefix(b"depends="));
    let list = String::from_utf8_lossy(list.unwrap_or_default()).into_owned();
    list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_stand_in_the_modules_own_words() {
        assert_eq!(
            depends(b"\x7fELF\0\0license=GPL\0depends=nf_tables,x_tables\0name=nft_compat\0"),
            ["nf_tables", "x_tables"]
        );
        assert_eq!(depends(b"\x7fELF\0depends=\0retpoline=Y\0"), [""; 0]);
        assert_eq!(depends(b"\x7fELF"), [""; 0]);
    }

    #[test]
    fn a_module_is_known_by_its_name_whatever_its_file_is_called() {
        let name = |file: &str| split(Path::new(file)).map(|(name, _)| name);
        assert_eq!(name("/m/net/nf-log.ko").as_deref(), Some("nf_log"));
        assert_eq!(name("/m/veth.ko.xz").as_deref(), Some("veth"));
        assert_eq!(name("/m/modules.order"), None);
    }

    #[test]
    fn what_a_module_depends_on_is_loaded_before_it() {
        let folder = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        fs::create_dir_all(folder.join("net")).unwrap();
        fs::write(folder.join("net/veth.ko"), b"\0depends=b\0").unwrap();
        fs::write(folder.join("b.ko"), b"\0depends=c-d,gone\0").unwrap();
        fs::write(folder.join("c-d.ko"), b"\0depends=\0").unwrap();
        fs::write(folder.join("unwanted.ko"), b"\0depends=\0").unwrap();
        let order: Vec<_> = wanted(&folder).unwrap().into_iter().map(|module| module.name).collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(order, ["c_d", "b", "veth"]);
    }
}
