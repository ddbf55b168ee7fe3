//! What a client says that speaks neither HTTP nor TLS, and the mark by which a request is known again.

use crate::recipe::pod_name::PodName;

/// The header that carries the token of an HTTP request.
pub(super) const HEADER: &str = "x-lab-call";

/// No protocol begins with it: an HTTP method is letters, a TLS record begins with 0x16.
const MARK: &[u8] = b"\0lab";

pub(super) fn bytes(token: u64) -> Vec<u8> {
    [MARK, &token.to_be_bytes()].concat()
}

/// The token of a request that begins `bytes`, whatever protocol it speaks.
pub(super) fn token(bytes: &[u8]) -> Option<u64> {
    if let Some(token) = bytes.strip_prefix(MARK) {
        return token.first_chunk().map(|token| u64::from_be_bytes(*token));
    }
    let head = str::from_utf8(bytes).ok()?;
    let (_, value) = head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| *name == HEADER)?;
    value.parse().ok()
}

/// What a server says that speaks first, and who it is.
pub(super) fn banner(pod: &PodName) -> String {
    format!("220 {pod} ESMTP tracer-lab\r\n")
}

/// Whose banner begins `bytes`.
pub(super) fn greeter(bytes: &[u8]) -> Option<PodName> {
    let words = str::from_utf8(bytes).ok()?.strip_prefix("220 ")?;
    words.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_known_again() {
        assert_eq!(token(&bytes(7)), Some(7));
        assert_eq!(token(&bytes(7)[..11]), None);
        assert_eq!(token(b"GET / HTTP/1.1\r\nhost: db\r\nx-lab-call: 12\r\n\r\n"), Some(12));
        assert_eq!(token(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_banner_tells_whose_it_is() {
        let pod = PodName::new("data", "mail-0");
        assert_eq!(greeter(banner(&pod).as_bytes()), Some(pod));
        assert_eq!(greeter(b"HTTP/1.1 220 "), None);
    }
}
