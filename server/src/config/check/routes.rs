//! `[[routes]]`, `[fallback]` and `[[enrichments]]`: filters that compile, endpoints that are there.

use std::collections::{BTreeMap, HashMap};

use engine::event::Source;
use engine::filter::{CompileOptions, Dialect, Filter, nearest};
use toml::de::{DeTable, DeValue};

use super::Checker;
use super::values::{NAME_HELP, is_name};
use crate::config::shape::{EnrichmentShape, FallbackShape, RouteShape};
use crate::config::table::{Table, error, list};
use crate::config::{EndpointSettings, EnrichmentSettings, FallbackSettings, HUB, RouteSettings};

impl Checker<'_> {
    pub(super) fn routes(&mut self, root: &DeTable<'_>, endpoints: &[String]) -> Vec<RouteSettings> {
        let mut routes = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        for table in self.array(root, "routes") {
            let Some(shape) = table.read::<RouteShape>(&[], &mut self.found) else { continue };
            if !is_name(&shape.name) {
                let message = format!("`{}` is no name for a route", shape.name);
                self.found.push(error(table.value_span("name"), message, NAME_HELP));
            }
            if names.insert(shape.name.clone(), routes.len()).is_some() {
                let message = format!("there are two routes `{}`", shape.name);
                self.found.push(error(table.value_span("name"), message, "give each route a name of its own"));
            }
            self.known_endpoint(&table, "endpoint", &shape.endpoint, endpoints);
            let source =
                self.named(&table, "source", shape.source.as_deref(), Source::by_name, &Source::ALL.map(Source::name));
            let dialect = self.named(
                &table,
                "dialect",
                shape.dialect.as_deref(),
                Dialect::by_name,
                &Dialect::ALL.map(Dialect::name),
            );
            let (Some(source), Some(dialect)) = (source, dialect) else { continue };
            let filter = shape.filter.unwrap_or_else(|| dialect.default_filter().to_owned());
            self.filter(&table, &filter, source, dialect);
            if !shape.enabled {
                self.warn(table.value_span("enabled"), format!("the route `{}` is disabled", shape.name));
            }
            let (name, endpoint, enabled) = (shape.name, shape.endpoint, shape.enabled);
            routes.push(RouteSettings { name, source, dialect, filter, endpoint, enabled });
        }
        routes
    }

    /// A value out of a few names; absent is the default.
    fn named<T: Default>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        value: Option<&str>,
        by_name: impl Fn(&str) -> Option<T>,
        names: &[&str],
    ) -> Option<T> {
        let Some(value) = value else { return Some(T::default()) };
        let known = by_name(value);
        if known.is_none() {
            let help = match nearest(value, names.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("there are {}", list(names)),
            };
            self.found.push(error(table.value_span(key), format!("there is no {key} `{value}`"), help));
        }
        known
    }

    fn known_endpoint(&mut self, table: &Table<'_>, key: &str, name: &str, endpoints: &[String]) {
        if endpoints.iter().any(|known| known == name) {
            return;
        }
        let help = match nearest(name, endpoints.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add [endpoints.{name}], or use the built-in `hub`"),
        };
        self.found.push(error(table.value_span(key), format!("there is no endpoint `{name}`"), help));
    }

    /// Compiles a filter and puts its problems at their places inside the file.
    fn filter(&mut self, table: &Table<'_>, filter: &str, source: Source, dialect: Dialect) {
        let options = CompileOptions { source, ..CompileOptions::default() };
        let found = match Filter::compile(filter, dialect, &options) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        let literal = table.value_span("filter");
        // Where the string stands in the file as it is, without escapes, its own places can be shown.
        let inside = self.text.get(literal.clone()).and_then(|text| text.find(filter)).map(|at| literal.start + at);
        for mut problem in found {
            match inside {
                Some(start) => {
                    problem.span = problem.span.start + start..problem.span.end + start;
                    if let Some(suggestion) = &mut problem.suggestion {
                        suggestion.span = suggestion.span.start + start..suggestion.span.end + start;
                    }
                }
                None => {
                    problem.span = literal.clone();
                    problem.suggestion = None;
                }
            }
            self.found.push(problem);
        }
    }

    pub(super) fn fallback(&mut self, root: &DeTable<'_>, endpoints: &[String]) -> Option<FallbackSettings> {
        let Some((key, value)) = root.iter().find(|(key, _)| key.get_ref() == "fallback") else {
            return Some(FallbackSettings { endpoint: HUB.to_owned(), enabled: true });
        };
        let table = self.table(key.span(), value.get_ref(), "[fallback]".to_owned())?;
        let shape: FallbackShape = table.read(&[], &mut self.found)?;
        self.known_endpoint(&table, "endpoint", &shape.endpoint, endpoints);
        Some(FallbackSettings { endpoint: shape.endpoint, enabled: shape.enabled })
    }

    pub(super) fn enrichments(&mut self, root: &DeTable<'_>, endpoints: &[String]) -> Vec<EnrichmentSettings> {
        let mut enrichments = Vec::new();
        let mut seen: BTreeMap<(String, String), ()> = BTreeMap::new();
        for table in self.array(root, "enrichments") {
            let Some(shape) = table.read::<EnrichmentShape>(&[], &mut self.found) else { continue };
            if !is_name(&shape.key) {
                let message = format!("`{}` is no key for an enrichment", shape.key);
                self.found.push(error(table.value_span("key"), message, NAME_HELP));
            }
            if shape.value.starts_with("$twin") {
                let message = format!("`{}` asks for a device twin, and this node keeps none", shape.value);
                self.found.push(error(
                    table.value_span("value"),
                    message,
                    "use static text, or $iothubname for the node's name",
                ));
            } else if shape.value.starts_with('$') && shape.value != "$iothubname" {
                let message = format!("`{}` is not understood", shape.value);
                self.found.push(error(
                    table.value_span("value"),
                    message,
                    "use static text, or $iothubname for the node's name",
                ));
            }
            if shape.endpoints.is_empty() {
                let message = "an enrichment needs at least one endpoint";
                self.found.push(error(
                    table.value_span("endpoints"),
                    message,
                    "name the endpoints whose deliveries get it",
                ));
            }
            for endpoint in &shape.endpoints {
                self.known_endpoint(&table, "endpoints", endpoint, endpoints);
                if seen.insert((shape.key.to_ascii_lowercase(), endpoint.clone()), ()).is_some() {
                    let message = format!("`{endpoint}` gets the enrichment `{}` twice", shape.key);
                    self.found.push(error(table.value_span("key"), message, "keep one of the two"));
                }
            }
            enrichments.push(EnrichmentSettings { key: shape.key, value: shape.value, endpoints: shape.endpoints });
        }
        enrichments
    }

    pub(super) fn unused_endpoints(
        &mut self,
        root: &DeTable<'_>,
        endpoints: &[EndpointSettings],
        routes: &[RouteSettings],
        fallback: Option<&FallbackSettings>,
    ) {
        let Some((_, all)) = root.iter().find(|(key, _)| key.get_ref() == "endpoints") else { return };
        let DeValue::Table(all) = all.get_ref() else { return };
        for endpoint in endpoints.iter().skip(1) {
            let is_used = routes.iter().any(|route| route.endpoint == endpoint.name)
                || fallback.is_some_and(|fallback| fallback.endpoint == endpoint.name);
            let key = all.iter().find(|(key, _)| key.get_ref() == &endpoint.name);
            if let (false, Some((key, _))) = (is_used, key) {
                self.warn(key.span(), format!("no route leads to the endpoint `{}`", endpoint.name));
            }
        }
    }
}
