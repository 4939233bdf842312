//! Brokers of one or more cores without sockets, clocks or disks: a test decides when bytes come, when the log has them and when each
//! core's tap sees them.

mod backlog;
mod client;
mod connect;
mod deliver;
mod model;
mod publish;
mod restart;
mod share_model;
mod shares;
mod subscribe;
mod take_over;
mod wills;
mod world;

use super::*;
use client::{Got, v5, v311};
use world::World;
