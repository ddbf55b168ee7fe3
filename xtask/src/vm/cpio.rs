//! The archive that a kernel unpacks into its first file system: cpio's `newc` format
//! (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).

use std::collections::BTreeSet;
use std::path::Path;

/// Not compressed: an emulated processor copies faster than it decompresses.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

const FOLDER: u32 = 0o04_0755;
const PROGRAM: u32 = 0o10_0755;
const DEVICE: u32 = 0o02_0600;

impl Archive {
    /// A file that can be run, whatever it is, at an absolute path.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) {
        self.folders_of(path);
        self.entry(path, PROGRAM, (0, 0), content);
    }

    pub(super) fn character_device(&mut self, path: &str, number: (u32, u32)) {
        self.folders_of(path);
        self.entry(path, DEVICE, number, &[]);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    /// The kernel makes no folder by itself.
    fn folders_of(&mut self, path: &str) {
        let folders: Vec<_> = Path::new(path).ancestors().skip(1).map(|folder| folder.display().to_string()).collect();
        for folder in folders.into_iter().rev().filter(|folder| folder != "/") {
            if self.folders.insert(folder.clone()) {
                self.entry(&folder, FOLDER, (0, 0), &[]);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        let name = path.trim_start_matches('/');
        let size = u32::try_from(content.len()).expect("a file of less than 4 GB");
        let name_size = u32::try_from(name.len() + 1).expect("a path");
        self.entries += 1;
        // inode, mode, uid, gid, links, time, size, the device it lies on, the device it is, length of the name, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode and content of each entry, read as the kernel reads them.
    fn entries(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_at(110);
            let field = |index: usize| {
                let digits = str::from_utf8(&header[6 + 8 * index..][..8]).unwrap();
                usize::from_str_radix(digits, 16).unwrap()
            };
            assert_eq!(&header[..6], b"070701");
            let (size, name_size) = (field(6), field(11));
            let name = String::from_utf8(rest[..name_size - 1].to_vec()).unwrap();
            let content = (110 + name_size).next_multiple_of(4) - 110;
            entries.push((name, field(1) as u32, rest[content..content + size].to_vec()));
            bytes = &rest[(110 + content + size).next_multiple_of(4) - 110..];
        }
        entries
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut archive = Archive::default();
        archive.file("/init", b"program");
        archive.file("/a/b/c", b"12345");
        archive.file("/a/d", b"");
        archive.character_device("/dev/console", (5, 1));
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let found = entries(&bytes);
        let names: Vec<_> = found.iter().map(|(name, mode, _)| (name.as_str(), mode >> 12)).collect();
        let (folder, file, device) = (0o4, 0o10, 0o2);
        let expected = [
            ("init", file),
            ("a", folder),
            ("a/b", folder),
            ("a/b/c", file),
            ("a/d", file),
            ("dev", folder),
            ("dev/console", device),
            ("TRAILER!!!", 0),
        ];
        assert_eq!(names, expected);
        assert_eq!((found[0].2.as_slice(), found[3].2.as_slice()), (&b"program"[..], &b"12345"[..]));
    }
}
