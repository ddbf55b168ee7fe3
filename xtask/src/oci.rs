//! An OCI image of one layer, as the archive that `ctr images import`, `podman load` and `skopeo` take. Nothing in it
//! depends on when or by whom it was packed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::shell;

pub(crate) struct Config {
    /// `registry/name:tag`
    pub(crate) name: String,
    pub(crate) architecture: &'static str,
    /// What a container of it runs: `config` of OCI's image configuration.
    pub(crate) runs: Value,
}

/// Times, owners and order as no machine has them by itself.
const SAME: [&str; 6] = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

struct Blob {
    digest: String,
    size: u64,
}

/// Packs all of `root`; gives back the manifest's digest.
pub(crate) fn pack(root: &Path, config: &Config, archive: &Path) -> Result<String> {
    let work = archive.with_extension("oci");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    fs::create_dir_all(work.join("blobs/sha256")).with_context(|| format!("cannot create {}", work.display()))?;
    let layer = work.join("layer.tar");
    shell::run(Command::new("tar").arg("-C").arg(root).args(SAME).arg("-cf").arg(&layer).arg("."))?;
    let unpacked = digest(&layer)?;
    shell::run(Command::new("gzip").args(["-9", "--no-name"]).arg(&layer))?;
    let layer = add(&work, &work.join("layer.tar.gz"))?;
    let describes = json!({
        "architecture": config.architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config.runs,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{unpacked}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z" }],
    });
    let describes = add_json(&work, &describes)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": entry("application/vnd.oci.image.config.v1+json", &describes),
        "layers": [entry("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
    });
    let manifest = add_json(&work, &manifest)?;
    let mut index = entry("application/vnd.oci.image.manifest.v1+json", &manifest);
    index["platform"] = json!({ "architecture": config.architecture, "os": "linux" });
    let tag = config.name.rsplit(':').next().unwrap_or_default();
    index["annotations"] = json!({ "io.containerd.image.name": config.name, "org.opencontainers.image.ref.name": tag });
    write(&work.join("index.json"), &json!({ "schemaVersion": 2, "manifests": [index] }))?;
    write(&work.join("oci-layout"), &json!({ "imageLayoutVersion": "1.0.0" }))?;
    let parts = ["oci-layout", "index.json", "blobs"];
    shell::run(Command::new("tar").arg("-C").arg(&work).args(SAME).arg("-cf").arg(archive).args(parts))?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    Ok(format!("sha256:{}", manifest.digest))
}

fn entry(kind: &str, blob: &Blob) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{}", blob.digest), "size": blob.size })
}

fn add_json(work: &Path, value: &Value) -> Result<Blob> {
    let file = work.join("blob.json");
    write(&file, value)?;
    add(work, &file)
}

/// Moves a file among the blobs, under its own digest.
fn add(work: &Path, file: &Path) -> Result<Blob> {
    let digest = digest(file)?;
    let size = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    let place = work.join("blobs/sha256").join(&digest);
    fs::rename(file, &place).with_context(|| format!("cannot move {}", file.display()))?;
    Ok(Blob { digest, size })
}

fn digest(file: &Path) -> Result<String> {
    let says = shell::read(Command::new("sha256sum").arg(file))?;
    Ok(says.split(' ').next().context("sha256sum says nothing")?.to_owned())
}

fn write(file: &Path, value: &Value) -> Result<()> {
    fs::write(file, value.to_string()).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_image_whoever_packs_them_and_when() {
        let folder = std::env::temp_dir().join(format!("xtask-oci-{}", std::process::id()));
        let config = Config { name: "localhost/x:1".to_owned(), architecture: "amd64", runs: json!({ "Cmd": ["/x"] }) };
        let packed = ["first", "second"].map(|name| {
            let root = folder.join(name);
            fs::create_dir_all(&root).unwrap();
            // Written in another order each time, and so with other times and inodes.
            let files = if name == "first" { ["a", "b"] } else { ["b", "a"] };
            for file in files {
                fs::write(root.join(file), file).unwrap();
            }
            let archive = folder.join(format!("{name}.tar"));
            (pack(&root, &config, &archive).unwrap(), fs::read(&archive).unwrap())
        });
        assert!(packed[0] == packed[1] && packed[0].0.starts_with("sha256:"));
        fs::remove_dir_all(folder).unwrap();
    }
}
