//! Settings of an endpoint of type `ndjson`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Problem;

/// What a line holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineFormat {
    /// The event as a structured CloudEvent.
    #[default]
    CloudEvents,
    /// Its data only. Data that is no JSON is written as a JSON string.
    Data,
}

/// The table `[endpoints.NAME]` with `type = "ndjson"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NdjsonConfig {
    /// The file; of this endpoint alone. Its folder is made.
    pub path: PathBuf,
    /// `cloudevents` or `data`.
    #[serde(default)]
    pub format: LineFormat,
}

impl NdjsonConfig {
    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.path.file_name().is_none() {
            found.push(Problem {
                field: "path",
                message: format!("`{}` is no name of a file", self.path.display()),
                help: "name a file, for instance \"out/alerts.ndjson\"".to_owned(),
            });
        }
        found
    }
}
