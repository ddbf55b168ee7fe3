//! Objects to apply, from the daemon that saw the flows: it alone knows the facts that they were judged by.

use super::super::daemons::Daemons;
use crate::sink::wire::{Answer, Trouble};

/// Causes that a patch is asked for: each is tried on the facts, which takes the daemon a moment.
const ASKED: usize = 32;

/// `None`: flows were recorded, and no daemon is asked.
pub(super) async fn mend(daemons: Option<&Daemons>, troubles: &mut [Trouble]) {
    let Some(daemons) = daemons else {
        let why = "a recording holds no facts to try one on; the running daemon does, for flows that it remembers, and \
                   `mesh-tracer explain` has --facts FILE and --kube";
        for trouble in troubles {
            trouble.patch_unknown = Some(why.to_owned());
        }
        return;
    };
    for (number, trouble) in troubles.iter_mut().enumerate() {
        let Some(newest) = trouble.examples.iter().max_by_key(|example| example.last) else { continue };
        if number >= ASKED {
            trouble.patch_unknown = Some(format!("only the first {ASKED} causes are asked for: explain {}", newest.id));
            continue;
        }
        let answer = daemons.explain(&newest.id).await.map_err(|failure| failure.to_string());
        match answer.and_then(|line| Answer::read(&line).map_err(|error| error.to_string())) {
            Ok(Answer { patch, patched, caveats, .. }) => {
                (trouble.patch, trouble.patched, trouble.caveats) = (patch, patched, caveats);
            }
            // Forgotten between two questions, or the daemon ends: what was found is told all the same.
            Err(why) => trouble.patch_unknown = Some(why),
        }
    }
}
