//! Settings of access to the MQTT listener: the table `[listeners.mqtt.access]`.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::Problem;

/// Who may connect without saying who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// Everybody who can reach the port.
    Yes,
    /// Connections from this machine.
    #[default]
    Loopback,
    /// Nobody.
    No,
}

/// A field of a client certificate that holds a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameSource {
    /// The common name of the subject.
    Subject,
    /// A DNS name among the subject's alternative names.
    Dns,
    /// A URI there.
    Uri,
    /// An IP address there, as text.
    Ip,
    /// An e-mail address there.
    Email,
}

/// The table `[listeners.mqtt.access]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// Who may connect without saying who they are: `"no"`, `"loopback"` or `"yes"`.
    pub anonymous: Anonymous,
    /// File with a line `name:hash` per user (argon2id or bcrypt).
    pub password_file: Option<PathBuf>,
    /// Tokens of an issuer.
    pub jwt: Option<JwtConfig>,
    /// Where a certificate's name is looked for if the client sends no user name: the first that is there.
    pub certificate_names: Vec<NameSource>,
    /// File with clients, groups, topic spaces and bindings: TOML, or JSON if its name ends so.
    pub access_file: Option<PathBuf>,
    /// Whether only clients that the access file lists may connect (apart from anonymous ones).
    pub registered_only: bool,
    /// Most sessions of one authentication name; none: no limit.
    pub sessions_per_name_max: Option<u32>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            anonymous: Anonymous::default(),
            password_file: None,
            jwt: None,
            certificate_names: vec![NameSource::Subject],
            access_file: None,
            registered_only: false,
            sessions_per_name_max: None,
        }
    }
}

/// The table `[listeners.mqtt.access.jwt]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// File with the issuer's public keys, a JSON Web Key Set (RFC 7517).
    pub jwks_file: PathBuf,
    /// What a token must be for: one of these must be in its `aud`.
    pub audience: Vec<String>,
    /// Who must have issued it: `iss` must be one of these. Empty: not looked at, the keys alone decide.
    #[serde(default)]
    pub issuer: Vec<String>,
    /// Seconds by which the issuer's clock may differ from ours.
    #[serde(default = "clock_skew_s_max")]
    pub clock_skew_s_max: u64,
}

fn clock_skew_s_max() -> u64 {
    30
}

impl AccessConfig {
    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut problem = |field, message: &str, help: &str| {
            found.push(Problem { field, message: message.to_owned(), help: help.to_owned() });
        };
        if self.sessions_per_name_max == Some(0) {
            problem("access.sessions_per_name_max", "no client could connect", "use at least 1, or leave it out");
        }
        if self.certificate_names.is_empty() {
            problem(
                "access.certificate_names",
                "the list is empty",
                "name at least one of subject, dns, uri, ip, email",
            );
        }
        if self.registered_only && self.access_file.is_none() {
            problem("access.registered_only", "there is no file with clients", "set access.access_file");
        }
        for (field, path) in [("access.password_file", &self.password_file), ("access.access_file", &self.access_file)]
        {
            if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                problem(field, "the path is empty", "name a file, or leave the key out");
            }
        }
        if let Some(jwt) = &self.jwt {
            if jwt.audience.is_empty() || jwt.audience.iter().any(String::is_empty) {
                let help = "say what tokens must be for: otherwise one made for another service would open this one";
                problem("access.jwt.audience", "there is no audience", help);
            }
            if jwt.issuer.iter().any(String::is_empty) {
                problem("access.jwt.issuer", "an issuer is empty", "write it as it stands in `iss`");
            }
            if jwt.clock_skew_s_max > 600 {
                problem("access.jwt.clock_skew_s_max", "clocks may differ too much", "use at most 600 seconds");
            }
            if jwt.jwks_file.as_os_str().is_empty() {
                problem("access.jwt.jwks_file", "the path is empty", "name the file with the issuer's keys");
            }
        }
        found
    }
}
