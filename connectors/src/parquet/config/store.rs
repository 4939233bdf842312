//! Settings of the object store: the table `[endpoints.NAME.store]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How an object store is reached. Credentials come from its usual environment variables, files and services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Where the store is, if it is not the vendor's own, as in `https://minio.local:9000`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Region of S3; otherwise that of the environment.
    #[serde(default)]
    pub region: Option<String>,
    /// Account of Azure; otherwise that of the environment.
    #[serde(default)]
    pub account: Option<String>,
    /// Allow requests without TLS.
    #[serde(default)]
    pub allow_http: bool,
    /// Certificates that are trusted besides those of the system, PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The bucket is part of the host's name.
    #[serde(default)]
    pub virtual_hosted_style: bool,
    /// The store knows conditional puts; without them two writers of one folder are not told apart.
    #[serde(default = "yes")]
    pub conditional_put: bool,
    /// Longest time of a request, in milliseconds; with `part_bytes` it says how slow an upload may be.
    #[serde(default = "request_ms_max")]
    pub request_ms_max: u64,
    /// Bytes of a part of a large file. A file that has no more is put at once.
    #[serde(default = "part_bytes")]
    pub part_bytes: usize,
    /// Parts of one file that are on their way at a time.
    #[serde(default = "parts_max")]
    pub parts_max: usize,
}

fn yes() -> bool {
    true
}
fn request_ms_max() -> u64 {
    120_000
}
fn part_bytes() -> usize {
    8 * 1024 * 1024
}
fn parts_max() -> usize {
    3
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            account: None,
            allow_http: false,
            ca_file: None,
            virtual_hosted_style: false,
            conditional_put: yes(),
            request_ms_max: request_ms_max(),
            part_bytes: part_bytes(),
            parts_max: parts_max(),
        }
    }
}

impl StoreConfig {
    /// Key, message and help of all that is wrong.
    pub(super) fn problems(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut found = Vec::new();
        if let Some(endpoint) = &self.endpoint {
            let is_http = endpoint.starts_with("http://");
            if !is_http && !endpoint.starts_with("https://") {
                found.push(("store.endpoint", format!("`{endpoint}` is no URL"), "write https://HOST:PORT"));
            } else if is_http && !self.allow_http {
                let message = format!("`{endpoint}` has no TLS");
                found.push(("store.endpoint", message, "write https://, or set `allow_http = true`"));
            }
        }
        if self.part_bytes < 5 * 1024 * 1024 {
            let message = format!("`part_bytes` is {}", self.part_bytes);
            found.push(("store.part_bytes", message, "use a number from 5242880: stores take no smaller parts"));
        }
        if self.parts_max == 0 {
            found.push(("store.parts_max", "`parts_max` is 0".to_owned(), "use a number from 1"));
        }
        if self.request_ms_max < 1000 {
            let message = format!("`request_ms_max` is {}", self.request_ms_max);
            found.push(("store.request_ms_max", message, "use a number from 1000"));
        }
        found
    }
}
