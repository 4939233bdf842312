//! Which parts of events some route wants: each of them is a column, however many routes want it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::SystemProperty;
use crate::filter::Dialect;
use crate::filter::plan::{Expr, Reference, Semantics, System};
use crate::parse::{ColumnId, Fields, Path};

/// Which bodies a column reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Profile {
    /// Any JSON.
    Plain,
    /// IoT Hub's rule: a stricter content type, and an object.
    IotHub,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Header(Reference),
    Body(Path, Profile),
}

/// See the module. Grows with new routes and keeps the numbers of what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnSet {
    keys: Vec<Key>,
    by_key: HashMap<Key, ColumnId>,
    fields: Arc<Fields>,
    stamp: u64,
    /// Columns when it was sealed.
    sealed: usize,
    /// Columns of the body under IoT Hub's rule.
    iothub: Vec<ColumnId>,
    /// The body as a whole, which they need.
    root: Option<ColumnId>,
    /// Columns that one header fills, by what it is called.
    headers: Vec<(Reference, ColumnId)>,
    /// Columns that need more than one header, or have a default: looked up one by one.
    special: Vec<(Reference, ColumnId)>,
}

impl ColumnSet {
    /// The number of the column for `reference`; `None` for one that never has a value.
    pub fn column(&mut self, reference: &Reference, semantics: Semantics) -> Option<ColumnId> {
        let profile = if semantics.dialect == Dialect::IotHub { Profile::IotHub } else { Profile::Plain };
        let key = match reference {
            Reference::NoBody | Reference::Column(_) => return None,
            Reference::Body(path) => Key::Body(path.clone(), profile),
            header => Key::Header(header.clone()),
        };
        if let Some(column) = self.by_key.get(&key) {
            return Some(*column);
        }
        if let Key::Body(_, Profile::IotHub) = key {
            self.root = Some(self.insert(Key::Body(Path::default(), Profile::Plain)));
        }
        Some(self.insert(key))
    }

    fn insert(&mut self, key: Key) -> ColumnId {
        if let Some(column) = self.by_key.get(&key) {
            return *column;
        }
        let column = self.keys.len() as ColumnId;
        match &key {
            Key::Body(_, Profile::IotHub) => self.iothub.push(column),
            Key::Body(..) => {}
            Key::Header(reference) if is_plain(reference) => self.headers.push((reference.clone(), column)),
            Key::Header(reference) => self.special.push((reference.clone(), column)),
        }
        self.keys.push(key.clone());
        self.by_key.insert(key, column);
        column
    }

    /// Replaces the references of `expr` by columns.
    pub fn resolve(&mut self, expr: &mut Expr, semantics: Semantics) {
        expr.rewrite(&mut |reference| {
            if let Some(column) = self.column(reference, semantics) {
                *reference = Reference::Column(column);
            }
        });
    }

    /// To be called when columns were added: makes what is derived from them anew.
    pub fn seal(&mut self) {
        if self.sealed == self.keys.len() && self.stamp != 0 {
            return;
        }
        self.sealed = self.keys.len();
        // No two sets with different columns have one stamp, whatever table they are in.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        self.stamp = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::new(self.stamp);
        for (column, key) in self.keys.iter().enumerate() {
            if let Key::Body(path, _) = key {
                fields.add(path, column as ColumnId);
            }
        }
        self.fields = Arc::new(fields);
    }

    /// Tells this set from all others with other columns.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// What a column holds, as it is written in filters.
    pub fn name(&self, column: ColumnId) -> String {
        match &self.keys[column as usize] {
            Key::Header(reference) => reference.to_string(),
            Key::Body(path, _) => Reference::Body(path.clone()).to_string(),
        }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// What the extractor fills.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// It is a value of the body.
    pub fn is_body(&self, column: ColumnId) -> bool {
        matches!(self.keys[column as usize], Key::Body(..))
    }

    pub fn iothub(&self) -> &[ColumnId] {
        &self.iothub
    }

    pub fn root(&self) -> Option<ColumnId> {
        self.root
    }

    pub fn headers(&self) -> &[(Reference, ColumnId)] {
        &self.headers
    }

    pub fn special(&self) -> &[(Reference, ColumnId)] {
        &self.special
    }
}

/// One header says it all, and without it there is no value.
fn is_plain(reference: &Reference) -> bool {
    match reference {
        Reference::Attribute(name) => {
            !matches!(&**name, "id" | "time" | "type" | "source" | "specversion" | "datacontenttype")
        }
        Reference::Property(_) | Reference::System(System::Header(_)) => true,
        Reference::System(System::Known(SystemProperty { header, .. })) => {
            use crate::event::{CONTENT_ENCODING, CONTENT_TYPE, DEVICE_ID};
            ![CONTENT_ENCODING, CONTENT_TYPE, DEVICE_ID, "iothub-enqueuedtime"].contains(header)
        }
        _ => false,
    }
}
