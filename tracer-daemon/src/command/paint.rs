//! Colours. They only repeat what the words say, and are told apart by people who see no difference between red and
//! green.

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
