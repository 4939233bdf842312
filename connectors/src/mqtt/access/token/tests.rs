//! Tokens signed here, good ones and ones with one thing wrong.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const NOW_S: u64 = 1_800_000_000;

fn ec_key() -> EncodingKey {
    EncodingKey::from_ec_der(rcgen::KeyPair::generate().unwrap().serialized_der())
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, id: Option<&str>) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_id = id.map(str::to_owned);
    jwk
}

fn tokens(keys: Vec<Jwk>, issuer: &[&str]) -> Result<Tokens, AccessError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_string(&JwkSet { keys }).unwrap()).unwrap();
    Tokens::load(&JwtConfig {
        jwks_file: file.path().to_owned(),
        audience: vec!["node".to_owned(), "https://eventgrid.azure.net/".to_owned()],
        issuer: issuer.iter().map(|name| (*name).to_owned()).collect(),
        clock_skew_s_max: 30,
    })
}

fn claims() -> Value {
    json!({"sub": "Veh-7", "aud": "node", "iss": "https://id.example", "exp": NOW_S + 600, "nbf": NOW_S - 600})
}

fn sign(key: &EncodingKey, algorithm: Algorithm, id: Option<&str>, claims: &Value) -> Vec<u8> {
    let mut header = Header::new(algorithm);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, key).unwrap().into_bytes()
}

#[test]
fn a_good_token_names_its_bearer() {
    let key = ec_key();
    let tokens = tokens(vec![jwk(&key, Algorithm::ES256, Some("k1"))], &["https://id.example"]).unwrap();
    let mut claims = claims();
    for (name, value) in [
        ("type", json!("truck")),
        ("floor", json!(-3)),
        ("sensors", json!(["gps", "temp"])),
        ("weight", json!(1.5)),
        ("large", json!(3_000_000_000_u64)),
        ("numbers", json!([1, 2])),
        ("object", json!({"a": 1})),
        ("flag", json!(true)),
        ("https://x/claim", json!("named by a URI")),
        ("iat", json!(NOW_S)),
        ("jti", json!("id")),
    ] {
        claims[name] = value;
    }
    let token = sign(&key, Algorithm::ES256, Some("k1"), &claims);
    assert!(looks_like_one(&token));
    let bearer = tokens.verify(&token, NOW_S).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!((&*bearer.name, bearer.expires_at_s), ("Veh-7", NOW_S + 600 + 30));
    let names: Vec<_> = bearer.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(names, ["floor=-3", "sensors=gps,temp", "type=truck"]);
}

#[test]
fn each_kind_of_key_verifies() {
    let rsa = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    // PKCS#1 is what the library wants: the octets inside PKCS#8, after version and algorithm.
    let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&rsa).unwrap();
    let rsa = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
    let hmac = EncodingKey::from_secret(&[7; 32]);
    let all = [(ec_key(), Algorithm::ES256), (rsa, Algorithm::RS256), (hmac, Algorithm::HS256)];
    for (key, algorithm) in all {
        let tokens = tokens(vec![jwk(&key, algorithm, None)], &[]).unwrap();
        let token = sign(&key, algorithm, Some("any"), &claims());
        assert!(tokens.verify(&token, NOW_S).is_ok(), "{algorithm:?}");
    }
    let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let point = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, ed.public_key_raw());
    let set = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": point});
    let tokens = tokens(vec![serde_json::from_value(set).unwrap()], &[]).unwrap();
    let token = sign(&EncodingKey::from_ed_der(ed.serialized_der()), Algorithm::EdDSA, None, &claims());
    assert!(tokens.verify(&token, NOW_S).is_ok());
}

#[test]
fn one_wrong_thing_is_enough() {
    let key = ec_key();
    let tokens = tokens(vec![jwk(&key, Algorithm::ES256, Some("k1"))], &["https://id.example"]).unwrap();
    let verify = |claims: &Value| tokens.verify(&sign(&key, Algorithm::ES256, Some("k1"), claims), NOW_S);
    assert!(verify(&claims()).is_ok());
    let cases = [
        ("exp", json!(NOW_S - 31), "past its end"),
        ("exp", json!(null), "lacks one of"),
        ("exp", json!("soon"), "lacks one of"),
        ("nbf", json!(NOW_S + 31), "not valid yet"),
        ("nbf", json!("later"), "not valid yet"),
        ("aud", json!("other"), "not for this audience"),
        ("aud", json!(["other", "third"]), "not for this audience"),
        ("aud", json!(null), "lacks one of"),
        ("iss", json!("https://evil.example"), "another issuer"),
        ("iss", json!(null), "lacks one of"),
        ("sub", json!(null), "lacks one of"),
        ("sub", json!(""), "no name of 1 to 128"),
        ("sub", json!("x".repeat(129)), "no name of 1 to 128"),
        ("text", json!("x".repeat(4200)), "more than 4 KiB"),
        ("text", json!("x".repeat(9000)), "more than 8 KiB"),
    ];
    for (name, value, expected) in cases {
        let mut wrong = claims();
        wrong[name] = value.clone();
        let refusal = verify(&wrong).err().unwrap_or_else(|| panic!("{name} = {value}")).to_string();
        assert!(refusal.contains(expected), "{name} = {value}: {refusal}");
    }
    for (name, value) in [
        ("exp", json!(NOW_S - 29)),
        ("nbf", json!(NOW_S + 29)),
        ("nbf", json!(NOW_S as f64 + 0.5)),
        ("aud", json!(["other", "node"])),
        ("aud", json!("https://eventgrid.azure.net/")),
    ] {
        let mut good = claims();
        good[name] = value.clone();
        assert!(verify(&good).is_ok(), "{name} = {value}");
    }
}

#[test]
fn a_forged_token_is_refused() {
    let key = ec_key();
    let public = jwk(&key, Algorithm::ES256, Some("k1"));
    let secret = serde_json::to_vec(&public).unwrap();
    let tokens = tokens(vec![public], &[]).unwrap();
    let refusal =
        |token: &[u8]| tokens.verify(token, NOW_S).err().map(|refusal| refusal.to_string()).unwrap_or_default();
    let good = sign(&key, Algorithm::ES256, Some("k1"), &claims());
    assert_eq!(refusal(&good), "");
    assert!(refusal(&sign(&ec_key(), Algorithm::ES256, Some("k1"), &claims())).contains("signature"));
    assert!(refusal(&sign(&key, Algorithm::ES256, Some("k2"), &claims())).contains("not in the key set"));
    // The public key as a shared secret, and no signature at all.
    let confused = sign(&EncodingKey::from_secret(&secret), Algorithm::HS256, Some("k1"), &claims());
    assert!(refusal(&confused).contains("algorithm"));
    let parts: Vec<&str> = std::str::from_utf8(&good).unwrap().split('.').collect();
    assert!(refusal(format!("eyJhbGciOiJub25lIn0.{}.", parts[1]).as_bytes()).contains("no JWT"));
    assert!(refusal(format!("{}.{}.", parts[0], parts[1]).as_bytes()).contains("signature"));
    for rubbish in [&b""[..], b"eyJ", b"eyJ.eyJ.x", b"\xff.\xff.\xff", b"...."] {
        assert!(!refusal(rubbish).is_empty());
    }
}

#[test]
fn a_key_set_without_use_is_refused() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let config = |text: &str| {
        std::fs::write(path.path(), text).unwrap();
        let config = JwtConfig {
            jwks_file: path.path().to_owned(),
            audience: vec!["node".to_owned()],
            issuer: Vec::new(),
            clock_skew_s_max: 0,
        };
        Tokens::load(&config).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(config("{}").contains("not a JSON Web Key Set"));
    assert!(config("{\"keys\":[]}").contains("holds no key"));
    assert!(config("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}]}").contains("key 1 of the set"));
    let missing = JwtConfig {
        jwks_file: "/nonexistent/keys.json".into(),
        audience: vec!["node".to_owned()],
        issuer: Vec::new(),
        clock_skew_s_max: 0,
    };
    assert!(Tokens::load(&missing).expect_err("no file").to_string().contains("/nonexistent/keys.json"));
}

#[test]
fn a_password_is_not_taken_for_a_token() {
    for password in ["secret", "a.b.c", "eyJhbG", "eyJ.eyJ", "eyJ a.b.c", "eyJ.a.b.c"] {
        assert!(!looks_like_one(password.as_bytes()), "{password}");
    }
}
