//! The folder of one server, which goes with the process that made it, however that ends. A test's statics are never
//! dropped, so its end is seen from outside: by whoever holds the other end of a pipe.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Waits for the end of its input, then removes the folder. Whoever still writes there is being killed.
const JANITOR: &str = r#"cat; until rm -rf -- "$0" 2>/dev/null; do :; done"#;

pub(crate) struct Folder {
    path: PathBuf,
    janitor: Child,
    lives: Option<ChildStdin>,
}

impl Folder {
    /// In the machine's folder for temporary files: a socket's path has at most 108 characters, a checkout's may have more.
    pub(crate) fn create() -> Result<Self> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tracer-lab-{}-{number}", std::process::id()));
        // Keys and tokens lie in it.
        fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut janitor = Command::new("sh");
        janitor.args(["-c", JANITOR]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C is for the test, not for whoever tidies up after it.
        let mut janitor = janitor.process_group(0).spawn().context("cannot start sh")?;
        let lives = janitor.stdin.take();
        Ok(Self { path, janitor, lives })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.lives.take());
        let _removed = self.janitor.wait();
    }
}
