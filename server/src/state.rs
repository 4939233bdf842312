//! What a node remembers beside the log: the cursors of its endpoints, MQTT sessions and retained messages, how far publishers have
//! come; in one file that is whole after any crash (redb).

mod producers;

use std::path::{Path, PathBuf};

use connectors::mqtt::store::{Commit, Saved, SessionStore, StoreError};
pub use producers::{SavedProducers, ShardProducers};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Endpoint name to its cursors, one big-endian `u64` per partition.
const CURSORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cursors");

/// MQTT sessions by client identifier.
const MQTT_SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mqtt-sessions");
/// Retained MQTT messages by topic.
const MQTT_RETAINED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mqtt-retained");
/// The name under which the cursors of MQTT's sessions as a whole are kept beside those of the endpoints: no endpoint can have it.
const MQTT_CHECKPOINT: &str = "$mqtt";

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be opened.
    #[error(
        "cannot open {path}: {error}; if it is damaged, move it away: endpoints then start anew where their `from` says"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<redb::Error>,
    },
    /// Reading or writing failed.
    #[error("what is stored beside the log cannot be read or written: {0}")]
    Access(Box<redb::Error>),
    /// A stored entry is not what this version writes.
    #[error("the stored cursors of endpoint '{0}' are not of this version or of another number of partitions")]
    Entry(String),
}

impl StateError {
    fn access(error: impl Into<redb::Error>) -> Self {
        Self::Access(Box::new(error.into()))
    }
}

/// See the module. Calls block.
#[derive(Debug)]
pub struct State {
    database: Database,
}

impl State {
    /// Opens the file or creates it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let open = |error: redb::Error| StateError::Open { path: path.to_owned(), error: Box::new(error) };
        let database = Database::create(path).map_err(|error| open(error.into()))?;
        let write = database.begin_write().map_err(|error| open(error.into()))?;
        // Makes the tables, so that reading never finds one missing.
        for table in [CURSORS, MQTT_SESSIONS, MQTT_RETAINED] {
            write.open_table(table).map_err(|error| open(error.into()))?;
        }
        producers::make_tables(&write).map_err(|error| open(error.into()))?;
        write.commit().map_err(|error| open(error.into()))?;
        Ok(Self { database })
    }

    /// The cursors of an endpoint; `None` if it is new.
    pub fn cursors(&self, endpoint: &str, partitions: u32) -> Result<Option<Vec<u64>>, StateError> {
        let read = self.database.begin_read().map_err(StateError::access)?;
        let table = read.open_table(CURSORS).map_err(StateError::access)?;
        let Some(stored) = table.get(endpoint).map_err(StateError::access)? else { return Ok(None) };
        let bytes = stored.value();
        if bytes.len() != partitions as usize * 8 {
            return Err(StateError::Entry(endpoint.to_owned()));
        }
        let offset = |bytes: &[u8]| bytes.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte));
        Ok(Some(bytes.chunks_exact(8).map(offset).collect()))
    }

    fn load_mqtt(&self) -> Result<Saved, StateError> {
        let read = self.database.begin_read().map_err(StateError::access)?;
        let mut saved = Saved::default();
        for entry in read.open_table(MQTT_SESSIONS).map_err(StateError::access)?.iter().map_err(StateError::access)? {
            saved.sessions.push(entry.map_err(StateError::access)?.1.value().to_vec());
        }
        for entry in read.open_table(MQTT_RETAINED).map_err(StateError::access)?.iter().map_err(StateError::access)? {
            let (topic, message) = entry.map_err(StateError::access)?;
            saved.retained.push((topic.value().to_owned(), message.value().to_vec()));
        }
        let cursors = read.open_table(CURSORS).map_err(StateError::access)?;
        if let Some(stored) = cursors.get(MQTT_CHECKPOINT).map_err(StateError::access)? {
            let offset = |bytes: &[u8]| bytes.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte));
            saved.checkpoint = Some(stored.value().chunks_exact(8).map(offset).collect());
        }
        Ok(saved)
    }

    fn commit_mqtt(&self, commit: &Commit) -> Result<(), StateError> {
        let write = self.database.begin_write().map_err(StateError::access)?;
        {
            let mut sessions = write.open_table(MQTT_SESSIONS).map_err(StateError::access)?;
            for (client_id, session) in &commit.sessions {
                match session {
                    Some(session) => sessions.insert(&**client_id, session.as_slice()).map_err(StateError::access)?,
                    None => sessions.remove(&**client_id).map_err(StateError::access)?,
                };
            }
            let mut retained = write.open_table(MQTT_RETAINED).map_err(StateError::access)?;
            for (topic, message) in &commit.retained {
                match message {
                    Some(message) => retained.insert(&**topic, message.bytes()).map_err(StateError::access)?,
                    None => retained.remove(&**topic).map_err(StateError::access)?,
                };
            }
            if let Some(checkpoint) = &commit.checkpoint {
                let bytes: Vec<u8> = checkpoint.iter().flat_map(|offset| offset.to_be_bytes()).collect();
                let mut cursors = write.open_table(CURSORS).map_err(StateError::access)?;
                cursors.insert(MQTT_CHECKPOINT, bytes.as_slice()).map_err(StateError::access)?;
            }
        }
        write.commit().map_err(StateError::access)
    }

    /// Stores the cursors of these endpoints, all or none, durably.
    pub fn commit(&self, cursors: &[(String, Vec<u64>)]) -> Result<(), StateError> {
        let write = self.database.begin_write().map_err(StateError::access)?;
        {
            let mut table = write.open_table(CURSORS).map_err(StateError::access)?;
            for (endpoint, offsets) in cursors {
                let bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_be_bytes()).collect();
                table.insert(endpoint.as_str(), bytes.as_slice()).map_err(StateError::access)?;
            }
        }
        write.commit().map_err(StateError::access)
    }
}

impl SessionStore for State {
    fn load(&self) -> Result<Saved, StoreError> {
        self.load_mqtt().map_err(|error| StoreError(error.to_string()))
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.commit_mqtt(commit).map_err(|error| StoreError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.redb");
        let state = State::open(&path).expect("opens");
        assert_eq!(state.cursors("a", 2).expect("reads"), None);
        state.commit(&[("a".into(), vec![1, u64::MAX]), ("b".into(), vec![0, 7])]).expect("stores");
        state.commit(&[("b".into(), vec![3, 8])]).expect("stores");
        let error = State::open(&path).expect_err("in use").to_string();
        assert!(error.contains("state.redb"), "{error}");
        drop(state);
        let state = State::open(&path).expect("opens again");
        assert_eq!(state.cursors("a", 2).expect("reads"), Some(vec![1, u64::MAX]));
        assert_eq!(state.cursors("b", 2).expect("reads"), Some(vec![3, 8]));
        assert!(matches!(state.cursors("a", 3), Err(StateError::Entry(_))));
    }

    #[test]
    fn a_file_of_something_else_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.redb");
        std::fs::write(&path, b"this is no database, and long enough to be looked at").expect("writes");
        let error = State::open(&path).expect_err("no database").to_string();
        assert!(error.contains("move it away"), "{error}");
    }
}
