//! The connections that it opens itself. Each bears the mark, by which the pod's rules let it past.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::net::{TcpSocket, TcpStream};

use crate::recipe::ambient::MARK;

/// To another pod, from this one's own address.
pub(super) async fn away(to: SocketAddrV4) -> io::Result<TcpStream> {
    marked()?.connect(to.into()).await
}

/// To the application of this pod, from the address of its client.
pub(super) async fn home(client: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = marked()?;
    socket2::SockRef::from(&socket).set_ip_transparent_v4(true)?;
    socket.bind(SocketAddrV4::new(client, 0).into())?;
    socket.connect(to.into()).await
}

fn marked() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket2::SockRef::from(&socket).set_mark(MARK)?;
    Ok(socket)
}
