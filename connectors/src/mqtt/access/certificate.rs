//! Names and thumbprints of client certificates. Whether an authority signed one is TLS's to verify, not ours.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::config::NameSource;
use super::policy::folded;
pub use crate::tls::ClientCertificate;

/// The names in a certificate, by where they stand.
#[derive(Debug, Default)]
pub(super) struct Subject {
    names: Vec<(NameSource, Box<str>)>,
}

impl Subject {
    /// None: the bytes are no certificate.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut names = Vec::new();
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(|name| (NameSource::Subject, name.into())));
        if let Ok(Some(found)) = certificate.subject_alternative_name() {
            for name in &found.value.general_names {
                match name {
                    GeneralName::DNSName(name) => names.push((NameSource::Dns, (*name).into())),
                    GeneralName::URI(name) => names.push((NameSource::Uri, (*name).into())),
                    GeneralName::RFC822Name(name) => names.push((NameSource::Email, (*name).into())),
                    GeneralName::IPAddress(bytes) => {
                        let address = <[u8; 4]>::try_from(*bytes)
                            .map(IpAddr::from)
                            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
                        names.extend(address.map(|address| (NameSource::Ip, address.to_string().into())));
                    }
                    _ => {}
                }
            }
        }
        names.retain(|(_, name): &(_, Box<str>)| !name.is_empty());
        Some(Self { names })
    }

    /// The first name there.
    pub(super) fn first(&self, source: NameSource) -> Option<&str> {
        self.names.iter().find(|(other, _)| *other == source).map(|(_, name)| &**name)
    }

    /// Whether the name is there; case does not count.
    pub(super) fn has(&self, source: NameSource, name: &str) -> bool {
        let name = folded(name);
        self.names.iter().any(|(other, found)| *other == source && folded(found) == name)
    }
}

/// A digest of a certificate, as people write it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thumbprint {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Thumbprint {
    /// From hexadecimal digits, with or without colons or spaces between.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut digits = text.bytes().filter(|byte| !matches!(byte, b':' | b' '));
        let mut bytes = Vec::with_capacity(32);
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        while let Some(high) = digits.next() {
            bytes.push(digit(high)? << 4 | digit(digits.next()?)?);
            if bytes.len() > 32 {
                return None;
            }
        }
        match bytes.len() {
            20 => bytes.try_into().ok().map(Self::Sha1),
            32 => bytes.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }

    /// Whether it is that of this certificate.
    pub(super) fn is_of(&self, der: &[u8]) -> bool {
        match self {
            Self::Sha1(print) => digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref() == print,
            Self::Sha256(print) => digest(&SHA256, der).as_ref() == print,
        }
    }
}
