//! The file of the secret: made once, private, and refused when it is not one.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn it_is_made_once_and_only_the_node_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = QuicSecret::open(folder.path()).unwrap();
    let path = folder.path().join("quic/secret");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = QuicSecret::open(folder.path()).unwrap();
    assert_eq!(made.key("a"), again.key("a"));
    assert_ne!(made.key("a"), made.key("b"));
    assert_ne!(made.key("a"), QuicSecret::random().unwrap().key("a"));
}

#[test]
fn a_file_of_another_length_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("quic")).unwrap();
    std::fs::write(folder.path().join("quic/secret"), b"short").unwrap();
    let error = QuicSecret::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("has 5 bytes and should have 32"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("quic/secret")).unwrap(), b"short");
}
