//! Flags that `sub` and `pub` share: which broker, who we are, what is spoken.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use connectors::mqtt::codec::Version;

use super::address::Address;
use super::error::MqttError;

/// The variable that holds a password.
const PASSWORD: &str = "ANABRANCH_MQTT_PASSWORD";
/// More than any broker takes as password.
const PASSWORD_BYTES_MAX: u64 = 65_535;

/// How the broker is reached.
#[derive(Args, Debug, Clone)]
pub struct ReachArgs {
    /// Address of the broker: mqtt://HOST[:PORT], or mqtts:// for TLS.
    #[arg(long, env = "ANABRANCH_MQTT_URL", default_value = "mqtt://127.0.0.1:1883", value_name = "URL")]
    pub url: Address,
    /// Client identifier; without it the broker chooses one.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// User name. The password comes from --password-file or the variable ANABRANCH_MQTT_PASSWORD.
    #[arg(long, short, env = "ANABRANCH_MQTT_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// File whose first line is the password, or a token.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// What is spoken: `5`, `3.1.1` or `3.1`.
    #[arg(long, default_value = "5", value_name = "VERSION")]
    pub mqtt_version: MqttVersion,
    /// Longest silence in seconds before a ping; 0: none.
    #[arg(long, default_value = "60", value_name = "SECONDS")]
    pub keep_alive: u16,
    /// PEM file of the authorities that the broker's certificate is checked against; without it the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// PEM file with a client certificate.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

/// Versions of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MqttVersion {
    /// MQTT 5.0.
    #[value(name = "5", alias = "5.0")]
    V5,
    /// MQTT 3.1.1.
    #[value(name = "3.1.1")]
    V311,
    /// MQTT 3.1.
    #[value(name = "3.1")]
    V31,
}

impl ReachArgs {
    /// What is spoken.
    pub(super) fn version(&self) -> Version {
        match self.mqtt_version {
            MqttVersion::V5 => Version::V5,
            MqttVersion::V311 => Version::V311,
            MqttVersion::V31 => Version::V31,
        }
    }

    /// The password, if there is one.
    pub(super) fn password(&self) -> Result<Option<Vec<u8>>, MqttError> {
        let password = match &self.password_file {
            Some(path) => Some(first_line(path)?),
            None => std::env::var_os(PASSWORD).map(std::os::unix::ffi::OsStringExt::into_vec),
        };
        if password.is_some() && self.user.is_none() && self.version() != Version::V5 {
            return Err(MqttError::Usage("before MQTT 5 a password needs a user name; add --user".to_owned()));
        }
        Ok(password)
    }
}

fn first_line(path: &Path) -> Result<Vec<u8>, MqttError> {
    use std::io::Read;
    let fault = |error| MqttError::File { path: path.to_owned(), error };
    let mut text = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_end(&mut text)).map_err(fault)?;
    text.truncate(text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len()));
    Ok(text)
}
