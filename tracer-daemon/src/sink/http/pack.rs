//! Packing a scrape for who takes it packed, as Prometheus does (RFC 9110, section 12.5.3): a scrape repeats its names.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// Whether gzip is among what `Accept-Encoding` names, and not refused there.
pub(super) fn takes_gzip<'a>(accept: impl Iterator<Item = &'a str>) -> bool {
    accept.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|parameter| {
            parameter.strip_prefix("q=").is_some_and(|quality| quality.parse::<f32>().unwrap_or(0.0) <= 0.0)
        });
        named && !refused
    })
}

pub(super) fn gzip(text: &str) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 16), Compression::fast());
    packed.write_all(text.as_bytes())?;
    packed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_where_it_is_asked_for() {
        let table = [
            ("", false),
            ("identity", false),
            ("gzip", true),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=oops", false),
            ("gzipped", false),
        ];
        for (accept, takes) in table {
            assert_eq!(takes_gzip([accept].into_iter()), takes, "{accept}");
        }
    }
}
