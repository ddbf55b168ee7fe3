//! BTF, as far as a few questions go: where does a field lie, which number has a hook's type, what are the names of an
//! enumeration.
//!
//! One pass over the kernel's own bytes, and four bytes kept per type. aya has a reader of its own, but its members are
//! private, and it builds every type and every member on the heap (21 to 85 MB for a moment); btf-rs is LGPL and maps
//! every name. Format: <https://docs.kernel.org/bpf/btf.html>.

use std::ops::Range;

use thiserror::Error;

/// The types of one kernel, over its raw BTF.
pub(super) struct Types {
    bytes: Vec<u8>,
    strings: Range<usize>,
    /// Where each type begins in `bytes`; the first is type number 1.
    starts: Vec<u32>,
    /// Those of them that are looked for by name, a seventh of all.
    sought: Vec<u32>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum BtfError {
    #[error("no BTF magic in this machine's byte order")]
    Magic,
    #[error("cut off at byte {0}")]
    CutOff(usize),
    #[error("type {id} has kind {kind}, which this version does not know")]
    UnknownKind { id: usize, kind: u32 },
}

/// A structure that was found by name.
#[derive(Clone, Copy)]
pub(super) struct Structure(Type);

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    flag: bool,
    members: usize,
    /// Size or referenced type.
    other: u32,
    body: usize,
}

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;
/// Kinds that are looked for by name.
const SOUGHT: [u32; 3] = [STRUCT, ENUM, TYPEDEF];
/// `struct btf_type`
const TYPE: usize = 12;
/// A type of which only the number is kept: a FWD without a name.
const LEFT_OUT: [u8; TYPE] = {
    let [a, b, c, d] = (FWD << 24).to_ne_bytes();
    [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]
};
/// Deeper nesting of anonymous structures than any kernel has: input that refers to itself ends here.
const MAX_DEPTH: usize = 32;

impl Types {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let header = bytes.get(..HEADER).ok_or(BtfError::CutOff(bytes.len()))?;
        if u16::from_ne_bytes([header[0], header[1]]) != MAGIC {
            return Err(BtfError::Magic);
        }
        let word = |at: usize| u32_at(&bytes, at).map(|value| value as usize);
        let after = word(4)?;
        let types = section(&bytes, after, word(8)?, word(12)?)?;
        let strings = section(&bytes, after, word(16)?, word(20)?)?;

        let (mut starts, mut sought) = (Vec::new(), Vec::new());
        let mut at = types.start;
        while at < types.end {
            let ty = type_at(&bytes, at)?;
            starts.push(at as u32);
            if SOUGHT.contains(&ty.kind) {
                sought.push(at as u32);
            }
            at = ty.body + ty.trailing().ok_or(BtfError::UnknownKind { id: starts.len(), kind: ty.kind })?;
        }
        Ok(Self { bytes, strings, starts, sought })
    }

    /// To be asked once for all fields of it: each search walks all structures.
    pub(super) fn structure(&self, name: &str) -> Option<Structure> {
        self.find(STRUCT, name).map(Structure)
    }

    /// Where `path` (`__sk_common.skc_net`) lies in `structure`, in bytes. Members of anonymous structures and unions are
    /// their parent's, as in C. `None` where this kernel has no such field, or it is a bit field.
    pub(super) fn offset(&self, structure: Structure, path: &str) -> Option<u32> {
        let Structure(mut ty) = structure;
        let mut bits = 0_u32;
        for name in path.split('.') {
            let (offset, of) = self.member(ty, name, MAX_DEPTH)?;
            bits = bits.checked_add(offset)?;
            ty = self.resolve(of).unwrap_or(ty);
        }
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// The enumerators of an enumeration, of 32 bits; none where this kernel has no such enumeration.
    pub(super) fn enumerators(&self, name: &str) -> Vec<(String, u32)> {
        let Some(ty) = self.find(ENUM, name) else { return Vec::new() };
        let at = |index: usize| {
            let at = ty.body + index * 8;
            Some((u32_at(&self.bytes, at).ok()?, u32_at(&self.bytes, at + 4).ok()?))
        };
        let all = (0..ty.members).map_while(at);
        all.map(|(name, value)| (String::from_utf8_lossy(self.string(name)).into_owned(), value)).collect()
    }

    /// How many arguments a tracepoint has; `None` where this kernel has no such tracepoint.
    pub(super) fn tracepoint_arguments(&self, name: &str) -> Option<u32> {
        let typedef = self.find(TYPEDEF, &format!("btf_trace_{name}"))?;
        let pointer = self.resolve(typedef.other).filter(|ty| ty.kind == PTR)?;
        let prototype = self.resolve(pointer.other).filter(|ty| ty.kind == FUNC_PROTO)?;
        // The first one is the tracepoint's own data.
        (prototype.members as u32).checked_sub(1)
    }

    /// This BTF with every type left out but its number, and the typedefs and functions of these names kept: what it
    /// takes to tell a hook's number, at twelve bytes a type.
    pub(super) fn skeleton(&self, typedefs: &[String], functions: &[String]) -> Vec<u8> {
        let mut strings = vec![0_u8];
        let mut types = Vec::with_capacity(self.starts.len() * TYPE);
        for ty in self.starts.iter().map_while(|start| type_at(&self.bytes, *start as usize).ok()) {
            let wanted = match ty.kind {
                TYPEDEF => typedefs,
                FUNC => functions,
                _ => &[],
            };
            let Some(kept) = wanted.iter().find(|wanted| self.is(ty.name, wanted)) else {
                types.extend_from_slice(&LEFT_OUT);
                continue;
            };
            for word in [strings.len() as u32, ty.kind << 24, ty.other] {
                types.extend_from_slice(&word.to_ne_bytes());
            }
            strings.extend_from_slice(kept.as_bytes());
            strings.push(0);
        }
        let mut out = self.bytes[..4].to_vec();
        for word in [HEADER as u32, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            out.extend_from_slice(&word.to_ne_bytes());
        }
        out.extend_from_slice(&types);
        out.extend_from_slice(&strings);
        out
    }

    fn find(&self, kind: u32, name: &str) -> Option<Type> {
        debug_assert!(SOUGHT.contains(&kind));
        self.sought.iter().find_map(|start| {
            let ty = type_at(&self.bytes, *start as usize).ok()?;
            (ty.kind == kind && self.is(ty.name, name)).then_some(ty)
        })
    }

    /// Offset in bits and type of a member by name.
    fn member(&self, of: Type, name: &str, depth: usize) -> Option<(u32, u32)> {
        if depth == 0 || !matches!(of.kind, STRUCT | UNION) {
            return None;
        }
        for index in 0..of.members {
            let at = of.body + index * TYPE;
            let (member, ty) = (u32_at(&self.bytes, at).ok()?, u32_at(&self.bytes, at + 4).ok()?);
            let raw = u32_at(&self.bytes, at + 8).ok()?;
            // With the flag, the upper byte is a bit field's width: no field of ours is one.
            let (bits, width) = if of.flag { (raw & 0x00ff_ffff, raw >> 24) } else { (raw, 0) };
            if self.is(member, name) && width == 0 {
                return Some((bits, ty));
            }
            if self.is(member, "")
                && let Some((inner, found)) =
                    self.resolve(ty).and_then(|anonymous| self.member(anonymous, name, depth - 1))
            {
                return Some((bits.checked_add(inner)?, found));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            let start = *self.starts.get((id as usize).checked_sub(1)?)?;
            let ty = type_at(&self.bytes, start as usize).ok()?;
            if !matches!(ty.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Some(ty);
            }
            id = ty.other;
        }
        None
    }

    /// Whether the string at `offset` is this one. Compared in place: it is asked a million times at a start.
    fn is(&self, offset: u32, text: &str) -> bool {
        let from = self.strings.start.saturating_add(offset as usize).min(self.strings.end);
        let rest = self.bytes[from..self.strings.end].strip_prefix(text.as_bytes());
        rest.is_some_and(|rest| matches!(rest, [] | [0, ..]))
    }

    fn string(&self, offset: u32) -> &[u8] {
        let strings = &self.bytes[self.strings.clone()];
        let string = strings.get(offset as usize..).unwrap_or_default();
        string.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl Type {
    /// Bytes that follow the type itself; `None` for a kind of the future, whose length nobody knows.
    fn trailing(self) -> Option<usize> {
        match self.kind {
            INT | VAR | DECL_TAG => Some(4),
            ARRAY => Some(12),
            STRUCT | UNION | DATASEC | ENUM64 => Some(self.members * 12),
            ENUM | FUNC_PROTO => Some(self.members * 8),
            // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
            PTR | FWD..=FUNC | 16 | TYPE_TAG => Some(0),
            _ => None,
        }
    }
}

fn section(bytes: &[u8], after: usize, offset: usize, length: usize) -> Result<Range<usize>, BtfError> {
    let start = after.saturating_add(offset);
    let end = start.saturating_add(length);
    if end > bytes.len() { Err(BtfError::CutOff(bytes.len())) } else { Ok(start..end) }
}

fn type_at(bytes: &[u8], at: usize) -> Result<Type, BtfError> {
    let words: &[u8; TYPE] = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(BtfError::CutOff(bytes.len()))?;
    let [n0, n1, n2, n3, i0, i1, i2, i3, o0, o1, o2, o3] = *words;
    let info = u32::from_ne_bytes([i0, i1, i2, i3]);
    Ok(Type {
        name: u32::from_ne_bytes([n0, n1, n2, n3]),
        kind: (info >> 24) & 0x1f,
        flag: info >> 31 == 1,
        members: (info & 0xffff) as usize,
        other: u32::from_ne_bytes([o0, o1, o2, o3]),
        body: at + TYPE,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(BtfError::CutOff(bytes.len()))?;
    Ok(u32::from_ne_bytes(*four))
}

#[cfg(test)]
mod tests;
