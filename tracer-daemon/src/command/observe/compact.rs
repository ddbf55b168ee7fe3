//! One line a flow: when, who to whom, what became of it and why, in at most as many columns as there are.

use super::paint::{DIM, End, because, class_style, heading, painted};
use crate::sink::wire::Record;

/// `10:00:00.123 `
const TIME: usize = 13;
/// What the two names share where there is room, so that verdicts stand below each other.
const NAMES: usize = 46;
/// And what they keep where there is not.
const NAMES_AT_LEAST: usize = 30;
/// `undetermined`; the longer `headless-fallback` sticks out.
const HEADING: usize = 12;

pub(super) fn line(record: &Record, columns: usize) -> String {
    let time = record.time.strftime("%H:%M:%S%.3f").to_string();
    let heading = heading(record);
    let tail = tail(record);
    let padded = format!("{heading:<HEADING$}");
    let room = columns.saturating_sub(TIME + 2);

    let needs = |heading: &str| heading.chars().count() + 1 + tail.chars().count();
    let heading = if NAMES + needs(&padded) <= room { padded } else { heading };
    let names = room.saturating_sub(needs(&heading)).clamp(NAMES_AT_LEAST.min(room), NAMES);
    let who = who(record, names);
    let because = elide_end(&tail, room.saturating_sub(names + heading.chars().count() + 1));

    let heading = painted(&heading, class_style(&record.class));
    let time = painted(&time, DIM);
    format!("{time} {who:<names$}  {heading} {because}").trim_end().to_owned()
}

fn tail(record: &Record) -> String {
    let revised = record.revises.as_ref().map(|before| {
        let said = before.reason.as_ref().unwrap_or(&before.class);
        format!(" (was {said})")
    });
    let security = if record.security == "unknown" { String::new() } else { format!("  {}", record.security) };
    format!("{}{}{security}", because(record), revised.unwrap_or_default())
}

/// Client and server share the room; what one does not need is the other's.
fn who(record: &Record, room: usize) -> String {
    const ARROW: &str = " -> ";
    let client = End::from(&record.client).name();
    let server = End::from(&record.server).name();
    let room = room.saturating_sub(ARROW.len());
    let (left, right) = (client.chars().count(), server.chars().count());
    let left = if left + right <= room { left } else { left.min((room / 2).max(room.saturating_sub(right))) };
    format!("{}{ARROW}{}", elide_middle(&client, left), elide_middle(&server, room - left))
}

/// The beginning says whose it is, the end which one.
fn elide_middle(text: &str, room: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let head = kept / 2;
    chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - (kept - head)..]).collect()
}

fn elide_end(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}
