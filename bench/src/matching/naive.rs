//! The naive matcher: one event, one filter after the other, by the interpreter. What ours has to equal.

use std::error::Error;

use engine::batch::Batch;
use engine::event::Event;
use engine::filter::{CompileOptions, Dialect, Filter, Truth};
use engine::parse::Parser;

use super::routes::RouteSpec;

/// All filters, compiled one by one.
pub struct Naive {
    filters: Vec<(Filter, u16)>,
    parser: Parser,
}

impl Naive {
    /// Compiles all filters.
    pub fn build(routes: &[RouteSpec]) -> Result<Self, Box<dyn Error>> {
        let compile = |route: &RouteSpec| {
            Filter::compile(&route.filter, Dialect::Anabranch, &CompileOptions::default())
                .map(|(filter, _)| (filter, route.endpoint))
                .map_err(|problems| format!("`{}` does not compile: {problems:?}", route.filter))
        };
        Ok(Self { filters: routes.iter().map(compile).collect::<Result<_, _>>()?, parser: Parser::default() })
    }

    /// The deliveries of the first `rows` events of a batch as (row, endpoint), sorted.
    pub fn deliveries(&mut self, batch: &Batch, rows: usize) -> Vec<(u16, u16)> {
        let mut all = Vec::new();
        for row in 0..rows.min(batch.rows().len()) {
            let event = Event::new(batch, row);
            let document = event.data().and_then(|data| self.parser.parse(data).ok());
            let root = document.as_ref().map(|document| document.root());
            let matching = self.filters.iter().filter(|(filter, _)| filter.eval(&event, root) == Truth::True);
            all.extend(matching.map(|(_, endpoint)| (row as u16, *endpoint)));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}
