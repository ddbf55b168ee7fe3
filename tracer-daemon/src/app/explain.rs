//! From a reader who wants a flow explained to the engine, which alone knows the facts, and back.

use super::thread::Message;
use crate::sink::Told;
use crate::sink::live::Explaining;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

/// Holds the engine's channel weakly: a reader must not keep a stopping engine from its end.
pub(super) fn explainer(engine: &Sender<Message>) -> Arc<dyn Fn(Arc<Told>) -> Explaining + Send + Sync> {
    let engine = engine.downgrade();
    Arc::new(move |told| {
        let engine = engine.upgrade();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let asked = engine?.send(Message::Explain(told, answer)).await;
            asked.ok()?;
            answered.await.ok()
        })
    })
}
