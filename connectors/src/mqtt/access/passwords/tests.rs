//! Password files: hashes that others made, wrong lines, and what is remembered.

use std::io::Write;

use argon2::password_hash::CustomizedPasswordHasher;

use super::*;

/// Of `pässword`, made by the reference implementation.
const ARGON2ID: &str =
    "$argon2id$v=19$m=4096,t=2,p=2$s1eh5MQtTqs9drr47GOZEA$H1WufUFnAp5ozVxxFEw9nhvj8kAGmbeTUgZeDqIotgI";
/// Of `U*U`, from the test vectors of the first bcrypt.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// Of `s3cret`, made by another implementation.
const BCRYPT_2B: &str = "$2b$05$LUHaMSUVzAxiN1tSfFnoLe/hxq8iagxQU6isZjy2Se7Ne5AdkpyQq";

pub(in crate::mqtt::access) fn cheap_hash(password: &str) -> String {
    let params = argon2::Params::new(8, 1, 1, None).expect("the least that argon2 allows");
    Argon2::default()
        .hash_password_customized(password.as_bytes(), b"some salt of ours", Some("argon2id"), Some(19), params)
        .expect("hashing works")
        .to_string()
}

fn load(text: &str) -> Result<Passwords, AccessError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Passwords::load(file.path(), None)
}

fn is_right(passwords: &Passwords, key: &Key, name: &str, password: &str) -> bool {
    matches!(passwords.verify(key, name, password.as_bytes()), Verdict::Right(_))
}

#[test]
fn hashes_of_others_are_understood() {
    let text = format!("# users\n\n a:{ARGON2ID}\nb:{BCRYPT}\r\nc:d:{}\ne:{BCRYPT_2B}", BCRYPT.replace("$2a$", "$2y$"));
    let passwords = load(&text).unwrap_or_else(|error| panic!("{error}"));
    let key = Key::random();
    assert!(is_right(&passwords, &key, "a", "pässword"));
    assert!(!is_right(&passwords, &key, "a", "password"));
    assert!(is_right(&passwords, &key, "B", "U*U"));
    assert!(!is_right(&passwords, &key, "b", "U*"));
    assert!(is_right(&passwords, &key, "c:d", "U*U"));
    assert!(is_right(&passwords, &key, "e", "s3cret"));
    assert!(!is_right(&passwords, &key, "nobody", "U*U"));
    assert!(!is_right(&passwords, &key, "", ""));
}

#[test]
fn a_right_password_is_remembered_and_no_other() {
    let passwords = load(&format!("Ann:{}\n", cheap_hash("secret"))).unwrap();
    let key = Key::random();
    assert!(passwords.known(&key, "ann", b"secret").is_none());
    assert!(!is_right(&passwords, &key, "ann", "wrong"));
    assert!(passwords.known(&key, "ann", b"wrong").is_none());
    assert!(is_right(&passwords, &key, "ann", "secret"));
    assert_eq!(passwords.known(&key, "ANN", b"secret").as_deref(), Some("Ann"));
    assert!(passwords.known(&key, "ann", b"wrong").is_none());
    assert!(passwords.known(&Key::random(), "ann", b"secret").is_none());
}

#[test]
fn a_reload_remembers_while_the_hash_is_the_same() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "a:{}\nb:{}\n", cheap_hash("one"), cheap_hash("two")).unwrap();
    let key = Key::random();
    let before = Passwords::load(file.path(), None).unwrap();
    assert!(is_right(&before, &key, "a", "one") && is_right(&before, &key, "b", "two"));
    std::fs::write(file.path(), format!("b:{}\na:{}\n", cheap_hash("three"), cheap_hash("one"))).unwrap();
    let after = Passwords::load(file.path(), Some(&before)).unwrap();
    assert!(after.known(&key, "a", b"one").is_some());
    assert!(after.known(&key, "b", b"two").is_none());
    assert!(!is_right(&after, &key, "b", "two") && is_right(&after, &key, "b", "three"));
}

#[test]
fn a_line_made_here_is_read_here() {
    let line = password_line("Ann: 7", b"secret").unwrap();
    let passwords = load(&line).unwrap_or_else(|error| panic!("{error}"));
    assert!(is_right(&passwords, &Key::random(), "ann: 7", "secret"));
    assert_ne!(password_line("Ann: 7", b"secret").unwrap(), line, "another salt");
    for name in ["", " a", "#a", "a\nb", "x".repeat(129).as_str()] {
        assert_eq!(password_line(name, b"secret"), Err(PasswordLineError::Name), "{name:?}");
    }
}

#[test]
fn an_unknown_name_meets_a_hash_too() {
    let key = Key::random();
    let places: Vec<usize> = (0..64).map(|at| key.place(&format!("name {at}"), 3)).collect();
    assert!((0..3).all(|place| places.contains(&place)), "{places:?}");
    assert_eq!(places, (0..64).map(|at| key.place(&format!("name {at}"), 3)).collect::<Vec<_>>());
}

#[test]
fn a_wrong_line_is_named() {
    let costly = ARGON2ID.replace("m=4096", "m=4194304");
    let long = ARGON2ID.replace("t=2", "t=1000");
    let slow = BCRYPT.replace("$05$", "$31$");
    let cases = [
        ("name", "write a line as name:hash"),
        (":$2b$", "write a line as name:hash"),
        ("a:plain text", "neither argon2id"),
        ("a:$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "neither argon2id"),
        ("a:$argon2id$v=19$m=8,t=1,p=1", "no salt"),
        ("a:$argon2id$$$", "not an argon2id hash"),
        ("a:$2b$05$short", "not a bcrypt hash"),
        ("a:$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "neither argon2id"),
        (&format!("a:{costly}"), "costs too much (m=4194304"),
        (&format!("a:{long}"), "costs too much"),
        (&format!("a:{slow}"), "the bcrypt cost is 31"),
        (&format!("A:{BCRYPT}\na:{BCRYPT}"), "is there twice"),
    ];
    for (text, expected) in cases {
        let error = load(&format!("# first\n{text}\n")).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
        let line = if text.contains('\n') { ":3: " } else { ":2: " };
        assert!(error.contains(line), "{text}: {error}");
    }
}
