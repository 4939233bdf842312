//! Every bound of the engine, in one place, each with its reason; related bounds are asserted against each other.
//!
//! At a limit there is backpressure or a clear refusal, never silent loss and never unbounded memory.

/// Partitions of a log when its creator names no number. Enough to spread 32 cores; fixed when a log is created.
pub const PARTITIONS_DEFAULT: u32 = 32;
/// Most partitions of a log: a partition costs an open builder per core and a cursor per endpoint.
pub const PARTITIONS_MAX: u32 = 1024;

/// A batch is sealed once its bytes reach this. Small enough that a batch lives and dies in L2, large enough
/// that the work per batch (checksum call, ring hop, index entry) vanishes per event.
pub const BATCH_BYTES_SEAL: usize = 64 * 1024;
/// Most rows of a batch: row numbers are `u16` in a delivery.
pub const BATCH_ROWS_MAX: usize = 16 * 1024;
/// Most bytes of one batch, one oversized event included.
pub const BATCH_BYTES_MAX: usize = BATCH_BYTES_SEAL + EVENT_BYTES_MAX + 4096;

/// Most bytes of one event as its parts are counted by IoT Hub: body, names and values of properties
/// (sheet `iothub-and-twins.md` 1.2). Listeners may ask for less.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// What a listener accepts unless told otherwise: IoT Hub's 256 KiB.
pub const EVENT_BYTES_DEFAULT: usize = 256 * 1024;
/// Most headers (attributes and properties together) of one event.
pub const EVENT_HEADERS_MAX: usize = 256;
/// Longest partition key in bytes; IoT Hub's device ids end at 128.
pub const KEY_BYTES_MAX: usize = 1024;

/// Deepest nesting of a JSON body that the parser follows.
pub const JSON_DEPTH_MAX: usize = 128;

/// Longest filter text in bytes.
pub const FILTER_BYTES_MAX: usize = 32 * 1024;
/// Deepest nesting of a filter expression: bounds the recursion of parser and interpreter.
pub const FILTER_DEPTH_MAX: usize = 64;
/// Most nodes of one compiled filter.
pub const FILTER_NODES_MAX: usize = 4096;

/// Most work of one evaluation of a filter, in units of about one comparison (about 2 ns): a filter that an event can make cost
/// more than some 20 µs is refused when it is made.
pub const FILTER_COST_MAX: u32 = 10_000;

/// Most routes of a table.
pub const ROUTES_MAX: usize = 1 << 20;
/// Most work that conditions without an index may cost every event, in units of about one comparison (about 2 ns): at the bound
/// a core still routes some 100,000 events per second.
pub const SCAN_COST_MAX: u32 = 4096;
/// Most endpoints of a node: each holds a lane per shard and a cursor per partition.
pub const ENDPOINTS_MAX: usize = 4096;

/// Most observers of a node, live subscribers with a filter of their own: a lane per shard each, and a bitmap in each matcher.
pub const OBSERVERS_MAX: usize = 16 * 1024;

/// Deliveries that wait in one lane before it is marked behind. Batches may be as small as an event: with 64 of these an endpoint
/// that takes a few milliseconds for a request fell behind at every one.
pub const LANE_DELIVERIES_MAX: usize = 256;
/// Bytes of the batches that wait in one lane before it is marked behind: what an endpoint that stands still keeps in memory, per shard.
pub const LANE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Sealed batches that wait between one core and one shard.
pub const MESH_BATCHES_MAX: usize = 256;

/// Longest pattern of LIKE in bytes: a piece with `_` may be tried at every character of a text.
pub const FILTER_PATTERN_BYTES_MAX: usize = 1024;
/// Longest MQTT topic or topic filter in bytes: MQTT counts the bytes of a string in 16 bits.
pub const TOPIC_BYTES_MAX: usize = 65_535;
/// Longest text that a filter may put together; beyond it the result is undefined. One event is as long at most, and a
/// filter that joins a long text to itself over and over must not take memory for it.
pub const FILTER_TEXT_BYTES_MAX: usize = EVENT_BYTES_MAX;
/// Most problems reported for one filter: enough to mend it, too few to flood a log.
pub const FILTER_PROBLEMS_MAX: usize = 32;

const _: () = assert!(BATCH_ROWS_MAX <= u16::MAX as usize + 1);
const _: () = assert!(ENDPOINTS_MAX + OBSERVERS_MAX <= u16::MAX as usize + 1);
const _: () = assert!(EVENT_BYTES_DEFAULT <= EVENT_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX < i32::MAX as usize);
const _: () = assert!(PARTITIONS_DEFAULT <= PARTITIONS_MAX);

/// Batches of a shard that wait for the disk before it takes no more.
pub const SHARD_PENDING_BATCHES_MAX: usize = 4096;
/// Bytes of a shard that wait for the disk before it takes no more: at 1 GB/s a 64 ms stall of the device.
pub const SHARD_PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that are committed by one sync unless told otherwise: large enough that a fast device spends its time writing (measured:
/// 64 KiB gets a sixth of what 1 MiB gets), small enough to stay in the cache and to be on the device in half a millisecond.
pub const COMMIT_BYTES_DEFAULT: usize = 1024 * 1024;
/// Most bytes committed by one sync: a shard has three groups of this size.
pub const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items in the ring between a shard and its writer, and in the ring back: a shard has three groups, each with its events.
pub const LOG_RING_ITEMS_MAX: usize = 16;
/// Acks between a shard and a core: as many as can be under way between the two.
pub const ACKS_MAX: usize = MESH_BATCHES_MAX + SHARD_PENDING_BATCHES_MAX;
