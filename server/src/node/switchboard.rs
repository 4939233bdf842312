//! The node's hold on its shards: installs route tables and lanes, each between two batches of each shard.
//!
//! What always holds: all shards get the same commands in the same order, because one lock covers each change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use engine::lane::{LaneSender, lane};
use engine::ring::{Bell, Producer};
use engine::route::{EndpointId, RouteTable};
use engine::shard::Command;
use tokio::sync::Mutex;

use engine::cursor::ShardLane;

/// Waiting for a shard to take its commands; it does so with every step.
const COMMAND_RETRY: Duration = Duration::from_micros(200);

/// An endpoint's bell, and its lane from each shard.
pub type Connected = (Bell, Vec<ShardLane>);

/// See the module.
pub struct Switchboard {
    commands: Mutex<Vec<Producer<Command>>>,
    shard_bells: Vec<Bell>,
    table: Arc<ArcSwap<RouteTable>>,
    partitions: u32,
}

impl Switchboard {
    /// `commands[s]` leads to shard `s`, which `shard_bells[s]` wakes.
    pub fn new(
        commands: Vec<Producer<Command>>,
        shard_bells: Vec<Bell>,
        table: Arc<ArcSwap<RouteTable>>,
        partitions: u32,
    ) -> Self {
        assert_eq!(commands.len(), shard_bells.len());
        Self { commands: Mutex::new(commands), shard_bells, table, partitions }
    }

    /// The table in force, for those who replay the log.
    pub fn table(&self) -> &Arc<ArcSwap<RouteTable>> {
        &self.table
    }

    /// Puts a new table in force.
    pub async fn install(&self, table: Arc<RouteTable>) {
        self.send(Some(table), |_| Vec::new()).await;
    }

    /// Gives the endpoint new lanes; those it had are cut.
    pub async fn connect(&self, endpoint: EndpointId, bell: &Bell) -> Vec<ShardLane> {
        self.lay(None, endpoint, bell).await
    }

    /// Puts a new table in force, and gives an endpoint of it its lanes, between the same two batches.
    pub async fn install_and_connect(
        &self,
        table: Arc<RouteTable>,
        endpoint: EndpointId,
        bell: &Bell,
    ) -> Vec<ShardLane> {
        self.lay(Some(table), endpoint, bell).await
    }

    async fn lay(&self, table: Option<Arc<RouteTable>>, endpoint: EndpointId, bell: &Bell) -> Vec<ShardLane> {
        let mut receivers = Vec::with_capacity(self.shard_bells.len());
        self.send(table, |shard| {
            let (sender, receiver) = self.lane_of(shard, bell);
            receivers.push(receiver);
            vec![(endpoint, Some(sender))]
        })
        .await;
        receivers
    }

    /// Puts a new table in force, and cuts the lanes of an endpoint that it has no more.
    pub async fn install_and_disconnect(&self, table: Arc<RouteTable>, endpoint: EndpointId) {
        self.send(Some(table), |_| vec![(endpoint, None)]).await;
    }

    /// Gives many endpoints their first lanes with one command to each shard, before the shards run: then no event can come that is
    /// not in them. A thousand that connect one by one while a full intake has the cores come too late for its first
    /// second, each reads that second from the disk, and none is done before the next is to be read. Empty if somebody is changing something.
    pub fn connect_all(&self, endpoints: impl Iterator<Item = EndpointId>) -> HashMap<EndpointId, Connected> {
        let Ok(mut commands) = self.commands.try_lock() else { return HashMap::new() };
        let mut all: HashMap<EndpointId, Connected> =
            endpoints.map(|endpoint| (endpoint, (Bell::default(), Vec::new()))).collect();
        let table = self.table.load_full();
        for (shard, producer) in commands.iter_mut().enumerate() {
            let mut lanes = Vec::with_capacity(all.len());
            for (endpoint, (bell, receivers)) in &mut all {
                let (sender, receiver) = self.lane_of(shard, bell);
                receivers.push(receiver);
                lanes.push((*endpoint, Some(sender)));
            }
            if producer.push(Command::Install { table: table.clone(), lanes }).is_err() {
                // Its lanes are abandoned with the command; endpoints connect by themselves.
                return HashMap::new();
            }
        }
        all
    }

    fn lane_of(&self, shard: usize, bell: &Bell) -> (LaneSender, ShardLane) {
        let (sender, receiver) = lane(bell, &self.shard_bells[shard]);
        let partitions = (shard as u32..self.partitions).step_by(self.shard_bells.len()).collect();
        (sender, ShardLane::new(receiver, partitions))
    }

    /// Lanes through which everything comes, from every shard, before the shards run. `None` if somebody is changing something or
    /// a shard takes no command: neither can be at a start.
    pub fn tap(&self, bell: &Bell) -> Option<Vec<ShardLane>> {
        let mut commands = self.commands.try_lock().ok()?;
        let mut lanes = Vec::with_capacity(commands.len());
        for (shard, producer) in commands.iter_mut().enumerate() {
            let (sender, receiver) = self.lane_of(shard, bell);
            producer.push(Command::Tap(sender)).ok()?;
            lanes.push(receiver);
        }
        Some(lanes)
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shard_bells.len()
    }

    /// Gives one shard a command, for a thread that may block. `false` if the shard has no room for it or is gone.
    pub fn try_command(&self, shard: usize, command: Command) -> bool {
        let producer = &mut self.commands.blocking_lock()[shard];
        !producer.is_abandoned() && producer.push(command).is_ok()
    }

    /// Cuts the endpoint's lanes.
    pub async fn disconnect(&self, endpoint: EndpointId) {
        self.send(None, |_| vec![(endpoint, None)]).await;
    }

    async fn send(
        &self,
        table: Option<Arc<RouteTable>>,
        mut lanes: impl FnMut(usize) -> Vec<(EndpointId, Option<LaneSender>)>,
    ) {
        let mut commands = self.commands.lock().await;
        if let Some(table) = table {
            self.table.store(table);
        }
        let table = self.table.load_full();
        for (shard, producer) in commands.iter_mut().enumerate() {
            let mut command = Command::Install { table: table.clone(), lanes: lanes(shard) };
            while let Err(back) = producer.push(command) {
                if producer.is_abandoned() {
                    break;
                }
                command = back;
                // Not by blocking: the shard may live on this very thread.
                tokio::time::sleep(COMMAND_RETRY).await;
            }
        }
    }
}
