//! TCP states as the kernel numbers them (`include/net/tcp_states.h`); they are part of its ABI.

pub const ESTABLISHED: i32 = 1;
pub const SYN_SENT: i32 = 2;
pub const SYN_RECV: i32 = 3;
pub const FIN_WAIT1: i32 = 4;
pub const FIN_WAIT2: i32 = 5;
pub const CLOSE: i32 = 7;
pub const CLOSE_WAIT: i32 = 8;
pub const LAST_ACK: i32 = 9;
pub const LISTEN: i32 = 10;
pub const CLOSING: i32 = 11;
