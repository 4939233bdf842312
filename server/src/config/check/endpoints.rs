//! `[endpoints.NAME]`: each by its type, no two in one place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use engine::filter::nearest;
use engine::limits;
use toml::de::DeTable;

use super::Checker;
use super::values::{NAME_HELP, is_name};
use crate::config::shape::EndpointShape;
use crate::config::table::{Table, error, list};
use crate::config::{EndpointKind, EndpointSettings, HUB, StartFrom};

/// Names of endpoints that a user cannot give (sheet `iothub-and-twins.md` 1.4).
const RESERVED: [&str; 5] = ["events", "fileNotifications", "$default", "operationsMonitoringEvents", HUB];
const ENDPOINT_TYPES: [&str; 4] = ["webhook", "parquet", "ndjson", "mqtt"];

impl Checker<'_> {
    pub(super) fn endpoints(&mut self, root: &DeTable<'_>) -> Vec<EndpointSettings> {
        let hub = EndpointSettings { name: HUB.to_owned(), from: StartFrom::Latest, kind: EndpointKind::Hub };
        let mut endpoints = vec![hub];
        let Some((key, value)) = root.iter().find(|(key, _)| key.get_ref() == "endpoints") else { return endpoints };
        let Some(all) = self.table(key.span(), value.get_ref(), "[endpoints]".to_owned()) else { return endpoints };
        let mut places: HashMap<PathBuf, String> = HashMap::new();
        for (key, value) in all.entries.iter() {
            let name = key.get_ref().to_string();
            if RESERVED.contains(&name.as_str()) {
                let message = format!("the endpoint name `{name}` is reserved");
                self.found.push(error(
                    key.span(),
                    message,
                    "choose another; the log itself is the endpoint `hub`, always there",
                ));
            } else if !is_name(&name) {
                self.found.push(error(key.span(), format!("`{name}` is no name for an endpoint"), NAME_HELP));
            }
            let Some(table) = self.table(key.span(), value.get_ref(), format!("[endpoints.{name}]")) else { continue };
            let Some((from, kind)) = self.endpoint(&table) else {
                // It is there, with problems that are reported: routes to it are no further problem.
                endpoints.push(EndpointSettings { name, from: StartFrom::Latest, kind: EndpointKind::Hub });
                continue;
            };
            let place = match &kind {
                EndpointKind::Parquet(parquet) => Some(match (&parquet.url, parquet.local_dir()) {
                    (Some(_), Some(dir)) => ("url", dir),
                    (Some(url), None) => ("url", url.trim_end_matches('/').into()),
                    (None, _) => ("dir", parquet.dir.clone()),
                }),
                EndpointKind::Ndjson(ndjson) => Some(("path", ndjson.path.clone())),
                EndpointKind::Hub | EndpointKind::Webhook(_) | EndpointKind::Mqtt(_) => None,
            };
            if let Some((field, path)) = place
                && let Some(other) = places.insert(lexical(&path), name.clone())
            {
                let message = format!("the endpoints `{other}` and `{name}` write to the same place");
                self.found.push(error(table.value_span(field), message, "give each endpoint a place of its own"));
            }
            endpoints.push(EndpointSettings { name, from, kind });
        }
        if endpoints.len() > limits::ENDPOINTS_MAX {
            let message = format!("{} endpoints are more than {}", endpoints.len(), limits::ENDPOINTS_MAX);
            self.found.push(error(key.span(), message, "let several routes share an endpoint"));
        }
        endpoints
    }

    fn endpoint(&mut self, table: &Table<'_>) -> Option<(StartFrom, EndpointKind)> {
        let others: Vec<&str> = table
            .entries
            .iter()
            .map(|(key, _)| key.get_ref().as_ref())
            .filter(|key| !["type", "from"].contains(key))
            .collect();
        let shape: EndpointShape = table.read(&others, &mut self.found)?;
        let from = match shape.from.as_deref() {
            None | Some("latest") => StartFrom::Latest,
            Some("beginning") => StartFrom::Beginning,
            Some(other) => {
                let message = format!("an endpoint cannot start from `{other}`");
                self.found.push(error(table.value_span("from"), message, "write \"latest\" or \"beginning\""));
                return None;
            }
        };
        let except = ["type", "from"];
        let found = &mut self.found;
        let (kind, problems) = match shape.r#type.as_str() {
            "webhook" => {
                let read: connectors::webhook::WebhookConfig = table.read(&except, found)?;
                (EndpointKind::Webhook(read.clone()), read.problems())
            }
            "parquet" => {
                let read: connectors::parquet::ParquetConfig = table.read(&except, found)?;
                (EndpointKind::Parquet(Box::new(read.clone())), read.problems())
            }
            "ndjson" => {
                let read: connectors::file::NdjsonConfig = table.read(&except, found)?;
                (EndpointKind::Ndjson(read.clone()), read.problems())
            }
            "mqtt" => {
                let read: connectors::mqtt::sink::MqttSinkConfig = table.read(&except, found)?;
                (EndpointKind::Mqtt(read.clone()), read.problems())
            }
            other => {
                let help = match nearest(other, ENDPOINT_TYPES) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!(
                        "there are {}; the log itself is the endpoint `hub`, always there",
                        list(&ENDPOINT_TYPES)
                    ),
                };
                found.push(error(table.value_span("type"), format!("there is no endpoint type `{other}`"), help));
                return None;
            }
        };
        let is_good = problems.is_empty();
        self.report(table, problems);
        is_good.then_some((from, kind))
    }
}

/// The path with `.` and `..` taken out, without asking the disk.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
