//! A layer: some routes with their indexes. A table is a few layers, so that a change builds a small one.

use super::access::alternatives;
use super::columns::ColumnSet;
use super::index::{Index, IndexBuilder};
use super::{Route, Source};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Names of the routes, one after the other.
    names: String,
    /// Where each name ends.
    ends: Vec<u32>,
    /// Numbers of the routes in the order of their names.
    sorted: Vec<u32>,
    /// By source.
    indexes: [Option<Box<Index>>; Source::ALL.len()],
    /// One bit per route: it is enabled.
    enabled: Vec<u64>,
}

impl Layer {
    /// Builds the indexes of `routes`.
    pub fn new<'r>(routes: impl IntoIterator<Item = &'r Route>, set: &mut ColumnSet) -> Self {
        let mut builders: [Option<IndexBuilder>; Source::ALL.len()] = Default::default();
        let mut layer = Self::default();
        for (number, route) in routes.into_iter().enumerate() {
            layer.names.push_str(&route.name);
            layer.ends.push(layer.names.len() as u32);
            layer.enabled.resize(number / 64 + 1, 0);
            if !route.enabled {
                continue;
            }
            layer.enabled[number / 64] |= 1 << (number % 64);
            let semantics = route.filter.semantics();
            for source in route.sources() {
                let builder = builders[*source as usize].get_or_insert_default();
                if !route.is_filtered(*source) {
                    let always = super::access::Alternative { access: super::access::Access::Scan, tests: Vec::new() };
                    builder.add(number as u32, route.endpoint, always, semantics);
                    continue;
                }
                for alternative in alternatives(&route.filter, set) {
                    builder.add(number as u32, route.endpoint, alternative, semantics);
                }
            }
        }
        let mut sorted: Vec<u32> = (0..layer.ends.len() as u32).collect();
        sorted.sort_unstable_by(|a, b| layer.name(*a).cmp(layer.name(*b)));
        layer.sorted = sorted;
        layer.indexes = builders.map(|builder| builder.map(|builder| Box::new(builder.build())));
        layer
    }

    /// The name of a route.
    pub fn name(&self, route: u32) -> &str {
        let start = route.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        &self.names[start as usize..self.ends[route as usize] as usize]
    }

    /// The number of the route of that name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let at = self.sorted.binary_search_by(|route| self.name(*route).cmp(name)).ok()?;
        Some(self.sorted[at])
    }

    /// Number of routes.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Number of routes that are enabled and not in `removed`.
    pub fn enabled(&self, removed: &[u64]) -> usize {
        let words = self.enabled.iter().enumerate();
        words.map(|(at, word)| (word & !removed.get(at).unwrap_or(&0)).count_ones() as usize).sum()
    }

    /// The index of a source.
    pub fn index(&self, source: Source) -> Option<&Index> {
        self.indexes[source as usize].as_deref()
    }

    /// All indexes.
    pub fn indexes(&self) -> impl Iterator<Item = &Index> {
        self.indexes.iter().flatten().map(|index| &**index)
    }

    /// About how many bytes it takes, names excluded.
    pub fn memory_bytes(&self) -> usize {
        self.ends.capacity() * 4
            + self.sorted.capacity() * 4
            + self.indexes().map(|index| size_of::<Index>() + index.memory_bytes()).sum::<usize>()
    }
}
