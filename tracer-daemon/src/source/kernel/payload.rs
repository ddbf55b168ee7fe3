//! What the first payload of a direction was: names are taken from it, and nothing else of it is kept.
//!
//! By content alone, as Envoy's own sniffers do it. Every reader here is total: any bytes, cut off anywhere.

mod http1;
mod http2;
mod tls;

use tracer_engine::socket::Payload;

pub fn read(bytes: &[u8]) -> Payload {
    tls::read(bytes).or_else(|| http2::read(bytes)).or_else(|| http1::read(bytes)).unwrap_or(Payload::Other)
}

/// A later segment of a stream that began with the HTTP/2 preface.
pub fn read_on(bytes: &[u8]) -> Payload {
    http2::read_on(bytes)
}

#[cfg(test)]
mod tests;
