//! Flags that `subscribe` and `publish` share: which node, how it is known to be the right one, who we are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use connectors::quic::client::{Address, ClientIdentity, Connect, Fingerprint, Notice};

use super::clean;
use super::error::QuicError;

/// Variables that hold secrets.
const PASSWORD: &str = "ANABRANCH_QUIC_PASSWORD";
const TOKEN: &str = "ANABRANCH_QUIC_TOKEN";
/// More than the protocol lets a token have.
const SECRET_BYTES_MAX: u64 = 65_535;

/// How the node is reached.
#[derive(Args, Debug, Clone)]
pub struct ReachArgs {
    /// Address of the node's QUIC listener: quic://HOST[:PORT].
    #[arg(long, env = "ANABRANCH_QUIC_URL", default_value = "quic://127.0.0.1:4433", value_name = "URL")]
    pub url: Address,
    /// PEM file of the authorities that the node's certificate is checked against; without it the system's.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fingerprint", "insecure"])]
    pub ca_file: Option<PathBuf>,
    /// The node's certificate must be this one: `sha256:` and 64 digits, as the node says when it starts.
    #[arg(long, env = "ANABRANCH_QUIC_FINGERPRINT", value_name = "FINGERPRINT")]
    pub fingerprint: Option<Fingerprint>,
    /// Talk to whoever answers: nobody is checked.
    #[arg(long)]
    pub insecure: bool,
    /// PEM file with a client certificate.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// User name. The password comes from --password-file or the variable ANABRANCH_QUIC_PASSWORD.
    #[arg(long, short, env = "ANABRANCH_QUIC_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// File whose first line is the password.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// File whose first line is a bearer token, read again for each connection. Or the variable ANABRANCH_QUIC_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Longest silence in seconds before the connection counts as gone.
    #[arg(long, default_value = "15", value_name = "SECONDS", value_parser = seconds)]
    pub idle_timeout: Duration,
}

/// Seconds above 0.
pub(super) fn seconds(text: &str) -> Result<Duration, &'static str> {
    let wrong = "use a number of seconds above 0, such as 5 or 0.5";
    let seconds: f64 = text.parse().map_err(|_| wrong)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or(wrong)
}

impl ReachArgs {
    /// As the library takes it; what becomes of the connection goes to stderr.
    pub(super) fn connect(&self) -> Result<Connect, QuicError> {
        let mut connect = Connect::at(self.url.clone()).idle_timeout(self.idle_timeout);
        // The more certain way wins over a fingerprint that the environment has.
        if self.insecure {
            eprintln!("warning: --insecure: nobody is checked; whoever stands between can read and change everything");
            connect = connect.insecure();
        } else if let Some(path) = &self.ca_file {
            connect = connect.ca_file(path);
        } else if let Some(fingerprint) = self.fingerprint {
            connect = connect.fingerprint(fingerprint);
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            connect = connect.identity(ClientIdentity { cert_file: cert.clone(), key_file: key.clone() });
        }
        if let Some(user) = &self.user {
            let password = match &self.password_file {
                Some(path) => first_line(path)?,
                None => std::env::var(PASSWORD).map_err(|_| {
                    QuicError::Usage(format!("--user needs a password: add --password-file, or set {PASSWORD}"))
                })?,
            };
            connect = connect.user(user, password);
        }
        if let Some(path) = self.token_file.clone() {
            let first = first_line(&path)?;
            // A file that is being replaced: the token that there was may still be good.
            connect = connect.token_from(move || first_line(&path).unwrap_or_else(|_| first.clone()));
        } else if let Ok(token) = std::env::var(TOKEN) {
            connect = connect.token(token);
        }
        let url = self.url.clone();
        Ok(connect.watch(move |notice| match notice {
            Notice::Away(reason) => eprintln!("the node at {url} is away ({}); waiting for it", clean(reason)),
            Notice::Back => eprintln!("the node at {url} is back"),
            Notice::FilterWarning(text) => eprintln!("warning: --filter: {}", clean(text)),
            Notice::Forgotten(count) => {
                eprintln!(
                    "warning: the node has crashed and lost {count} events that it had acknowledged before it synced"
                );
            }
            _ => {}
        }))
    }
}

fn first_line(path: &Path) -> Result<String, QuicError> {
    use std::io::Read;
    let fault = |error| QuicError::File { path: path.to_owned(), error };
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text)).map_err(fault)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
