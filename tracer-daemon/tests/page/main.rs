//! The page: what it serves and to whom, as bytes; and what a real browser makes of it.

#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion with a line number")]

mod browser;
mod chromium;
mod daemon;
mod flows;
mod http;
