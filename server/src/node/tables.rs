//! From the checked configuration to the engine's route table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use engine::filter::{CompileOptions, Filter};
use engine::lane::Enrichment;
use engine::route::{EndpointId, Route, RouteTable};

use crate::config::{EnrichmentSettings, NodeConfig, RouteSettings};

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

/// Routes that may change at once without the whole table being built anew.
const CHANGED_MAX: usize = 256;

/// The table for `config`, from the one that is in force for `running`: where only some routes differ it costs what they cost,
/// however many there are. `None` where more differs: then it is to be built anew.
pub fn change(
    running: (&NodeConfig, &RouteTable),
    config: &NodeConfig,
    version: u64,
    ids: &HashMap<String, EndpointId>,
) -> Result<Option<RouteTable>, TableError> {
    let (before, table) = running;
    let same_around = before.fallback == config.fallback
        && before.enrichments == config.enrichments
        && before.node.name == config.node.name
        && table.endpoints() == ids.len();
    if same_around && !table.wants_rebuild() {
        let was: HashMap<&str, &RouteSettings> =
            before.routes.iter().map(|route| (route.name.as_str(), route)).collect();
        let is: HashSet<&str> = config.routes.iter().map(|route| route.name.as_str()).collect();
        let changed: Vec<&RouteSettings> =
            config.routes.iter().filter(|route| was.get(route.name.as_str()) != Some(route)).collect();
        let gone: Vec<&str> = was.keys().copied().filter(|name| !is.contains(name)).collect();
        if changed.len() + gone.len() <= CHANGED_MAX {
            let added = changed.into_iter().map(|route| compile(route, ids)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Some(table.change(version, added, &gone)?));
        }
    }
    Ok(None)
}

fn find(ids: &HashMap<String, EndpointId>, by: &str, endpoint: &str) -> Result<EndpointId, TableError> {
    let unknown = || TableError::UnknownEndpoint { by: by.to_owned(), endpoint: endpoint.to_owned() };
    ids.get(endpoint).copied().ok_or_else(unknown)
}

fn compile(route: &RouteSettings, ids: &HashMap<String, EndpointId>) -> Result<Route, TableError> {
    let options = CompileOptions { source: route.source, ..CompileOptions::default() };
    let (filter, _warnings) =
        Filter::compile(&route.filter, route.dialect, &options).map_err(|problems| TableError::Filter {
            route: route.name.clone(),
            message: problems.first().map(|problem| problem.message.clone()).unwrap_or_default(),
        })?;
    Ok(Route {
        name: route.name.clone(),
        source: route.source,
        filter,
        endpoint: find(ids, &route.name, &route.endpoint)?,
        enabled: route.enabled,
        every_source: false,
    })
}

/// A table of one route alone, whose endpoint has the number 0.
pub fn of_route(config: &NodeConfig, route: &RouteSettings) -> Result<RouteTable, TableError> {
    let ids = HashMap::from([(route.endpoint.clone(), 0)]);
    let compiled = Route { enabled: true, ..compile(route, &ids)? };
    let mine = config.enrichments.iter().filter(|enrichment| enrichment.endpoints.contains(&route.endpoint));
    let enrichments = mine.map(|enrichment| enrichment_of(config, enrichment)).collect();
    Ok(RouteTable::new(1, &[compiled], None, vec![enrichments])?)
}

fn enrichment_of(config: &NodeConfig, enrichment: &EnrichmentSettings) -> Enrichment {
    let value = match enrichment.value.as_str() {
        "$iothubname" => config.node.name.clone(),
        value => value.to_owned(),
    };
    Enrichment { key: enrichment.key.clone(), value }
}

/// Compiles the routes of `config`, and adds those of observers. `ids` has the number of every configured endpoint, from 0 on without
/// gap.
pub fn build(
    config: &NodeConfig,
    version: u64,
    ids: &HashMap<String, EndpointId>,
    observers: impl Iterator<Item = Route>,
) -> Result<RouteTable, TableError> {
    let find = |by: &str, endpoint: &str| find(ids, by, endpoint);
    let mut routes = config.routes.iter().map(|route| compile(route, ids)).collect::<Result<Vec<_>, _>>()?;
    routes.extend(observers);
    let fallback = match &config.fallback {
        Some(fallback) if fallback.enabled => Some(find("fallback", &fallback.endpoint)?),
        _ => None,
    };
    let mut enrichments = vec![Vec::new(); ids.len()];
    for enrichment in &config.enrichments {
        for endpoint in &enrichment.endpoints {
            enrichments[usize::from(find(&enrichment.key, endpoint)?)].push(enrichment_of(config, enrichment));
        }
    }
    let enrichments: Vec<Arc<[Enrichment]>> = enrichments.into_iter().map(Arc::from).collect();
    Ok(RouteTable::new(version, &routes, fallback, enrichments)?)
}
