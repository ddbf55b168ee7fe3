//! The answer for a person at night: what is wrong, to whom it happens, why, what to type; then what is not known.

use super::super::explain::apply;
use super::super::observe;
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
    let title = class.chars().count() + because.chars().count() + 6;
    if title <= columns {
        writeln!(out, "{number}. {heading}  {because}")?;
    } else {
        writeln!(out, "{number}. {heading}")?;
        wrapped(&because, "   ", columns, None, out)?;
    }
    let when = if first == last { clock(*first) } else { format!("{} to {}", clock(*first), clock(*last)) };
    wrapped(&format!("{} to {to}{traffic}, {when}", count(*times, "flow")), "   ", columns, None, out)?;
    for Example { from, to, count, id, last: _ } in trouble.examples.iter().take(PAIRS) {
        let lead = format!("   {count:>5}  ");
        let pair = observe::pair(from, to, columns.saturating_sub(lead.len()));
        let pair = format!("{lead}{pair}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_but_those_that_a_shell_is_given() {
        let at = "2026-11-23T10:00:00Z".parse().unwrap();
        let name = "shop/a-deployment-with-a-long-name-7d4b9c6f58-x7k2p";
        let example =
            Example { from: name.to_owned(), to: format!("{name}:8080"), count: 3, id: "n1-1-1".to_owned(), last: at };
        let trouble = Trouble {
            class: "rejected".into(),
            reason: Some("tls-without-mesh-certificate".into()),
            cause: Some("workload-policy-ignored-by-client".into()),
            candidates: Vec::new(),
            connecting: false,
            traffic: "app".into(),
            to: "shop/web:8080".to_owned(),
            count: 3,
            first: at,
            last: at,
            examples: vec![example],
            explanation: "A sentence that is longer than a line of such a terminal can be.".to_owned(),
            remedy: "Another one that is longer than a line of such a terminal can be.".to_owned(),
            patch: None,
            patched: None,
            patch_unknown: Some("the daemon does not remember it any more, however often it is asked".to_owned()),
            caveats: Vec::new(),
        };
        let why = Why {
            version: "v1".into(),
            subject: "shop/web".to_owned(),
            since: at,
            until: at,
            nodes: vec!["n1".into()],
            flows: 3,
            hidden: 2,
            troubles: vec![trouble],
            unknown: Vec::new(),
        };
        for columns in [40, 80, 120] {
            let text = anstream::adapter::strip_str(&page(&why, columns)).to_string();
            for line in text.lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
            assert!(text.contains("workload-policy-ignored-by-client"), "{text}");
        }
    }
}
