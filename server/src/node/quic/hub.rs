//! What the node does for a subscriber: its filter becomes an observer of the running table, and a feeder follows the log for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwap;
use connectors::hub::LogReader;
use connectors::quic::frame::Code;
use connectors::quic::session::server::{Opened, StartAt, Wanted};
use connectors::quic::source::{Hub, Local, Outlet, Rejection, Serving};
use connectors::sink::{SinkGone, Taken};
use engine::cursor::Follower;
use engine::filter::{CompileOptions, Diagnostic, Dialect, Filter};
use engine::lane::{Delivery, Heads};
use engine::ring::Bell;
use engine::route::EndpointId;
use tokio::sync::watch;

use super::cursors::{NOT_COMMITTED, Subscribers};
use crate::config::{EnrichmentSettings, NodeConfig, RouteSettings};
use crate::node::feeder::{FeedMode, Feeder, Handing};
use crate::node::observers::{ObserveError, Observers, Wanted as Observed};

/// What the node has that subscriptions use.
#[derive(Clone)]
pub struct Around {
    /// The table.
    pub observers: Arc<Observers>,
    /// The log.
    pub reader: LogReader,
    /// How far the shards are.
    pub heads: Heads,
    /// The configuration in force, for named routes.
    pub config: watch::Receiver<Arc<NodeConfig>>,
    /// Committed positions.
    pub subscribers: Arc<Subscribers>,
}

/// See the module.
#[derive(Clone)]
pub struct NodeHub(Around);

impl NodeHub {
    /// With what the node has.
    pub fn new(around: Around) -> Self {
        Self(around)
    }
}

impl Hub for NodeHub {
    fn open(&self, principal: String, wanted: Wanted, outlet: Outlet) -> Local<Result<Serving, Rejection>> {
        Box::pin(open(self.0.clone(), principal, wanted, outlet))
    }

    fn commit(&self, principal: &str, subscriber: &str, positions: Vec<(u32, u64)>) -> Local<Result<(), Rejection>> {
        let kept = self.0.subscribers.commit(principal, subscriber, positions);
        Box::pin(async move {
            match kept.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(Rejection::new(Code::CURSORS_FAILED, error)),
                Err(_) => Err(Rejection::new(Code::GOING_AWAY, "the node stops")),
            }
        })
    }
}

/// What a named route is, as far as who subscribed to it must know when it changes.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    route: RouteSettings,
    properties: Vec<(String, String)>,
}

impl Named {
    fn of(config: &NodeConfig, name: &str) -> Option<Self> {
        let route = config.routes.iter().find(|route| route.name == name)?.clone();
        let adds = |enrichment: &&EnrichmentSettings| enrichment.endpoints.contains(&route.endpoint);
        let properties = config.enrichments.iter().filter(adds).map(|enrichment| {
            let value = match enrichment.value.as_str() {
                "$iothubname" => config.node.name.clone(),
                value => value.to_owned(),
            };
            (enrichment.key.clone(), value)
        });
        let properties = properties.collect();
        Some(Self { route, properties })
    }
}

/// Cuts the observer's lanes when its subscription is over, however it ends.
struct Registration {
    observers: Arc<Observers>,
    number: EndpointId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let (observers, number) = (self.observers.clone(), self.number);
        // Only at the end of the core is there no runtime, and then no lane either.
        if tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(async move { observers.close(number).await });
        }
    }
}

async fn open(around: Around, principal: String, wanted: Wanted, outlet: Outlet) -> Result<Serving, Rejection> {
    if !wanted.route.is_empty() && !wanted.filter.is_empty() {
        let text = "a subscription to a route takes no filter of its own";
        let advice = "leave the filter out, or subscribe to all events with a filter that says both".to_owned();
        return Err(Rejection { advice, ..Rejection::new(Code::FILTER_INVALID, text) });
    }
    let mut config = around.config.clone();
    let named = match wanted.route.as_str() {
        "" => None,
        name => Some(
            Named::of(&config.borrow_and_update(), name)
                .ok_or_else(|| Rejection::new(Code::NO_SUCH_ROUTE, format!("the node has no route '{name}'")))?,
        ),
    };
    let (observed, warnings) = compile(&wanted, named.as_ref())?;
    let starts = starts(&around, &principal, &wanted).await?;
    let groups = groups(&starts, wanted.groups_max as usize);
    let mut next = vec![u64::MAX; around.heads.partitions() as usize];
    for (partition, offset) in &starts {
        next[*partition as usize] = *offset;
    }
    let own_table = observed.own_table().map_err(|error| Rejection::new(Code::FILTER_INVALID, error.to_string()))?;
    let bell = Bell::default();
    let (number, lanes) = around.observers.open(&observed, &bell).await.map_err(refused)?;
    let registration = Registration { observers: around.observers.clone(), number };
    let opened = Opened {
        groups,
        properties: named.as_ref().map_or_else(Vec::new, |named| named.properties.clone()),
        warnings,
        may_see_all: true,
    };
    let (mode, mode_of_feeder) = watch::channel(FeedMode::Follow);
    let feeder = Feeder {
        follower: Follower::new(0, lanes, around.heads.clone(), next),
        name: format!("subscriber {principal}/{}", wanted.subscription),
        bell,
        sender: Subscriber(outlet),
        reader: around.reader.clone(),
        table: Arc::new(ArcSwap::from_pointee(own_table)),
        mode: mode_of_feeder,
        lost_events: Arc::new(AtomicU64::new(0)),
        is_behind: Arc::new(AtomicBool::new(true)),
    };
    let run = async move {
        let _registration = registration;
        let _mode = mode;
        tokio::select! {
            () = feeder.run() => Rejection::new(Code::NONE, ""),
            () = changed(config, named) => Rejection::new(Code::SOURCE_CHANGED, "the route has changed"),
        }
    };
    Ok(Serving { opened, run: Box::pin(run) })
}

/// Resolves when the named route is not what it was.
async fn changed(mut config: watch::Receiver<Arc<NodeConfig>>, named: Option<Named>) {
    let Some(named) = named else { return std::future::pending().await };
    let is_other = |config: &Arc<NodeConfig>| Named::of(config, &named.route.name).as_ref() != Some(&named);
    // The node is gone: its listeners end by themselves.
    if config.wait_for(is_other).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn refused(error: ObserveError) -> Rejection {
    match error {
        ObserveError::TooMany => Rejection::new(Code::LIMIT, error.to_string()),
        ObserveError::Table(_) => Rejection::new(Code::FILTER_INVALID, error.to_string()),
        ObserveError::Configured(_) => Rejection::new(Code::INTERNAL, error.to_string()),
        ObserveError::Stopping => Rejection::new(Code::GOING_AWAY, error.to_string()),
    }
}

fn compile(wanted: &Wanted, named: Option<&Named>) -> Result<(Observed, Vec<String>), Rejection> {
    let (text, dialect, source) = match named {
        Some(named) => (named.route.filter.as_str(), named.route.dialect, Some(named.route.source)),
        None if wanted.filter.is_empty() => ("true", Dialect::Anabranch, None),
        None => (wanted.filter.as_str(), wanted.dialect, None),
    };
    let options = CompileOptions { source: source.unwrap_or_default(), ..CompileOptions::default() };
    match Filter::compile(text, dialect, &options) {
        Ok((filter, warnings)) => {
            let warnings = warnings.iter().map(|warning| said(text, warning)).collect();
            Ok((Observed { filter, source }, warnings))
        }
        Err(problems) => {
            let all: Vec<String> = problems.iter().map(|problem| said(text, problem)).collect();
            let advice = problems.iter().find_map(|problem| problem.help.clone()).unwrap_or_default();
            Err(Rejection { advice, ..Rejection::new(Code::FILTER_INVALID, all.join("; ")) })
        }
    }
}

/// A problem with its place: line and character, from 1 on.
fn said(text: &str, problem: &Diagnostic) -> String {
    let before = text.get(..problem.span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let character = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{character}: {}", problem.message)
}

/// Where each of the wanted partitions begins, ascending.
async fn starts(around: &Around, principal: &str, wanted: &Wanted) -> Result<Vec<(u32, u64)>, Rejection> {
    let all: Vec<u32> = match wanted.partitions.is_empty() {
        true => (0..around.heads.partitions()).collect(),
        false => wanted.partitions.clone(),
    };
    let latest = |partition: u32| around.heads.get(partition);
    let earliest = |partition: u32| around.reader.bounds(partition).0;
    let with = |start: &dyn Fn(u32) -> u64| all.iter().map(|partition| (*partition, start(*partition))).collect();
    Ok(match &wanted.start {
        StartAt::Latest => with(&latest),
        StartAt::Earliest => with(&earliest),
        StartAt::Time(ms) => {
            let (reader, ms) = (around.reader.clone(), i64::try_from(*ms).unwrap_or(i64::MAX));
            let found = tokio::task::spawn_blocking(move || {
                all.into_iter().map(|partition| Ok((partition, reader.offset_at(partition, ms)?))).collect()
            });
            let found: Result<_, connectors::hub::ReadError> = found.await.map_err(stopped)?;
            found.map_err(|error| Rejection::new(Code::INTERNAL, error.to_string()))?
        }
        StartAt::Cursor { subscriber, else_earliest } => {
            let (subscribers, principal, name) = (around.subscribers.clone(), principal.to_owned(), subscriber.clone());
            let found = tokio::task::spawn_blocking(move || subscribers.positions(&principal, &name));
            let found = found.await.map_err(stopped)?;
            let found = found.map_err(|error| Rejection::new(Code::CURSORS_FAILED, error))?;
            let committed = |partition: u32| {
                let position = found.as_ref().and_then(|found| found.get(partition as usize).copied());
                match position.filter(|position| *position != NOT_COMMITTED) {
                    Some(position) => position,
                    None if *else_earliest => earliest(partition),
                    None => latest(partition),
                }
            };
            with(&committed)
        }
        StartAt::Offsets(offsets) => {
            let mut offsets = offsets.clone();
            offsets.sort_unstable();
            for (partition, offset) in &offsets {
                let end = around.reader.bounds(*partition).1.max(latest(*partition));
                if *offset > end {
                    let text = format!("offset {offset} of partition {partition} lies behind the log's end, {end}");
                    return Err(Rejection::new(Code::OFFSET_BEYOND_END, text));
                }
            }
            offsets
        }
    })
}

fn stopped(_: tokio::task::JoinError) -> Rejection {
    Rejection::new(Code::GOING_AWAY, "the node stops")
}

/// Partitions dealt out to at most so many data streams, at least one.
fn groups(starts: &[(u32, u64)], most: usize) -> Vec<Vec<(u32, u64)>> {
    let number = most.clamp(1, starts.len().max(1));
    (0..number).map(|group| starts.iter().skip(group).step_by(number).copied().collect()).collect()
}

/// The feeder's way to the client.
struct Subscriber(Outlet);

impl Handing for Subscriber {
    fn hand(&self, delivery: Delivery) -> impl Future<Output = Result<Taken, SinkGone>> {
        self.0.hand(delivery)
    }

    fn refuses(&self, partition: u32) -> bool {
        self.0.refuses(partition)
    }

    fn resumed(&self) -> Option<u32> {
        self.0.resumed()
    }

    fn wait_resumed(&self) -> impl Future<Output = ()> {
        self.0.wait_resumed()
    }

    fn advance(&self, partition: u32, offset: u64) {
        self.0.advance(partition, offset);
    }

    fn lost(&self, partition: u32, from: u64, to: u64) {
        self.0.lost(partition, from, to);
    }
}
