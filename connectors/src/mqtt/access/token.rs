//! JSON Web Tokens: is it of a configured issuer, for us, in its time, and what does it say of its bearer.
//!
//! What always holds: the algorithm is one that the key allows, never one that only the token names; time comes from the caller.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use jsonwebtoken::jwk::{JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::Refusal;
use super::attributes::{ATTRIBUTES_BYTES_MAX, Attribute, Attributes, is_name};
use super::config::JwtConfig;
use super::files::{AccessError, content, read};
use super::policy::NAME_CHARS_MAX;

/// Most bytes of a token, as in Event Grid.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Most keys of a set, and so of signatures that are tried for a token without key id.
const KEYS_MAX: usize = 32;

/// Claims that are about the token, not about its bearer.
const REGISTERED_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

struct IssuerKey {
    id: Option<Box<str>>,
    key: DecodingKey,
    validation: Validation,
}

/// The keys and what tokens must say.
pub(super) struct Tokens {
    keys: Vec<IssuerKey>,
    clock_skew_s_max: u64,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} keys)", self.keys.len())
    }
}

/// What a good token says.
pub(super) struct Bearer {
    pub(super) name: Arc<str>,
    pub(super) attributes: Attributes,
    /// By our clock, with all the skew that the issuer's may have.
    pub(super) expires_at_s: u64,
}

/// Whether a password is meant as a token: three parts of base64url, the first of which begins like an encoded `{"`.
pub(super) fn looks_like_one(password: &[u8]) -> bool {
    password.starts_with(b"eyJ")
        && password.iter().filter(|byte| **byte == b'.').count() == 2
        && password.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl Tokens {
    pub(super) fn load(config: &JwtConfig) -> Result<Self, AccessError> {
        let path = &config.jwks_file;
        let text = read(path)?;
        let set: JwkSet = serde_json::from_str(&text)
            .map_err(|error| content(path, error.line(), format!("not a JSON Web Key Set: {error}")))?;
        let mut keys = Vec::new();
        for (at, jwk) in set.keys.iter().enumerate() {
            if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
                continue;
            }
            let fault = |error: &dyn fmt::Display| content(path, 0, format!("key {} of the set: {error}", at + 1));
            let key = DecodingKey::from_jwk(jwk).map_err(|error| fault(&error))?;
            let mut validation = Validation::new_for_family(key.family());
            if let Some(algorithm) = &jwk.common.key_algorithm {
                validation.algorithms =
                    vec![Algorithm::from_str(&algorithm.to_string()).map_err(|error| fault(&error))?];
            }
            // The caller says what time it is, so it is compared below.
            validation.validate_exp = false;
            validation.validate_nbf = false;
            validation.set_audience(&config.audience);
            let mut required = vec!["exp", "sub", "aud"];
            if !config.issuer.is_empty() {
                validation.set_issuer(&config.issuer);
                required.push("iss");
            }
            validation.set_required_spec_claims(&required);
            keys.push(IssuerKey { id: jwk.common.key_id.as_deref().map(Into::into), key, validation });
        }
        check_count(path, keys.len())?;
        Ok(Self { keys, clock_skew_s_max: config.clock_skew_s_max })
    }

    /// Whose token it is.
    pub(super) fn verify(&self, token: &[u8], now_s: u64) -> Result<Bearer, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::NotAuthorized("the token has more than 8 KiB"));
        }
        let header = decode_header(token).map_err(|_| Refusal::NotAuthorized("the token is no JWT"))?;
        let claims = self.claims(token, header.kid.as_deref())?;
        let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
        let now = now_s as f64;
        let skew = self.clock_skew_s_max as f64;
        let expires = seconds("exp").ok_or(Refusal::NotAuthorized("the token has no end (exp)"))?;
        if expires + skew <= now {
            return Err(Refusal::NotAuthorized("the token is past its end (exp)"));
        }
        if claims.contains_key("nbf") && seconds("nbf").is_none_or(|begins| begins - skew > now) {
            return Err(Refusal::NotAuthorized("the token is not valid yet (nbf)"));
        }
        let name = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(Refusal::NotAuthorized("the token's subject (sub) is no name of 1 to 128 characters"));
        }
        let attributes = Attributes::new(claims.iter().filter_map(|(name, value)| attribute(name, value)));
        if attributes.bytes() > ATTRIBUTES_BYTES_MAX {
            return Err(Refusal::NotAuthorized("the token's claims make more than 4 KiB of attributes"));
        }
        // Who is let in on account of the skew is not shown out again for it.
        Ok(Bearer { name: name.into(), attributes, expires_at_s: (expires + skew).max(0.0) as u64 })
    }

    /// The claims, if one of the keys that may have signed it did, for our audience.
    fn claims(&self, token: &[u8], id: Option<&str>) -> Result<Map<String, Value>, Refusal> {
        use jsonwebtoken::errors::ErrorKind;
        let mut refusal = Refusal::NotAuthorized("the token names a key that is not in the key set");
        for candidate in &self.keys {
            if let (Some(wanted), Some(known)) = (id, candidate.id.as_deref())
                && wanted != known
            {
                continue;
            }
            let fault = match decode::<Map<String, Value>>(token, &candidate.key, &candidate.validation) {
                Ok(found) => return Ok(found.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidAudience => "the token is not for this audience (aud)",
                    ErrorKind::InvalidIssuer => "the token is of another issuer (iss)",
                    ErrorKind::MissingRequiredClaim(_) => "the token lacks one of exp, sub, aud and iss",
                    ErrorKind::InvalidAlgorithm => "the token's algorithm is not that of the key",
                    _ => "the token's signature is wrong",
                },
            };
            refusal = Refusal::NotAuthorized(fault);
        }
        Err(refusal)
    }
}

fn check_count(path: &Path, count: usize) -> Result<(), AccessError> {
    match count {
        1..=KEYS_MAX => Ok(()),
        0 => Err(content(path, 0, "the set holds no key that signatures can be verified with")),
        _ => Err(content(
            path,
            0,
            format!("the set has {count} keys; remove those that are no longer used ({KEYS_MAX} at most)"),
        )),
    }
}

/// Claims of 32-bit numbers, text and lists of text become attributes; all else is dropped.
fn attribute(name: &str, value: &Value) -> Option<(Box<str>, Attribute)> {
    if REGISTERED_CLAIMS.contains(&name) || !is_name(name) {
        return None;
    }
    let value = match value {
        Value::String(text) => Attribute::Text(text.as_str().into()),
        Value::Number(number) => Attribute::Integer(i32::try_from(number.as_i64()?).ok()?.into()),
        Value::Array(items) => {
            Attribute::List(items.iter().map(|item| item.as_str().map(Into::into)).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    Some((name.into(), value))
}
