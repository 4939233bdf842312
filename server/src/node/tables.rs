//! From the checked configuration to the engine's route table.

use std::collections::HashMap;
use std::sync::Arc;

use engine::filter::{CompileOptions, Filter};
use engine::lane::Enrichment;
use engine::route::{EndpointId, Route, RouteTable};

use crate::config::NodeConfig;

/// Why a table cannot be built from a configuration that was checked before. The check reports the same with more words.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A filter does not compile.
    #[error("route '{route}': {message}")]
    Filter {
        /// The route.
        route: String,
        /// What is wrong.
        message: String,
    },
    /// A route, the fallback or an enrichment names an endpoint that is not configured.
    #[error("'{by}' names the endpoint '{endpoint}', which is not configured")]
    UnknownEndpoint {
        /// Who names it.
        by: String,
        /// The name.
        endpoint: String,
    },
    /// The engine refuses it.
    #[error(transparent)]
    Table(#[from] engine::route::TableError),
}

/// Compiles the routes of `config`. `ids` has the number of every configured endpoint; `slots` is one more than the highest.
pub fn build(
    config: &NodeConfig,
    version: u64,
    ids: &HashMap<String, EndpointId>,
    slots: usize,
) -> Result<RouteTable, TableError> {
    let find = |by: &str, endpoint: &str| {
        ids.get(endpoint)
            .copied()
            .ok_or_else(|| TableError::UnknownEndpoint { by: by.to_owned(), endpoint: endpoint.to_owned() })
    };
    let mut routes = Vec::with_capacity(config.routes.len());
    for route in &config.routes {
        let options = CompileOptions { source: route.source, ..CompileOptions::default() };
        let (filter, _warnings) =
            Filter::compile(&route.filter, route.dialect, &options).map_err(|problems| TableError::Filter {
                route: route.name.clone(),
                message: problems.first().map(|problem| problem.message.clone()).unwrap_or_default(),
            })?;
        routes.push(Route {
            name: route.name.clone(),
            source: route.source,
            filter,
            endpoint: find(&route.name, &route.endpoint)?,
            enabled: route.enabled,
        });
    }
    let fallback = match &config.fallback {
        Some(fallback) if fallback.enabled => Some(find("fallback", &fallback.endpoint)?),
        _ => None,
    };
    let mut enrichments = vec![Vec::new(); slots];
    for enrichment in &config.enrichments {
        for endpoint in &enrichment.endpoints {
            let value = match enrichment.value.as_str() {
                "$iothubname" => config.node.name.clone(),
                value => value.to_owned(),
            };
            enrichments[usize::from(find(&enrichment.key, endpoint)?)]
                .push(Enrichment { key: enrichment.key.clone(), value });
        }
    }
    let enrichments: Vec<Arc<[Enrichment]>> = enrichments.into_iter().map(Arc::from).collect();
    Ok(RouteTable::new(version, &routes, fallback, enrichments)?)
}
