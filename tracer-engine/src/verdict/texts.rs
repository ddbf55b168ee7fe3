//! What each verdict means and what to do about it, for whoever is on call. The sentences are in `table`.

mod dropped;
mod table;

use super::{Cause, Reason};
use dropped::DROPPED;
use table::TABLE;

/// `explanation` says what happened, `remedy` what to do about it, `promise` what becomes of the call once it is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    pub explanation: &'static str,
    pub remedy: &'static str,
    pub promise: Promise,
}

/// What a remedy that one YAML can carry out brings about: every patch was tried on the facts and keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// No single object would do, or nothing is to be done.
    Nothing,
    /// The call gets through.
    Through,
    /// The call gets through in mutual TLS.
    Mutual,
}

/// The row of this reason and cause; of the reason alone where the cause has none of its own.
pub fn text(reason: Reason, cause: Option<Cause>) -> Text {
    let row = |cause: Option<Cause>| TABLE.iter().find(|(r, c, _)| *r == reason && *c == cause);
    row(cause).or_else(|| row(None)).map_or(UNDETERMINED, |(_, _, text)| *text)
}

/// Where the class is undetermined and candidates are listed.
pub const fn undetermined() -> Text {
    UNDETERMINED
}

/// While nobody has answered the connection attempt: there is no verdict yet.
pub const fn still_connecting() -> Text {
    Text {
        explanation: "Nobody has answered the connection attempt yet; the kernel goes on trying.",
        remedy: "Wait for the verdict when the attempt ends, or look now whether the dialled ip is still a pod's and what on the way drops packets to it.",
        promise: Promise::Nothing,
    }
}

/// What the kernel's own drop reason means.
pub fn dropped(kernel: &str) -> Text {
    let row = DROPPED.iter().find(|(reason, _)| *reason == kernel);
    row.map_or_else(|| text(Reason::Dropped, None), |(_, text)| *text)
}

/// The kernel's own drop reasons that have a meaning of their own here, by the names of `enum skb_drop_reason`.
pub fn kernel_reasons() -> impl Iterator<Item = (&'static str, Text)> {
    DROPPED.iter().copied()
}

/// Every reason, by itself and with each cause that can be its most specific one.
pub fn rows() -> impl Iterator<Item = (Reason, Option<Cause>, Text)> {
    TABLE.iter().copied()
}

/// The causes that this reason can have.
pub fn causes_of(reason: Reason) -> impl Iterator<Item = Cause> {
    TABLE.iter().filter(move |(r, ..)| *r == reason).filter_map(|(_, cause, _)| *cause)
}

const UNDETERMINED: Text = Text {
    explanation: "What was seen fits more than one route, and nothing tells them apart.",
    remedy: "Read the candidates: each says what would have to be true; ask `explain` with the Host or protocol that the client uses to rule some out.",
    promise: Promise::Nothing,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_row_of_its_own_and_no_row_stands_twice() {
        for reason in Reason::ALL {
            let own = TABLE.iter().filter(|(r, cause, _)| r == reason && cause.is_none()).count();
            assert_eq!(own, 1, "{reason}");
        }
        for (at, (reason, cause, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..at].iter().any(|(r, c, _)| r == reason && c == cause), "{reason} {cause:?}");
        }
    }

    #[test]
    fn every_cause_is_explained_somewhere() {
        for cause in Cause::ALL {
            assert!(TABLE.iter().any(|(_, c, _)| *c == Some(*cause)), "{cause}");
        }
    }

    #[test]
    fn every_text_is_one_sentence() {
        for (reason, cause, Text { explanation, remedy, promise: _ }) in TABLE {
            for sentence in [explanation, remedy] {
                assert!(sentence.ends_with('.') && !sentence.contains(". "), "{reason} {cause:?}: {sentence}");
            }
        }
    }
}
