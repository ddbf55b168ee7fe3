//! An answer for a person: the verdict first, the picture, the steps, the remedy last, because that is what stays on
//! the screen.

use super::picture::picture;
use crate::command::paint::{self, BOLD, DIM, class_style, painted};
use crate::sink::wire::{Answer, Patched, Step, Unanswered, Way};
use std::fmt::{self, Write};

pub(super) fn page(answer: &Answer) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write(answer, &mut out);
    out
}

/// One call of a batch.
pub(super) fn line(answer: &Answer) -> String {
    let heading = painted(&answer.class.to_uppercase(), class_style(&answer.class));
    format!("{}{heading} {} {}  {}\n", number(&answer.id), because(answer), answer.security, picture(answer))
}

pub(super) fn unanswered(Unanswered { id, error }: &Unanswered) -> String {
    format!("{}error: {error}", number(id))
}

fn write(answer: &Answer, out: &mut String) -> fmt::Result {
    let heading = painted(&answer.class.to_uppercase(), class_style(&answer.class));
    writeln!(out, "{heading}  {}  {DIM}{}, security {}{DIM:#}", because(answer), answer.basis, answer.security)?;
    writeln!(out, "{}\n", picture(answer))?;
    writeln!(out, "{}", answer.explanation)?;
    let more: Vec<&str> = answer.causes.iter().skip(1).map(|cause| &**cause).collect();
    if !more.is_empty() {
        writeln!(out, "It also holds: {}.", more.join(", "))?;
    }
    writeln!(out)?;
    steps(1, "", &answer.steps, out)?;
    for (letter, way) in ('a'..='z').chain('A'..='Z').zip(&answer.candidates) {
        let Way { class, reason, cause, security, when, hop: _, steps: rest } = way;
        let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let style = class_style(class);
        writeln!(out, "  {letter}. {}  {reason}{cause}  {DIM}security {security}{DIM:#}", painted(class, style))?;
        for condition in when {
            writeln!(out, "     if {condition}")?;
        }
        steps(answer.steps.len() + 1, "   ", rest, out)?;
    }
    for evidence in &answer.evidence {
        writeln!(out, "  seen  {} on the {} leg: {}", evidence.kind, evidence.leg, evidence.says)?;
    }
    if !answer.caveats.is_empty() || !answer.ignored.is_empty() {
        writeln!(out)?;
    }
    for caveat in &answer.caveats {
        writeln!(out, "  mind  {caveat}")?;
    }
    if !answer.ignored.is_empty() {
        writeln!(out, "  mind  said and of no meaning here: {}", answer.ignored.join(", "))?;
    }
    writeln!(out, "\n{BOLD}To do:{BOLD:#} {}", answer.remedy)?;
    if let (Some(patch), Some(patched)) = (&answer.patch, &answer.patched) {
        apply(patch, patched, out)?;
    }
    Ok(())
}

/// What a shell can be given, and what comes of it. The lines stand at the margin: a here-document ends there.
pub(in crate::command) fn apply(patch: &str, patched: &Patched, out: &mut String) -> fmt::Result {
    let Patched { class, reason, security } = patched;
    let reason = reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    writeln!(out, "With this it is {}{reason}, security {security}:", painted(class, class_style(class)))?;
    writeln!(
        out,
        "\n{DIM}kubectl apply --server-side --force-conflicts -f - <<'EOF'{DIM:#}\n{}\n{DIM}EOF{DIM:#}",
        patch.trim_end()
    )
}

fn steps(first: usize, indent: &str, steps: &[Step], out: &mut String) -> fmt::Result {
    for (number, Step { at, says, because }) in (first..).zip(steps) {
        writeln!(out, "  {indent}{number}. {at:<17} {says}  {DIM}[{because}]{DIM:#}")?;
    }
    Ok(())
}

fn because(answer: &Answer) -> String {
    paint::because(answer.reason.as_ref(), answer.cause.as_ref(), answer.candidates.iter().map(|way| &way.reason))
}

fn number(id: &impl ToString) -> String {
    match id.to_string().as_str() {
        "null" => String::new(),
        id => format!("{id}  "),
    }
}
