//! Who may read the page: whoever was given its address. The path begins with a secret, so that a port that is found is
//! no way in, and the Host must be loopback's, so that no site can lead a browser here by a name of its own.

use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt::{self, Write};

/// 128 bits.
const BYTES: usize = 16;

pub(super) struct Guard {
    secret: String,
}

impl Guard {
    pub(super) fn new() -> Result<Self, Errno> {
        let mut bytes = [0; BYTES];
        // So few are always given at once.
        getrandom(&mut bytes, GetRandomFlags::empty())?;
        let secret = bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { secret })
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// The path behind the secret, or what to answer instead.
    pub(super) fn admit<'r, B>(&self, request: &'r Request<B>) -> Result<&'r str, (StatusCode, &'static str)> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
        if hosts.next().is_some() || !is_loopback(host) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "only as 127.0.0.1, [::1] or localhost\n"));
        }
        let path = request.uri().path().strip_prefix('/').unwrap_or_default();
        let (secret, rest) = path.split_once('/').unwrap_or((path, ""));
        if !same(secret.as_bytes(), self.secret.as_bytes()) {
            return Err((StatusCode::FORBIDDEN, "open the address that `mesh-tracer page` printed, all of it\n"));
        }
        if request.method() != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
        }
        Ok(rest)
    }
}

/// With any port: one that is forwarded has another number at its other end.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "[::1]" | "localhost")
}

/// In a time that does not tell how much of it was right.
fn same(given: &[u8], secret: &[u8]) -> bool {
    given.len() == secret.len() && given.iter().zip(secret).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _ } = self;
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(guard: &Guard, method: &str, host: &str, path: &str) -> Result<String, u16> {
        let request = Request::builder().method(method).header(HOST, host).uri(path).body(()).unwrap();
        guard.admit(&request).map(str::to_owned).map_err(|(status, _)| status.as_u16())
    }

    #[test]
    fn the_secret_and_loopback_are_both_asked_for() {
        let guard = Guard { secret: "5ec7e7".to_owned() };
        for (method, host, path, answer) in [
            ("GET", "127.0.0.1:8080", "/5ec7e7/flows", Ok("flows")),
            ("GET", "localhost:9", "/5ec7e7/", Ok("")),
            ("GET", "[::1]:8080", "/5ec7e7/explain/n1-1-2", Ok("explain/n1-1-2")),
            ("GET", "127.0.0.1", "/5ec7e7", Ok("")),
            ("POST", "127.0.0.1:8080", "/5ec7e7/flows", Err(405)),
            ("GET", "127.0.0.1:8080", "/", Err(403)),
            ("GET", "127.0.0.1:8080", "/flows", Err(403)),
            ("GET", "127.0.0.1:8080", "/5ec7e/flows", Err(403)),
            ("GET", "127.0.0.1:8080", "/5ec7e8/flows", Err(403)),
            ("GET", "127.0.0.1:8080", "//5ec7e7/flows", Err(403)),
            ("GET", "rebound.example:8080", "/5ec7e7/flows", Err(421)),
            ("GET", "127.0.0.1.example", "/5ec7e7/flows", Err(421)),
            ("GET", "10.0.0.1:8080", "/5ec7e7/flows", Err(421)),
            ("GET", "", "/5ec7e7/flows", Err(421)),
        ] {
            assert_eq!(admitted(&guard, method, host, path), answer.map(str::to_owned), "{method} {host} {path}");
        }
    }

    #[test]
    fn every_page_has_a_secret_of_its_own() {
        let (one, other) = (Guard::new().unwrap(), Guard::new().unwrap());
        assert_eq!(one.secret().len(), 2 * BYTES);
        assert_ne!(one.secret(), other.secret());
        assert!(!format!("{one:?}").contains(one.secret()));
    }
}
