//! The shape of the access file: clients, client groups, topic spaces and permission bindings.

use std::path::Path;

use serde::Deserialize;

use super::config::NameSource;
use super::files::{AccessError, content, read};

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Resources {
    pub(super) clients: Vec<ClientResource>,
    pub(super) client_groups: Vec<GroupResource>,
    pub(super) topic_spaces: Vec<SpaceResource>,
    pub(super) permission_bindings: Vec<BindingResource>,
}

/// `[[clients]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientResource {
    pub(super) name: String,
    pub(super) authentication_name: Option<String>,
    #[serde(default)]
    pub(super) state: State,
    #[serde(default)]
    pub(super) certificate: Scheme,
    #[serde(default)]
    pub(super) thumbprints: Vec<String>,
    #[serde(default)]
    pub(super) attributes: std::collections::BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    #[default]
    Enabled,
    Disabled,
}

/// How a client's certificate is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scheme {
    #[default]
    Subject,
    Dns,
    Uri,
    Ip,
    Email,
    Thumbprint,
}

impl Scheme {
    /// None: by thumbprint.
    pub(super) fn source(self) -> Option<NameSource> {
        match self {
            Self::Subject => Some(NameSource::Subject),
            Self::Dns => Some(NameSource::Dns),
            Self::Uri => Some(NameSource::Uri),
            Self::Ip => Some(NameSource::Ip),
            Self::Email => Some(NameSource::Email),
            Self::Thumbprint => None,
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an attribute is text, a whole number or a list of text")]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    List(Vec<String>),
}

/// `[[client_groups]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupResource {
    pub(super) name: String,
    pub(super) query: String,
}

/// `[[topic_spaces]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceResource {
    pub(super) name: String,
    pub(super) templates: Vec<String>,
}

/// `[[permission_bindings]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BindingResource {
    pub(super) group: String,
    pub(super) space: String,
    pub(super) permission: Permission,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Permission {
    Publisher,
    Subscriber,
}

impl Resources {
    /// Reads TOML, or JSON where the file's name ends in `.json`.
    pub(super) fn load(path: &Path) -> Result<Self, AccessError> {
        let text = read(path)?;
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            return serde_json::from_str(&text).map_err(|error| content(path, error.line(), error.to_string()));
        }
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            content(path, line, error.message())
        })
    }
}
