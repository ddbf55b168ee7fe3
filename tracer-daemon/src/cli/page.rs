//! Arguments of `page`.

use super::observe::{FleetArgs, RecordSource};
use clap::Args;
use std::net::SocketAddr;

#[derive(Debug, Args)]
pub struct PageArgs {
    /// Where the page is served: an address of loopback; port 0 is any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub from: RecordSource,
    #[command(flatten)]
    pub fleet: FleetArgs,
}
