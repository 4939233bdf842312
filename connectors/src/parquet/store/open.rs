//! From settings to a store: the local disk, S3 or what speaks like it, Azure Blob. Credentials come from the usual environment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::object::Backend;
use super::{Again, Local, ObjectSettings, Objects, Store, StoreError};
use crate::parquet::config::StoreConfig;

/// Attempts within one request before it counts as failed; after that it is ours to try again, and to say so.
const RETRIES_MAX: usize = 2;

/// Where an endpoint's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of the disk.
    Dir(PathBuf),
    /// A bucket of S3 and a prefix in it.
    S3 {
        /// The bucket.
        bucket: String,
        /// The folder in it.
        prefix: String,
    },
    /// A container of Azure Blob and a prefix in it.
    Azure {
        /// The container.
        container: String,
        /// The folder in it.
        prefix: String,
    },
}

impl Place {
    /// What a URL names, or what is wrong with it.
    pub fn of_url(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(
                "it has no scheme; write s3://BUCKET/FOLDER, az://CONTAINER/FOLDER or file:///FOLDER".to_owned()
            );
        };
        if scheme == "file" {
            return match rest.starts_with('/') {
                true => Ok(Self::Dir(rest.into())),
                false => Err("a file URL names no host; write file:///FOLDER, or use `dir`".to_owned()),
            };
        }
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, prefix) = (name.to_owned(), prefix.trim_matches('/').to_owned());
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(format!("`{name}` is no bucket or container"));
        }
        if prefix.split('/').any(|part| matches!(part, "." | "..") || (part.is_empty() && !prefix.is_empty())) {
            return Err(format!("`{prefix}` is no folder"));
        }
        match scheme {
            "s3" | "s3a" => Ok(Self::S3 { bucket: name, prefix }),
            "az" | "azure" => Ok(Self::Azure { container: name, prefix }),
            other => Err(format!("`{other}` is no store that we write to; there are s3, az and file")),
        }
    }
}

/// Opens the store of an endpoint. On the local disk the folder is made and taken.
pub fn open(place: &Place, settings: &StoreConfig, again: &Again) -> Result<Box<dyn Store>, StoreError> {
    let (url, prefix) = match place {
        Place::Dir(dir) => return Ok(Box::new(Local::take(dir)?)),
        Place::S3 { bucket, prefix } => (format!("s3://{bucket}/{prefix}"), prefix),
        Place::Azure { container, prefix } => (format!("az://{container}/{prefix}"), prefix),
    };
    let refused = |reason: String| StoreError::Settings { url: url.clone(), reason };
    let backend = backend(place, settings).map_err(refused)?;
    let object = ObjectSettings {
        part_bytes: settings.part_bytes,
        parts_max: settings.parts_max,
        has_conditional_put: settings.conditional_put,
    };
    Ok(Box::new(Objects::new(backend, &url, prefix, object, again.clone())))
}

fn backend(place: &Place, settings: &StoreConfig) -> Result<Arc<dyn Backend>, String> {
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: Duration::from_millis(settings.request_ms_max),
    };
    let mut client = ClientOptions::new()
        .with_allow_http(settings.allow_http)
        .with_timeout(Duration::from_millis(settings.request_ms_max));
    if let Some(path) = &settings.ca_file {
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| format!("{shown}: {error}"))?;
        for certificate in certificates {
            client = client.with_root_certificate(certificate);
        }
    }
    match place {
        Place::Dir(_) => Err("it is a folder of the disk".to_owned()),
        Place::S3 { bucket, .. } => {
            let conditional =
                if settings.conditional_put { S3ConditionalPut::ETagMatch } else { S3ConditionalPut::Disabled };
            let mut s3 = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(client)
                .with_retry(retry)
                .with_virtual_hosted_style_request(settings.virtual_hosted_style)
                .with_conditional_put(conditional);
            if let Some(endpoint) = &settings.endpoint {
                s3 = s3.with_endpoint(endpoint);
            }
            if let Some(region) = &settings.region {
                s3 = s3.with_region(region);
            }
            Ok(Arc::new(s3.build().map_err(|error| error.to_string())?))
        }
        Place::Azure { container, .. } => {
            let mut azure = MicrosoftAzureBuilder::from_env()
                .with_container_name(container)
                .with_client_options(client)
                .with_retry(retry);
            if let Some(endpoint) = &settings.endpoint {
                azure = azure.with_endpoint(endpoint.clone());
            }
            if let Some(account) = &settings.account {
                azure = azure.with_account(account);
            }
            Ok(Arc::new(azure.build().map_err(|error| error.to_string())?))
        }
    }
}
