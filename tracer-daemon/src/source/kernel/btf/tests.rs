//! The BTF reader on small images made by hand.

use super::*;
use proptest::prelude::*;

/// Types and strings in the making; the layout is the kernel's.
#[derive(Default)]
struct Image {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Image {
    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32 + 1;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn add(&mut self, name: &str, info: u32, other: u32, body: &[u32]) -> u32 {
        let name = self.string(name);
        for word in [name, info, other].iter().chain(body) {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    /// A structure or union of `(name, type, bit offset)`.
    fn composite(&mut self, kind: u32, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let body: Vec<u32> =
            members.iter().flat_map(|(name, ty, bits)| [self.string(name), *ty, *bits].into_iter()).collect();
        self.add(name, kind << 24 | members.len() as u32, 0, &body)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_ne_bytes().to_vec();
        out.extend([1, 0]);
        let types = self.types.len() as u32;
        for word in [HEADER as u32, 0, types, types, self.strings.len() as u32 + 1] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(&self.types);
        out.push(0);
        out.extend(&self.strings);
        out
    }
}

fn socket() -> Image {
    let mut image = Image::default();
    let int = image.add("int", INT << 24, 4, &[32]);
    let pair = image.composite(STRUCT, "", &[("skc_daddr", int, 0), ("skc_rcv_saddr", int, 32)]);
    let either = image.composite(UNION, "", &[("skc_addrpair", int, 0), ("", pair, 0)]);
    let common = image.composite(STRUCT, "sock_common", &[("skc_hash", int, 0), ("", either, 64)]);
    let alias = image.add("common_t", TYPEDEF << 24, common, &[]);
    let constant = image.add("", CONST << 24, alias, &[]);
    image.composite(STRUCT, "sock", &[("sk_mark", int, 0), ("__sk_common", constant, 128)]);
    image.add("btf_trace_tcp_probe", TYPEDEF << 24, int, &[]);
    image
}

fn offset(types: &Types, structure: &str, path: &str) -> Option<u32> {
    types.offset(types.structure(structure)?, path)
}

#[test]
fn a_field_is_found_through_anonymous_unions_and_typedefs() {
    let types = Types::parse(socket().bytes()).expect("an image");
    assert_eq!(offset(&types, "sock", "sk_mark"), Some(0));
    assert_eq!(offset(&types, "sock", "__sk_common"), Some(16));
    assert_eq!(offset(&types, "sock", "__sk_common.skc_rcv_saddr"), Some(28));
}

#[test]
fn a_field_that_the_kernel_lacks_is_none() {
    let types = Types::parse(socket().bytes()).expect("an image");
    assert_eq!(offset(&types, "sock", "sk_cgrp_data"), None);
    assert_eq!(offset(&types, "tcp_sock", "snd_una"), None);
    assert_eq!(offset(&types, "sock", "sk_mark.counter"), None);
}

#[test]
fn a_skeleton_keeps_the_numbers_of_what_it_keeps() {
    let image = socket();
    let types = Types::parse(image.bytes()).expect("an image");
    let skeleton = Types::parse(types.skeleton(&["btf_trace_tcp_probe".to_owned()], &[])).expect("an image");
    assert_eq!(skeleton.starts.len() as u32, image.count);
    let last = type_at(&skeleton.bytes, *skeleton.starts.last().expect("types") as usize).expect("a type");
    assert_eq!((last.kind, skeleton.string(last.name)), (TYPEDEF, b"btf_trace_tcp_probe".as_slice()));
    assert!(skeleton.find(STRUCT, "sock").is_none());
}

#[test]
fn a_kind_of_the_future_is_named() {
    let mut image = socket();
    image.add("", 30 << 24, 0, &[]);
    let id = image.count as usize;
    assert_eq!(Types::parse(image.bytes()).err(), Some(BtfError::UnknownKind { id, kind: 30 }));
}

#[test]
fn a_structure_that_contains_itself_ends() {
    let mut image = Image::default();
    image.composite(STRUCT, "sock", &[("", 1, 0)]);
    assert_eq!(offset(&Types::parse(image.bytes()).expect("an image"), "sock", "sk_mark"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = Types::parse(bytes);
    }

    #[test]
    fn any_damage_is_read_without_panic(at in 0_usize..400, value: u8) {
        let mut bytes = socket().bytes();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(types) = Types::parse(bytes) {
            let _ = offset(&types, "sock", "__sk_common.skc_rcv_saddr");
            let _ = types.skeleton(&["btf_trace_tcp_probe".to_owned()], &[]);
        }
    }
}

#[test]
fn a_name_that_only_begins_alike_is_another() {
    let types = Types::parse(socket().bytes()).unwrap();
    assert!(offset(&types, "sock", "__sk_common.skc_daddr").is_some());
    assert_eq!(offset(&types, "soc", "__sk_common.skc_daddr"), None);
    assert_eq!(offset(&types, "sock", "__sk_common.skc_dadd"), None);
}
