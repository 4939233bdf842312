//! Who may connect to the MQTT listener, and what they may do there.
//!
//! [`Access`] is shared by all cores. Everything it knows comes from its configuration and the files named there; time is an
//! argument and no socket is touched. What always holds: a name is only ever that of somebody who proved it; once topic spaces
//! are configured, nothing is allowed that no binding grants; files are replaced whole on [`Access::reload`] or not at all.

pub mod config;
pub mod attributes;
mod files;
mod hmac;
pub mod certificate;
mod passwords;
mod token;
mod query;
pub mod topics;
mod template;
mod grants;
mod resources;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use attributes::{Attribute, Attributes};
pub use certificate::ClientCertificate;
pub use config::{AccessConfig, Anonymous, JwtConfig, NameSource};
pub use files::AccessError;
pub use grants::Grants;
pub use passwords::{PasswordLineError, password_line};

use passwords::{Passwords, Verdict};
use policy::{Client, Policy};
use token::Tokens;

/// The authentication methods of MQTT 5 that carry a JWT in the authentication data.
pub const JWT_METHODS: [&str; 2] = ["OAUTH2-JWT", "CUSTOM-JWT"];

/// What a client shows of itself in CONNECT (or AUTH) and in TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Client identifier of CONNECT.
    pub client_id: String,
    /// User name of CONNECT.
    pub username: Option<String>,
    /// Password of CONNECT.
    pub password: Option<Vec<u8>>,
    /// Authentication method (MQTT 5).
    pub auth_method: Option<String>,
    /// Authentication data (MQTT 5).
    pub auth_data: Option<Vec<u8>>,
    /// The leaf certificate that the client proved to own.
    pub certificate: Option<ClientCertificate>,
    /// Whether the connection comes from this machine.
    pub is_loopback: bool,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Authentication name, in the case it is configured in; empty for anonymous clients.
    pub name: Arc<str>,
    /// What is known about the client.
    pub attributes: Attributes,
    /// Unix time at which the token ends for us, allowed skew included; none: it does not end.
    pub expires_at_s: Option<u64>,
    /// What the client may do.
    pub grants: Arc<Grants>,
}

impl Identity {
    /// Whether nobody knows who it is.
    pub fn is_anonymous(&self) -> bool {
        self.name.is_empty()
    }
}

/// Why somebody was not let in. The text is for the node's own log; the client is told the reason code alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 0x86.
    #[error("bad user name or password: {0}")]
    BadCredentials(&'static str),
    /// 0x87.
    #[error("not authorized: {0}")]
    NotAuthorized(&'static str),
    /// 0x8C.
    #[error("bad authentication method: {0}")]
    BadMethod(&'static str),
    /// 0x8A.
    #[error("banned: {0}")]
    Banned(&'static str),
    /// 0x88.
    #[error("server unavailable: {0}")]
    Unavailable(&'static str),
}

impl Refusal {
    /// The reason code of MQTT 5.
    pub fn code(&self) -> u8 {
        match self {
            Self::BadCredentials(_) => 0x86,
            Self::NotAuthorized(_) => 0x87,
            Self::Unavailable(_) => 0x88,
            Self::Banned(_) => 0x8A,
            Self::BadMethod(_) => 0x8C,
        }
    }
}

/// Everything that was read from the files.
#[derive(Debug)]
struct Rules {
    passwords: Option<Passwords>,
    tokens: Option<Tokens>,
    policy: Policy,
}

impl Rules {
    fn load(config: &AccessConfig, before: Option<&Self>) -> Result<Self, AccessError> {
        let known = before.and_then(|rules| rules.passwords.as_ref());
        Ok(Self {
            passwords: config.password_file.as_deref().map(|path| Passwords::load(path, known)).transpose()?,
            tokens: config.jwt.as_ref().map(Tokens::load).transpose()?,
            policy: Policy::load(config)?,
        })
    }
}

/// The door. One per listener, shared by its cores.
#[derive(Debug)]
pub struct Access {
    config: AccessConfig,
    key: hmac::Key,
    rules: ArcSwap<Rules>,
}

/// By which proof somebody wants in.
enum Proof<'a> {
    Token(&'a [u8]),
    Password { name: &'a str, password: &'a [u8] },
    Certificate(&'a ClientCertificate),
    Nothing,
}

impl Access {
    /// Reads all files that `config` names.
    pub fn new(config: &AccessConfig) -> Result<Self, AccessError> {
        let rules = Rules::load(config, None)?;
        Ok(Self { config: config.clone(), key: hmac::Key::random(), rules: ArcSwap::from_pointee(rules) })
    }

    /// Reads all files again. On an error everything stays as it was. Who is connected keeps what was granted until
    /// [`Access::renew`] is asked.
    pub fn reload(&self) -> Result<(), AccessError> {
        let rules = Rules::load(&self.config, Some(&self.rules.load()))?;
        self.rules.store(Arc::new(rules));
        Ok(())
    }

    /// Most sessions that one authentication name may have, online or not; none: no limit.
    pub fn sessions_per_name_max(&self) -> Option<u32> {
        self.config.sessions_per_name_max
    }

    /// Whether [`Access::authenticate`] will hash a password, which takes milliseconds: call it on a thread that may block.
    pub fn is_slow(&self, attempt: &Attempt) -> bool {
        let rules = self.rules.load();
        match (self.proof(&rules, attempt), &rules.passwords) {
            (Ok(Proof::Password { name, password }), Some(passwords)) => {
                passwords.known(&self.key, name, password).is_none()
            }
            _ => false,
        }
    }

    /// Lets somebody in, or says why not. `now_s` is Unix time.
    pub fn authenticate(&self, attempt: &Attempt, now_s: u64) -> Result<Identity, Refusal> {
        let rules = self.rules.load();
        match self.proof(&rules, attempt)? {
            Proof::Token(token) => {
                let tokens = rules.tokens.as_ref().ok_or(Refusal::BadMethod("no JWT issuer is configured"))?;
                let found = tokens.verify(token, now_s).map_err(|refusal| match refusal {
                    // In the place of a password it is a bad password.
                    Refusal::NotAuthorized(why) if attempt.auth_method.is_none() => Refusal::BadCredentials(why),
                    other => other,
                })?;
                let client = rules.policy.client(&found.name);
                let attributes = match client {
                    Some(client) => found.attributes.overlaid_by(&client.attributes),
                    None => found.attributes,
                };
                self.admit(&rules, client, &found.name, attributes, Some(found.expires_at_s))
            }
            Proof::Password { name, password } => {
                let Some(passwords) = &rules.passwords else {
                    return Err(Refusal::BadCredentials("no password file is configured"));
                };
                match passwords.verify(&self.key, name, password) {
                    Verdict::Right(name) => self.admit_named(&rules, &name),
                    Verdict::Wrong => Err(Refusal::BadCredentials("unknown name or wrong password")),
                }
            }
            Proof::Certificate(certificate) => {
                let username = attempt.username.as_deref().filter(|name| !name.is_empty());
                let name = self.certified(&rules, certificate, username)?;
                self.admit_named(&rules, &name)
            }
            Proof::Nothing => Ok(Identity {
                name: Arc::from(""),
                attributes: Attributes::default(),
                expires_at_s: None,
                grants: rules.policy.grants("", &Attributes::default()),
            }),
        }
    }

    /// What somebody who was let in before may do now, after a [`Access::reload`].
    pub fn renew(&self, identity: &Identity) -> Result<Identity, Refusal> {
        let rules = self.rules.load();
        if identity.is_anonymous() {
            let grants = rules.policy.grants("", &identity.attributes);
            return Ok(Identity { grants, ..identity.clone() });
        }
        let client = rules.policy.client(&identity.name);
        // Only a token brings attributes of its own.
        let attributes = match (client, identity.expires_at_s) {
            (Some(client), Some(_)) => identity.attributes.overlaid_by(&client.attributes),
            (Some(client), None) => client.attributes.clone(),
            (None, Some(_)) => identity.attributes.clone(),
            (None, None) => Attributes::default(),
        };
        self.admit(&rules, client, &identity.name, attributes, identity.expires_at_s)
    }

    /// What the attempt wants to be judged by: a token, else a password, else a certificate, else nothing at all.
    fn proof<'a>(&self, rules: &Rules, attempt: &'a Attempt) -> Result<Proof<'a>, Refusal> {
        if let Some(method) = &attempt.auth_method {
            if !JWT_METHODS.contains(&method.as_str()) {
                return Err(Refusal::BadMethod("unknown method; this node knows OAUTH2-JWT and CUSTOM-JWT"));
            }
            if rules.tokens.is_none() {
                return Err(Refusal::BadMethod("no JWT issuer is configured"));
            }
            return match &attempt.auth_data {
                Some(token) => Ok(Proof::Token(token)),
                None => Err(Refusal::NotAuthorized("the authentication data is missing")),
            };
        }
        if let Some(password) = &attempt.password {
            if rules.tokens.is_some() && (rules.passwords.is_none() || token::looks_like_one(password)) {
                return Ok(Proof::Token(password));
            }
            if rules.passwords.is_some() {
                return match &attempt.username {
                    Some(name) => Ok(Proof::Password { name, password }),
                    None => Err(Refusal::BadCredentials("a password without a user name")),
                };
            }
        }
        if let Some(certificate) = &attempt.certificate {
            return Ok(Proof::Certificate(certificate));
        }
        let anonymous_may = match self.config.anonymous {
            Anonymous::Yes => true,
            Anonymous::Loopback => attempt.is_loopback,
            Anonymous::No => false,
        };
        match anonymous_may {
            true => Ok(Proof::Nothing),
            false if attempt.password.is_some() => Err(Refusal::BadCredentials("no password file is configured")),
            false => Err(Refusal::NotAuthorized("anonymous clients may not connect")),
        }
    }

    /// The authentication name that a certificate proves.
    fn certified(
        &self,
        rules: &Rules,
        certificate: &ClientCertificate,
        username: Option<&str>,
    ) -> Result<Arc<str>, Refusal> {
        let subject = certificate::Subject::parse(&certificate.der)
            .ok_or(Refusal::NotAuthorized("the client certificate cannot be read"))?;
        let by_sources = || self.config.certificate_names.iter().find_map(|source| subject.first(*source));
        let Some(wanted) = username.or_else(by_sources) else {
            return Err(Refusal::NotAuthorized("the certificate has none of the names that certificate_names lists"));
        };
        let proven = match rules.policy.client(wanted) {
            Some(client) => match &client.validation {
                policy::Validation::Thumbprints(allowed) => allowed.iter().any(|print| print.is_of(&certificate.der)),
                policy::Validation::Name(source) => {
                    certificate.is_verified && subject.has(*source, &client.authentication_name)
                }
            },
            None => {
                certificate.is_verified
                    && by_sources().is_some_and(|name| policy::folded(name) == policy::folded(wanted))
            }
        };
        match proven {
            true => Ok(Arc::from(wanted)),
            false if !certificate.is_verified => Err(Refusal::NotAuthorized(
                "the certificate is of no configured authority and has no allowed thumbprint",
            )),
            false => Err(Refusal::NotAuthorized("the certificate is not one of this client")),
        }
    }

    fn admit_named(&self, rules: &Rules, name: &Arc<str>) -> Result<Identity, Refusal> {
        let client = rules.policy.client(name);
        let attributes = client.map(|client| client.attributes.clone()).unwrap_or_default();
        self.admit(rules, client, name, attributes, None)
    }

    fn admit(
        &self,
        rules: &Rules,
        client: Option<&Client>,
        name: &Arc<str>,
        attributes: Attributes,
        expires_at_s: Option<u64>,
    ) -> Result<Identity, Refusal> {
        let name = match client {
            Some(client) if !client.is_enabled => return Err(Refusal::Banned("the client is disabled")),
            Some(client) => client.authentication_name.clone(),
            None if self.config.registered_only => {
                return Err(Refusal::NotAuthorized("the client is not registered and registered_only is set"));
            }
            None => name.clone(),
        };
        let grants = rules.policy.grants(&name, &attributes);
        Ok(Identity { name, attributes, expires_at_s, grants })
    }
}
