//! The thread that starts every process of a mesh.
//!
//! The kernel sends a parent-death signal when the *thread* that started the child ends, not its process. Tests start
//! a mesh on one thread and use it on another, so the children belong to a thread that ends with the process only.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

type Order = (Command, SyncSender<io::Result<Child>>);

pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<SyncSender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, queue) = sync_channel::<Order>(16);
        thread::spawn(move || {
            for (mut command, answer) in queue {
                // Whoever asked may have panicked meanwhile; the sweep of its run then takes the child.
                let _gone = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, spawned) = sync_channel(1);
    let ended = || io::Error::other("the thread that starts processes has ended");
    keeper.send((command, answer)).map_err(|_| ended())?;
    spawned.recv().map_err(|_| ended())?
}
