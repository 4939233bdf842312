//! Names and thumbprints of certificates made here.

use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

fn certificate() -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["veh-7.example".to_owned(), "10.1.2.3".to_owned()]).unwrap();
    params.subject_alt_names.extend([
        SanType::URI("urn:device:7".try_into().unwrap()),
        SanType::Rfc822Name("veh7@example.org".try_into().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
    ]);
    params.distinguished_name.push(DnType::CommonName, "Veh-7");
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn each_field_gives_its_name() {
    let subject = Subject::parse(&certificate()).expect("a certificate");
    let cases = [
        (NameSource::Subject, "Veh-7", "veh-7"),
        (NameSource::Dns, "veh-7.example", "VEH-7.example"),
        (NameSource::Uri, "urn:device:7", "urn:device:7"),
        (NameSource::Ip, "10.1.2.3", "2001:db8::7"),
        (NameSource::Email, "veh7@example.org", "Veh7@example.org"),
    ];
    for (source, first, another) in cases {
        assert_eq!(subject.first(source), Some(first), "{source:?}");
        assert!(subject.has(source, first) && subject.has(source, another), "{source:?}");
        assert!(!subject.has(source, "other"), "{source:?}");
    }
    assert!(!subject.has(NameSource::Subject, "veh-7.example"));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let der = certificate();
    assert!(Subject::parse(&[]).is_none());
    assert!(Subject::parse(&der[..der.len() - 1]).is_none());
    assert!(Subject::parse(&[der.clone(), vec![0]].concat()).is_none());
}

#[test]
fn thumbprints_are_read_as_people_write_them() {
    let der = certificate();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sha256 = hex(digest(&SHA256, &der).as_ref());
    let sha1 = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref());
    let colons =
        |text: &str| text.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two)).collect::<Vec<_>>().join(":");
    for text in [sha256.clone(), sha256.to_uppercase(), colons(&sha256), sha1.clone(), colons(&sha1.to_uppercase())] {
        assert!(Thumbprint::parse(&text).expect(&text).is_of(&der), "{text}");
        assert!(!Thumbprint::parse(&text).expect(&text).is_of(b"other"), "{text}");
    }
    let long = format!("{sha256}00");
    for text in ["", "AB", "xyz", &sha256[1..], &sha1[2..], &long, "é".repeat(20).as_str()] {
        assert_eq!(Thumbprint::parse(text), None, "{text}");
    }
}

/// A broken certificate is read or refused, and never more.
#[test]
fn any_damage_is_survived() {
    let der = certificate();
    for at in 0..der.len() {
        for damage in [0x00, 0x7F, 0x84, 0xFF] {
            let mut broken = der.clone();
            broken[at] = damage;
            if let Some(subject) = Subject::parse(&broken) {
                assert!(subject.names.iter().all(|(_, name)| name.len() <= der.len()));
            }
        }
    }
}
