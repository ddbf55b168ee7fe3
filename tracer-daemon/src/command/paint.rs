//! Colours. They only repeat what the words say, and are told apart by people who see no difference between red and
//! green.

use crate::sink::wire::Code;
use anstyle::{AnsiColor, Style};

pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();

pub(super) fn class_style(class: &str) -> Style {
    match class {
        "rejected" => AnsiColor::Red.on_default().bold(),
        "undetermined" => AnsiColor::Magenta.on_default(),
        "unmeshed" => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Cyan.on_default(),
    }
}

pub(super) fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// The reason and its cause; the reasons that are open where there is none.
pub(super) fn because<'c>(
    reason: Option<&Code>,
    cause: Option<&Code>,
    open: impl IntoIterator<Item = &'c Code>,
) -> String {
    match (reason, cause) {
        (Some(reason), Some(cause)) => format!("{reason} ({cause})"),
        (Some(reason), None) => reason.to_string(),
        (None, _) => {
            let mut reasons: Vec<&str> = open.into_iter().map(|code| &**code).collect();
            reasons.sort_unstable();
            reasons.dedup();
            if reasons.is_empty() { "no candidate is left".to_owned() } else { reasons.join(" | ") }
        }
    }
}
