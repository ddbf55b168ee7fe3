//! The socket's file: only its owner may open it, a stale one is replaced, a live one belongs to another daemon.

use rustix::fs::{Mode, chmod};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Removed when dropped, unless it has become somebody else's.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "socket {}: a mesh-tracer is already running on it; stop that one or choose another with --socket PATH",
        .0.display()
    )]
    AlreadyRunning(PathBuf),
    #[error("socket {}: the file is there and is not a socket; remove it or choose another with --socket PATH", .0.display())]
    NotASocket(PathBuf),
    #[error("socket {}: {error}; choose a folder that can be written with --socket PATH", path.display())]
    Io { path: PathBuf, error: io::Error },
}

impl Socket {
    /// Must be called within a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        make_way(path)?;
        let io_error = |error| BindError::Io { path: path.to_owned(), error };
        // Bound under another name first: at its own name it is never open to others, not for a moment.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", rustix::process::getpid().as_raw_nonzero()));
        let private = PathBuf::from(name);
        let bound = bind_private(&private, path);
        if bound.is_err() {
            // What is left of the attempt; it may not even be there.
            let _ = fs::remove_file(&private);
        }
        let (listener, inode) = bound.map_err(io_error)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // Gone already is as good.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_way(path: &Path) -> Result<(), BindError> {
    let io_error = |error| BindError::Io { path: path.to_owned(), error };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(io_error)?;
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(error)),
        Ok(meta) if !meta.file_type().is_socket() => Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(BindError::AlreadyRunning(path.to_owned())),
            // Nobody listens: left by a daemon that was killed. The new one takes its place.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(io_error(error)),
        },
    }
}

fn bind_private(private: &Path, path: &Path) -> io::Result<(UnixListener, u64)> {
    let listener = UnixListener::bind(private)?;
    chmod(private, Mode::RUSR | Mode::WUSR)?;
    let inode = fs::symlink_metadata(private)?.ino();
    fs::rename(private, path)?;
    Ok((listener, inode))
}
