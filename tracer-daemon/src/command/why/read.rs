//! Records of the time that is meant, from wherever they are kept.

use super::super::Failure;
use super::super::observe::{Asked, End, Next, Source, Stream};
use super::backwards;
use super::found::{Found, Span};
use super::subject::Subject;
use anyhow::anyhow;

pub(super) async fn read(source: &Source, subject: &Subject, span: Span) -> Result<Found, Failure> {
    if let Source::Journal(path) = source {
        return backwards::journal(path, subject, span);
    }
    let mut stream = Stream::open(source, Asked::remembered()).await?;
    let mut found = Found::default();
    loop {
        match stream.next().await? {
            Next::Line(line, said) => found.line(&line, said, subject, span),
            Next::CaughtUp => {}
            Next::End(End::Whole) => break,
            Next::End(cut @ (End::Missing(_) | End::Cut(_) | End::Damaged(_))) => {
                found.cut = Some(cut.to_string());
                break;
            }
            Next::End(End::Dropped) => return Err(Failure::unreached(anyhow!("{}", End::Dropped))),
        }
    }
    if let Some(kept) = stream.kept() {
        found.kept.clone_from(kept);
    }
    Ok(found)
}
