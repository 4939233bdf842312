//! Names of folders that say what is in them: `date=2026-11-21/site=M%C3%BCnchen`. Escaped as Hive does it; no value is
//! `__HIVE_DEFAULT_PARTITION__`.

use std::collections::BTreeMap;

/// What stands for no value, and for the empty text.
pub const NOTHING: &str = "__HIVE_DEFAULT_PARTITION__";

/// What the folders of a path say, by column.
pub fn values(path: &str) -> BTreeMap<String, Option<String>> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let read = |folder: &str| {
        let (name, value) = folder.split_once('=')?;
        Some((unescape(name), (value != NOTHING).then(|| unescape(value))))
    };
    folders.split('/').filter_map(read).collect()
}

/// Appends a text as part of a folder's name.
pub fn escape(text: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_. +,;()@!~$&".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to memory cannot fail");
        }
    }
}

/// An escaped text as it was.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
