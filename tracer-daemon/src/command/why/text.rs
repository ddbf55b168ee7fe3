//! The answer for a person at night: what is wrong, to whom it happens, why, what to type; then what is not known.

use super::super::explain::apply;
use super::super::paint::{self, BOLD, DIM, class_style, painted};
use crate::sink::wire::{Doubt, Example, Trouble, Why};
use jiff::Timestamp;
use std::fmt::{self, Write};

/// Nobody reads longer lines of prose.
const WIDEST: usize = 120;
/// Beside this little a word more is no help.
const NARROWEST: usize = 40;
/// Pairs of ends that are shown of one cause.
const PAIRS: usize = 4;
/// Causes that are shown; JSON has all.
const CAUSES: usize = 20;

pub(super) fn page(why: &Why, columns: usize) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write(why, columns.clamp(NARROWEST, WIDEST), &mut out);
    out
}

fn write(why: &Why, columns: usize, out: &mut String) -> fmt::Result {
    let Why { version: _, subject, since, until, nodes, flows, hidden, troubles, unknown } = why;
    let of = |class: &str| troubles.iter().filter(|t| t.class == class).map(|t| t.count).sum::<u64>();
    let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
    let seen = if nodes.is_empty() { String::new() } else { format!(", as {} saw them", nodes.join(", ")) };
    let verdict = match (*flows, of("rejected"), of("undetermined")) {
        (0, _, _) => "no flow was seen, so nothing can be said".to_owned(),
        (flows, 0, 0) => format!("nothing is wrong: {} got through", count(flows - hidden, "flow")),
        (flows, rejected, 0) => format!("{rejected} of {} rejected", count(flows, "flow")),
        (flows, 0, open) => format!("{open} of {} undetermined, none rejected", count(flows, "flow")),
        (flows, rejected, open) => format!("{rejected} of {} rejected, {open} undetermined", count(flows, "flow")),
    };
    wrapped(&format!("{subject}: {verdict}"), "", columns, Some(BOLD), out)?;
    wrapped(&format!("{} to {}{seen}", date(*since), until.strftime("%H:%M:%S UTC")), "", columns, Some(DIM), out)?;
    if *hidden > 0 {
        let text = format!("{} of probes and scrapes in trouble hidden (--all shows them)", count(*hidden, "flow"));
        wrapped(&text, "", columns, Some(DIM), out)?;
    }
    for (number, trouble) in (1..).zip(troubles.iter().take(CAUSES)) {
        writeln!(out)?;
        one(number, trouble, columns, out)?;
    }
    if troubles.len() > CAUSES {
        writeln!(out, "\n{} more: -o json has them all", count((troubles.len() - CAUSES) as u64, "cause"))?;
    }
    let unknown = unknown.iter().map(|Doubt { code: _, says }| says.clone()).chain(unpatched(troubles));
    for (number, says) in unknown.enumerate() {
        if number == 0 {
            writeln!(out, "\n{BOLD}Not known:{BOLD:#}")?;
        }
        wrapped(&says, "  - ", columns, None, out)?;
    }
    Ok(())
}

/// Why there is no patch, once where that is so for one reason.
fn unpatched(troubles: &[Trouble]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (number, trouble) in (1..).zip(troubles) {
        let Some(why) = trouble.patch_unknown.as_deref() else { continue };
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, numbers)) => numbers.push(i32::to_string(&number)),
            None => reasons.push((why, vec![i32::to_string(&number)])),
        }
    }
    let alike = |numbers: &[String]| numbers.len() == troubles.len();
    let of = |numbers: &[String]| if alike(numbers) { String::new() } else { format!(" for {}", numbers.join(", ")) };
    reasons.into_iter().map(|(why, numbers)| format!("a patch{}: {why}", of(&numbers))).collect()
}

fn one(number: usize, trouble: &Trouble, columns: usize, out: &mut String) -> fmt::Result {
    let Trouble { class, reason, cause, candidates, connecting, traffic, to, count: times, first, last, .. } = trouble;
    let because = if *connecting {
        "its SYN is still unanswered".to_owned()
    } else {
        paint::because(reason.as_ref(), cause.as_ref(), candidates.iter().map(|candidate| &candidate.reason))
    };
    let heading = painted(&class.to_uppercase(), class_style(class));
    let traffic = if traffic == "app" { String::new() } else { format!(", {traffic}s") };
    writeln!(out, "{number}. {heading}  {because}")?;
    let when = if first == last { clock(*first) } else { format!("{} to {}", clock(*first), clock(*last)) };
    wrapped(&format!("{} to {to}{traffic}, {when}", count(*times, "flow")), "   ", columns, None, out)?;
    for Example { from, to, count, id, last: _ } in trouble.examples.iter().take(PAIRS) {
        let pair = format!("   {count:>5}  {from} -> {to}");
        let id = if pair.chars().count() + 2 + id.chars().count() <= columns {
            format!("  {DIM}{id}{DIM:#}")
        } else {
            String::new()
        };
        writeln!(out, "{pair}{id}")?;
    }
    if trouble.examples.len() > PAIRS {
        writeln!(out, "          {DIM}and others (-o json){DIM:#}")?;
    }
    wrapped(&trouble.explanation, "   ", columns, None, out)?;
    wrapped(&format!("To do: {}", trouble.remedy), "   ", columns, Some(BOLD), out)?;
    for caveat in &trouble.caveats {
        wrapped(&format!("Mind: {caveat}"), "   ", columns, None, out)?;
    }
    match (&trouble.patch, &trouble.patched) {
        (Some(patch), Some(patched)) => apply(patch, patched, out),
        _ => Ok(()),
    }
}

/// In lines of at most so many columns, each after `margin`, which is words on the first line alone.
fn wrapped(text: &str, margin: &str, columns: usize, style: Option<anstyle::Style>, out: &mut String) -> fmt::Result {
    let style = style.unwrap_or_default();
    let mut line = String::new();
    let mut lead = margin.to_owned();
    let blank = " ".repeat(margin.chars().count());
    let room = columns.saturating_sub(blank.len());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            writeln!(out, "{lead}{}", painted(&line, style))?;
            line.clear();
            lead.clone_from(&blank);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{lead}{}", painted(&line, style))
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
