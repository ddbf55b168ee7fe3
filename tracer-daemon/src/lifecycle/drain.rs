//! Stopping in order. `Stop` is told to whoever brings something in (sources, listeners); everything behind them ends
//! by itself when its channel closes, so nothing that was taken in is lost. `Drain` is the caller's side.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// "Take nothing more in." Clones hear the same word.
#[derive(Clone, Debug)]
pub struct Stop {
    token: CancellationToken,
}

/// Says the word; dropping it says it too, so that no part outlives its maker.
#[derive(Debug)]
pub struct Drain {
    stop: Stop,
}

/// What is left after this long is not waited for: a stopped daemon is gone within 5 s.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(4);

impl Drain {
    pub fn new() -> (Self, Stop) {
        let stop = Stop { token: CancellationToken::new() };
        (Self { stop: stop.clone() }, stop)
    }

    pub fn begin(&self) {
        self.stop.ask();
    }
}

impl Stop {
    pub async fn asked(&self) {
        self.token.cancelled().await;
    }

    pub fn is_asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// A part that cannot go on may ask for the end of the whole.
    pub fn ask(&self) {
        self.token.cancel();
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.begin();
    }
}
