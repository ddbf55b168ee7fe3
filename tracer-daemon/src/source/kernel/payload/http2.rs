//! HTTP/2: the client's preface or the server's first frames, and the first HEADERS where it came along.

use loona_hpack::Decoder;
use tracer_engine::net::Name;
use tracer_engine::socket::Payload;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const SETTING: usize = 6;
const ACK: u8 = 0x01;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// What a peer that announced nothing may assume (RFC 9113, SETTINGS_HEADER_TABLE_SIZE).
const TABLE_SIZE: usize = 4096;

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    /// As declared; `payload` may be cut off before that.
    length: usize,
    payload: &'a [u8],
}

/// `None` where this is no HTTP/2.
pub(super) fn read(bytes: &[u8]) -> Option<Payload> {
    if let Some(frames) = bytes.strip_prefix(PREFACE) {
        return Some(read_on(frames));
    }
    // The preface alone is cut off nowhere but in its middle: "PRI" begins nothing else.
    if bytes.len() >= 3 && PREFACE.starts_with(bytes) {
        return Some(Payload::Http2 { authority: None });
    }
    let (first, _) = frame(bytes)?;
    let settings = first.kind == SETTINGS && first.stream == 0 && first.flags & !ACK == 0;
    if !settings || !first.length.is_multiple_of(SETTING) || first.length > 64 * SETTING {
        return None;
    }
    let status = header(bytes, b":status").and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok());
    Some(Payload::Http2Response { status })
}

/// What follows the client's preface. Clients write whole frames, so a segment begins with one.
pub(super) fn read_on(frames: &[u8]) -> Payload {
    let authority = header(frames, b":authority").and_then(|value| String::from_utf8(value).ok());
    Payload::Http2 { authority: authority.filter(|a| !a.is_empty()).map(Name::from) }
}

/// A pseudo-header of the first HEADERS frame, as far as the bytes go.
fn header(mut bytes: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    while let Some((frame, rest)) = frame(bytes) {
        if frame.kind != HEADERS {
            bytes = rest;
            continue;
        }
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE_SIZE);
        let mut found = None;
        // Cut off further on: what was decoded until there was handed over.
        let _ = decoder.decode_with_cb(fragment(&frame)?, |key, value| {
            if found.is_none() && key.as_ref() == name {
                found = Some(value.into_owned());
            }
        });
        return found;
    }
    None
}

/// The header block of a HEADERS frame, without padding and priority.
fn fragment<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    let mut payload = frame.payload;
    let mut padding = 0;
    if frame.flags & PADDED != 0 {
        let (length, rest) = payload.split_first()?;
        padding = usize::from(*length);
        payload = rest;
    }
    if frame.flags & PRIORITY != 0 {
        payload = payload.get(5..)?;
    }
    let whole = frame.payload.len() == frame.length;
    if whole { payload.get(..payload.len().checked_sub(padding)?) } else { Some(payload) }
}

/// The next frame and what follows it; of the last one as much as there is.
fn frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (&[a, b, c, kind, flags, s0, s1, s2, s3], rest) = bytes.split_first_chunk::<FRAME_HEADER>()?;
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let (payload, rest) = rest.split_at(length.min(rest.len()));
    let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
    Some((Frame { kind, flags, stream, length, payload }, rest))
}
