//! Reading a packet's headers, as far as finding its payload takes, or telling whose it was.

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

/// A TCP segment without its payload.
#[derive(Clone, Copy)]
pub struct Header {
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
}

/// Whatever can be asked for N bytes of a packet, counted from its IP header.
pub trait Bytes {
    fn bytes<const N: usize>(&self, at: u32) -> Option<[u8; N]>;
}

const TCP: u8 = 6;
const IP6_HEADER: u32 = 40;

impl Bytes for SkBuffContext {
    #[inline(always)]
    fn bytes<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.load(at as usize).ok()
    }
}

impl Segment {
    /// `None` where this is no TCP over IP, or has no payload. IPv6 extension headers are not followed: TCP between
    /// pods has none.
    #[inline(always)]
    pub fn parse(ctx: &SkBuffContext) -> Option<Self> {
        let ip: [u8; 20] = ctx.bytes(0)?;
        let header = transport(&ip)?;
        let tcp: [u8; 16] = ctx.bytes(header)?;
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

impl Header {
    /// `None` where this is no TCP over IP.
    #[inline(always)]
    pub fn parse(packet: &impl Bytes) -> Option<Self> {
        let ip: [u8; 20] = packet.bytes(0)?;
        let at = transport(&ip)?;
        let (source, destination) = if ip[0] >> 4 == 4 {
            (mapped(ip[12], ip[13], ip[14], ip[15]), mapped(ip[16], ip[17], ip[18], ip[19]))
        } else {
            (packet.bytes(8)?, packet.bytes(24)?)
        };
        let tcp: [u8; 16] = packet.bytes(at)?;
        Some(Self {
            source,
            destination,
            source_port: u16::from_be_bytes([tcp[0], tcp[1]]),
            destination_port: u16::from_be_bytes([tcp[2], tcp[3]]),
            sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
            acknowledgement: u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]),
            flags: tcp[13],
        })
    }
}

/// The flags of a TCP segment that surely has no payload. `None`: it may have some, or looks odd. By the packet's linear
/// part alone, without a call: it holds the headers of all but odd packets.
#[inline(always)]
pub fn bare(ctx: &SkBuffContext) -> Option<u32> {
    const V4: usize = 20;
    const V6: usize = IP6_HEADER as usize;
    const FIXED: usize = 20;
    /// Of TCP's header: its length in words in the high half, then the flags.
    const WORDS: usize = 12;
    // SAFETY: the verifier rewrites both into loads of the packet's own pointers.
    let (begin, end) = unsafe { ((*ctx.skb.skb).data as usize, (*ctx.skb.skb).data_end as usize) };
    if begin + V4 + FIXED > end {
        return None;
    }
    // SAFETY: the verifier holds each of these to the checks against `end`.
    let byte = |at: usize| u32::from(unsafe { *((begin + at) as *const u8) });
    let (header, words, flags) = if byte(0) == 0x45 && byte(9) == u32::from(TCP) {
        (V4, byte(V4 + WORDS), byte(V4 + WORDS + 1))
    } else if byte(0) >> 4 == 6 && byte(6) == u32::from(TCP) && begin + V6 + FIXED <= end {
        (V6, byte(V6 + WORDS), byte(V6 + WORDS + 1))
    } else {
        return None;
    };
    (ctx.len() == header as u32 + (words >> 4) * 4).then_some(flags)
}

/// Where TCP's header begins; `None` where this is no TCP over IP.
#[inline(always)]
fn transport(ip: &[u8; 20]) -> Option<u32> {
    let (header, protocol) = match ip[0] >> 4 {
        4 => (u32::from(ip[0] & 0xf) * 4, ip[9]),
        6 => (IP6_HEADER, ip[6]),
        _ => return None,
    };
    (protocol == TCP).then_some(header)
}

/// ::ffff:a.b.c.d
#[inline(always)]
fn mapped(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
