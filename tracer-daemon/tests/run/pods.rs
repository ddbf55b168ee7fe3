//! Who calls whom while a daemon looks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Two pods, with addresses that no other test has: every daemon sees the whole machine.
pub(crate) struct Pods {
    pub(crate) net: u8,
}

impl Pods {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        Self { net: NEXT.fetch_add(1, Relaxed) }
    }

    pub(crate) fn ip(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 177, self.net, host)
    }

    pub(crate) fn facts(&self) -> String {
        [("caller", 1), ("callee", 2)].map(|(name, host)| self.pod(name, host)).join("---\n")
    }

    pub(crate) fn pod(&self, name: &str, host: u8) -> String {
        let ip = self.ip(host);
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, uid: {name}}}\n\
             spec: {{nodeName: n1, containers: [{{name: c}}]}}\n\
             status: {{phase: Running, podIP: {ip}, podIPs: [{{ip: {ip}}}]}}\n"
        )
    }

    /// One connection from the one to the other and a word each way, in a network namespace that lives as long as this
    /// takes. Returns the port that was dialled.
    pub(crate) fn call(&self) -> u16 {
        self.between(|client, server| talk(client, server, 0).0)
    }

    /// As many connections, one after the other; the last one's port.
    pub(crate) fn calls(&self, count: usize) -> u16 {
        self.between(move |client, server| (0..count).fold(0, |_, _| talk(client, server, 0).0))
    }

    /// A connection that stays open for as long as its ends are held, on a port that clients are not given.
    pub(crate) fn hold(&self) -> (u16, TcpStream, TcpStream) {
        self.between(|client, server| talk(client, server, 7070))
    }

    /// A connection on which nobody says a word.
    pub(crate) fn silent(&self) -> (u16, TcpStream, TcpStream) {
        self.between(|client, server| connect(client, server, 0))
    }

    /// In a network namespace that has both pods' addresses, and lives as long as this takes and its sockets do.
    pub(crate) fn between<T: Send + 'static>(&self, job: impl FnOnce(Ipv4Addr, Ipv4Addr) -> T + Send + 'static) -> T {
        let (client, server) = (self.ip(1), self.ip(2));
        std::thread::spawn(move || {
            // SAFETY: it moves only this thread.
            let status = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(status, 0, "{}: this test needs root", std::io::Error::last_os_error());
            let up = format!("ip link set lo up && ip addr add {client}/32 dev lo && ip addr add {server}/32 dev lo");
            assert!(Command::new("sh").args(["-c", &up]).status().unwrap().success(), "{up}");
            job(client, server)
        })
        .join()
        .unwrap()
    }
}

fn talk(client: Ipv4Addr, server: Ipv4Addr, port: u16) -> (u16, TcpStream, TcpStream) {
    let (port, mut client, mut accepted) = connect(client, server, port);
    client.write_all(b"ping").unwrap();
    accepted.read_exact(&mut [0; 4]).unwrap();
    accepted.write_all(b"pong").unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
    (port, client, accepted)
}

fn connect(client: Ipv4Addr, server: Ipv4Addr, port: u16) -> (u16, TcpStream, TcpStream) {
    let listener = TcpListener::bind((server, port)).unwrap();
    let server = listener.local_addr().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    (server.port(), TcpStream::from(socket), accepted)
}
