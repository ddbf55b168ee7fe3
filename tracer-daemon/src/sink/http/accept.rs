//! Which format a scraper would rather have (RFC 9110, section 12.5.1; what Prometheus sends).

use super::super::metrics::Format;

/// OpenMetrics where it is asked for by name and liked at least as much as plain text; else the classic format,
/// which every reader understands.
pub(super) fn preferred<'a>(accept: impl Iterator<Item = &'a str>) -> Format {
    let mut open = 0.0_f32;
    let mut classic = 0.0_f32;
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts
            .find_map(|parameter| parameter.strip_prefix("q="))
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        match name {
            "application/openmetrics-text" => open = open.max(quality),
            "text/plain" | "text/*" => classic = classic.max(quality),
            _ => {}
        }
    }
    if open > 0.0 && open >= classic { Format::OpenMetrics } else { Format::Classic }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_that_is_asked_for() {
        let table = [
            ("", Format::Classic),
            ("*/*", Format::Classic),
            ("text/plain;version=0.0.4", Format::Classic),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.1", Format::Classic),
            ("application/openmetrics-text;q=0", Format::Classic),
            ("application/openmetrics-text;q=oops", Format::Classic),
        ];
        for (accept, format) in table {
            assert_eq!(preferred([accept].into_iter()), format, "{accept}");
        }
    }
}
