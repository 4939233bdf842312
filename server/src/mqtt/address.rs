//! Where a broker is: `mqtt://host:port`, or `mqtts://` for TLS.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// TLS.
    pub is_tls: bool,
    /// Name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let example = "write for example mqtt://127.0.0.1:1883 or mqtts://broker.example";
        let url = Url::parse(text).map_err(|_| example.to_owned())?;
        let (is_tls, port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            "ws" | "wss" => return Err(format!("this command does not speak WebSocket; {example}")),
            _ => return Err(example.to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("name the user with --user, and the password with --password-file".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("an address of MQTT has no path; {example}"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(example)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { is_tls, host, port: url.port().unwrap_or(port) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "mqtts" } else { "mqtt" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}
