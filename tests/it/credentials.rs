//! What clients prove themselves with: certificates, passwords and tokens, made by the test that needs them.

use std::path::Path;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A password file: `meter-7` has "correct horse", as cheap as bcrypt goes.
pub const PASSWORDS: &str = "meter-7:$2b$04$QQZnZoIsKKHZQ5VmWfgwR.xkmdPuXFlrut.554DCsa0mLSzOuMK3u\n";

/// Who signs certificates.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// A new one.
pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs")
}

/// Writes `NAME.pem` and `NAME.key` of a certificate that `by` signed.
pub fn certificate(folder: &Path, name: &str, hosts: &[&str], by: &Authority) {
    let mut params =
        CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let signed = params.signed_by(&key, by).expect("signs");
    write(folder, &format!("{name}.pem"), &signed.pem());
    write(folder, &format!("{name}.key"), &key.serialize_pem());
}

/// Writes a file.
pub fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("writes");
}

/// Who signs tokens.
pub struct Issuer(EncodingKey);

impl Issuer {
    /// A new one.
    pub fn new() -> Self {
        Self(EncodingKey::from_ec_der(KeyPair::generate().expect("a key").serialized_der()))
    }

    /// Its public key, as a JSON Web Key Set.
    pub fn public(&self) -> String {
        let public = Jwk::from_encoding_key(&self.0, Algorithm::ES256).expect("a public key");
        serde_json::to_string(&JwkSet { keys: vec![public] }).expect("is JSON")
    }

    /// A token of `meter-7` that is good for so many seconds from now on; below 0 it was.
    pub fn token(&self, audience: &str, for_s: i64) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let expires_s = now.as_secs().checked_add_signed(for_s).expect("after 1970");
        let claims = serde_json::json!({"sub": "meter-7", "aud": audience, "exp": expires_s});
        encode(&Header::new(Algorithm::ES256), &claims, &self.0).expect("signs")
    }
}
