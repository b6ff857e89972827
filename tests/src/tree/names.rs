//! Names that break programs: bytes that are no UTF-8, control bytes, 255 bytes; many of them; and depth.

use crate::folder::Folder;

/// Names, each with what it is good for.
pub const ODD: [&[u8]; 24] = [
    &[b'n'; 255],
    b"latin1-caf\xe9",
    b"\xff\xfe-no-utf8",
    b"\x80",
    b"new\nline",
    b"tab\there",
    b"return\rback",
    b"bell\x07\x01\x1f\x7f",
    b"escape\x1b[31mred\x1b]0;title\x07",
    b" lead and trail ",
    b"-rf",
    b"--",
    b"quote\"'`$(x)",
    b"back\\slash\\x41",
    b"glob*?[a]{b,c}",
    b"percent%s%n%00",
    b"semi;pipe|and&",
    b"...",
    b".hidden",
    b"nfc-\xc3\xa9",
    b"nfd-e\xcc\x81",
    b"bidi-\xe2\x80\xaetxt.exe",
    b"case",
    b"CASE",
];

/// Makes a file and a folder of each name.
pub fn odd(root: &Folder) {
    let (files, folders) = (root.folder(b"files"), root.folder(b"folders"));
    for name in ODD {
        files.file(name, name);
        folders.folder(name).file(b"inside", name);
    }
}

/// `depth` folders in each other, with a file in the last.
pub fn deep(root: &Folder, depth: usize, name: &[u8]) {
    let mut at = root.folder(name);
    for _ in 1..depth {
        at = at.folder(name);
    }
    at.file(b"leaf", b"at the bottom\n");
}

/// `count` small files in one folder.
pub fn wide(root: &Folder, count: usize) {
    for i in 0..count {
        root.file(
            format!("{i:06}").as_bytes(),
            format!("file {i}\n").as_bytes(),
        );
    }
}
