//! The page's files, as they are: plain modules that a browser reads, no step between.

/// Name, media type, content.
const ASSETS: [(&str, &str, &str); 12] = [
    ("", "text/html; charset=utf-8", include_str!("www/index.html")),
    ("page.css", "text/css; charset=utf-8", include_str!("www/page.css")),
    ("icon.svg", "image/svg+xml", include_str!("www/icon.svg")),
    ("main.js", SCRIPT, include_str!("www/main.js")),
    ("classes.js", SCRIPT, include_str!("www/classes.js")),
    ("detail.js", SCRIPT, include_str!("www/detail.js")),
    ("filter.js", SCRIPT, include_str!("www/filter.js")),
    ("flows.js", SCRIPT, include_str!("www/flows.js")),
    ("graph.js", SCRIPT, include_str!("www/graph.js")),
    ("legs.js", SCRIPT, include_str!("www/legs.js")),
    ("list.js", SCRIPT, include_str!("www/list.js")),
    ("why.js", SCRIPT, include_str!("www/why.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Media type and content.
pub(super) fn asset(name: &str) -> Option<(&'static str, &'static str)> {
    ASSETS.iter().find(|(own, ..)| *own == name).map(|(_, kind, content)| (*kind, *content))
}
