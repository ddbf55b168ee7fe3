//! Reading a packet's headers, as far as finding its payload takes.

use aya_ebpf::programs::SkBuffContext;

/// Where a TCP segment's payload lies, and which bytes of the stream it is.
#[derive(Clone, Copy)]
pub struct Segment {
    pub sequence: u32,
    pub source_port: u16,
    pub destination_port: u16,
    /// Of the payload, from the start of the packet.
    pub offset: u32,
    /// Of the payload; never 0.
    pub length: u32,
}

const TCP: u8 = 6;
const IP6_HEADER: u32 = 40;

impl Segment {
    /// `None` where this is no TCP over IP, or has no payload. IPv6 extension headers are not followed: TCP between
    /// pods has none.
    #[inline(always)]
    pub fn parse(ctx: &SkBuffContext) -> Option<Self> {
        let ip: [u8; 20] = ctx.load(0).ok()?;
        let (header, protocol) = match ip[0] >> 4 {
            4 => (u32::from(ip[0] & 0xf) * 4, ip[9]),
            6 => (IP6_HEADER, ip[6]),
            _ => return None,
        };
        if protocol != TCP {
            return None;
        }
        let tcp: [u8; 16] = ctx.load(header as usize).ok()?;
        let offset = header + u32::from(tcp[12] >> 4) * 4;
        let length = ctx.len().checked_sub(offset)?;
        if length == 0 {
            return None;
        }
        Some(Self {
            sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
            source_port: u16::from_be_bytes([tcp[0], tcp[1]]),
            destination_port: u16::from_be_bytes([tcp[2], tcp[3]]),
            offset,
            length,
        })
    }
}
