//! Carries one request from stdin to the daemon's socket and the answer to stdout: how a reader elsewhere asks this node's
//! daemon, through an exec into its pod.

use super::Failure;
use super::socket::unreached;
use std::io::{BufRead, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

/// No request is longer.
const REQUEST: u64 = 4096;

/// Until the answer ends, or whoever asked closes its end.
pub fn relay(path: &Path, mut asks: impl BufRead + Send + 'static, answer: &mut impl Write) -> Result<(), Failure> {
    let mut request = String::new();
    let read = (&mut asks).take(REQUEST).read_line(&mut request);
    read.map_err(|error| Failure::input(anyhow::anyhow!("no request on stdin: {error}")))?;
    let connect = || {
        let mut daemon = UnixStream::connect(path)?;
        daemon.write_all(request.as_bytes())?;
        Ok((daemon.try_clone()?, daemon))
    };
    let (watched, mut daemon) = connect().map_err(|error| unreached(path, &error))?;
    // It ends with the process: nobody waits for it.
    thread::spawn(move || {
        while asks.fill_buf().is_ok_and(|rest| !rest.is_empty()) {
            let read = asks.fill_buf().map_or(0, <[u8]>::len);
            asks.consume(read);
        }
        // Fails only where the daemon has closed already.
        let _ = watched.shutdown(Shutdown::Both);
    });
    std::io::copy(&mut daemon, answer).map_err(Failure::output)?;
    answer.flush().map_err(Failure::output)
}
