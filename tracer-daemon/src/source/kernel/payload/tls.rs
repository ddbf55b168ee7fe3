//! TLS records: the names in a ClientHello, and what answers one.
//!
//! Our own reader because the hello may be cut off anywhere (trap 15): 1.5 to 2.2 kB with a post-quantum key share, and
//! the bytes seen end at a segment or at the probe's bound. The TLS crates parse whole messages or nothing.

use smallvec::SmallVec;
use tracer_engine::net::Name;
use tracer_engine::socket::{ClientHello, Payload};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
const ALPN: u16 = 16;

/// A cursor over bytes that may end early; a field that is not wholly there is `None`.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

/// `None` where this is no TLS record.
pub(super) fn read(bytes: &[u8]) -> Option<Payload> {
    let (&[kind, 3, _, _, _], record) = bytes.split_first_chunk::<RECORD_HEADER>()? else { return None };
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    match kind {
        ALERT => Some(Payload::TlsAnswer { alert: true, length }),
        HANDSHAKE => match record.split_first()? {
            (&CLIENT_HELLO, rest) => Some(Payload::ClientHello(client_hello(bytes, rest))),
            _ => Some(Payload::TlsAnswer { alert: false, length }),
        },
        _ => None,
    }
}

/// `message` is what follows the handshake type in the first record. A hello over several records is taken as far as the
/// first goes: nobody who wants to be understood writes one.
fn client_hello(record: &[u8], message: &[u8]) -> ClientHello {
    let mut hello = ClientHello::default();
    let length = record.get(3..RECORD_HEADER).map_or(0, |l| usize::from(l[0]) << 8 | usize::from(l[1]));
    let message = &message[..message.len().min(length.saturating_sub(1))];
    let Some(mut extensions) = extensions(message) else { return hello };
    loop {
        if extensions.bytes.0.is_empty() {
            hello.complete = extensions.whole;
            return hello;
        }
        let Some(kind) = extensions.bytes.u16() else { return hello };
        let Some((body, whole)) = extensions.bytes.vector16() else { return hello };
        match kind {
            SERVER_NAME => hello.sni = server_name(body),
            ALPN => hello.alpn = protocols(body),
            _ => {}
        }
        if !whole {
            return hello;
        }
    }
}

struct Extensions<'a> {
    bytes: Cursor<'a>,
    whole: bool,
}

/// `None` where the bytes end before the extensions begin.
fn extensions(message: &[u8]) -> Option<Extensions<'_>> {
    let mut hello = Cursor(message);
    hello.take(3)?; // length of the message
    hello.take(2 + 32)?; // legacy version, random
    hello.vector8()?; // session id
    let (_, true) = hello.vector16()? else { return None }; // cipher suites
    hello.vector8()?; // compression methods
    if hello.0.is_empty() && message.len() == 3 + declared(message) {
        return Some(Extensions { bytes: hello, whole: true }); // no extensions at all
    }
    let (bytes, whole) = hello.vector16()?;
    Some(Extensions { bytes, whole })
}

fn declared(message: &[u8]) -> usize {
    message.iter().take(3).fold(0, |length, byte| length << 8 | usize::from(*byte))
}

fn server_name(mut list: Cursor<'_>) -> Option<Name> {
    let (mut list, _) = list.vector16()?;
    while let Some(kind) = list.u8() {
        let (name, whole) = list.vector16()?;
        if kind == HOST_NAME && whole {
            return text(name.0);
        }
    }
    None
}

fn protocols(mut list: Cursor<'_>) -> SmallVec<[Name; 4]> {
    let mut names = SmallVec::new();
    if let Some((mut list, _)) = list.vector16() {
        while let Some(name) = list.vector8() {
            names.extend(text(name.0));
        }
    }
    names
}

/// What a name of a host or a protocol can be; anything else would be bytes of payload in disguise.
fn text(bytes: &[u8]) -> Option<Name> {
    let printable = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(bytes).ok().filter(|_| printable).map(Name::from)
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from(b[0]) << 8 | u16::from(b[1]))
    }

    /// A vector with a length of one byte, wholly there.
    fn vector8(&mut self) -> Option<Cursor<'a>> {
        let mut ahead = *self;
        let length = ahead.u8()?;
        let taken = ahead.take(usize::from(length))?;
        *self = ahead;
        Some(Cursor(taken))
    }

    /// A vector with a length of two bytes, or as much of it as there is; and whether that is all.
    fn vector16(&mut self) -> Option<(Cursor<'a>, bool)> {
        let length = usize::from(self.u16()?);
        let whole = length <= self.0.len();
        let taken = self.take(length.min(self.0.len()))?;
        Some((Cursor(taken), whole))
    }
}
