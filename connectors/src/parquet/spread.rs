//! One walk over an event's data: which member goes to which column, what goes to `_rest`, and when an event is refused.
//!
//! The rules are in [`table`](super::table).

use std::collections::HashMap;

use engine::parse::{Kind, NumberTexts, Value};

use super::fit::Misfit;
use super::learn::Learner;
use super::rest::{Above, Rest, write_value};
use super::seen;
use super::slot::Slot;
use super::tree::Level;
use super::types::ColumnType;

/// Characters of a value that an error shows.
const SHOWN_MAX: usize = 64;
const NO_COLUMN: usize = usize::MAX;

/// Why an event cannot be a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the column `{column}` cannot be filled: {why}")]
pub struct Refused {
    /// Name of the column.
    pub column: String,
    /// What is wrong with its value.
    pub why: String,
}

/// What a member's name leads to.
#[derive(Debug)]
struct Place {
    /// The column that is asked first.
    column: usize,
    /// Those that are asked if it does not take the value.
    others: Vec<usize>,
    /// Columns inside, where the member is an object. A member may be both: devices do not agree on everything.
    inside: Option<Box<Members>>,
    /// The walk that met it last.
    walk: u64,
}

impl Default for Place {
    fn default() -> Self {
        Self { column: NO_COLUMN, others: Vec::new(), inside: None, walk: 0 }
    }
}

impl Place {
    fn columns(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.column).filter(|column| *column != NO_COLUMN).chain(self.others.iter().copied())
    }
}

/// The members of an object.
#[derive(Debug, Default)]
pub struct Members {
    known: Level<Place>,
    /// What went to `_rest`.
    unknown: Level<seen::Member>,
}

impl Members {
    /// Leads a place to a column.
    pub fn add(&mut self, path: &[String], column: usize) {
        let Some((name, inner)) = path.split_first() else { return };
        let place = self.known.add(name);
        if !inner.is_empty() {
            place.inside.get_or_insert_default().add(inner, column);
        } else if place.column == NO_COLUMN {
            place.column = column;
        } else {
            place.others.push(column);
        }
    }

    /// Shows a learner what went to `_rest`.
    pub fn teach<'m>(&'m self, path: &mut Vec<&'m str>, learner: &mut Learner) {
        learner.add(path, &self.unknown);
        for (name, place) in self.known.iter() {
            if let Some(inside) = &place.inside {
                path.push(name);
                inside.teach(path, learner);
                path.pop();
            }
        }
    }
}

/// Room to work in.
#[derive(Debug, Default)]
pub struct Texts {
    pub rest: Rest,
    pub errors: Rest,
    pub room: Vec<u8>,
}

/// Why a walk ends early.
pub enum Stop {
    /// A member came twice: only a walk that looks ahead knows which one counts.
    Repeated,
    Refused(Refused),
}

/// One walk over an object and all inside of it.
pub struct Spread<'t, 'b> {
    pub row: usize,
    /// Its number, other than that of every walk before.
    pub walk: u64,
    /// Looks ahead for duplicate members.
    pub dedupes: bool,
    pub slots: &'t mut [Slot],
    /// How many more members without a column are taken note of.
    pub left: &'t mut usize,
    pub texts: &'t mut Texts,
    pub numbers: NumberTexts<'b>,
}

impl Spread<'_, '_> {
    /// Spreads an object over the columns. `is_held`: all of the object is in a column of JSON, so nothing of it needs to go to `_rest`.
    pub fn object(
        &mut self,
        members: &mut Members,
        object: Value<'_>,
        above: Option<&Above<'_>>,
        depth: usize,
        is_held: bool,
    ) -> Result<(), Stop> {
        members.known.begin();
        members.unknown.begin();
        if self.dedupes {
            return self.last_ones(members, object, above, depth, is_held);
        }
        for (name, value) in object.members() {
            self.member(members, name, value, above, depth, is_held)?;
        }
        Ok(())
    }

    /// As [`object`](Self::object), of members that come twice the last one only.
    #[cold]
    fn last_ones(
        &mut self,
        members: &mut Members,
        object: Value<'_>,
        above: Option<&Above<'_>>,
        depth: usize,
        is_held: bool,
    ) -> Result<(), Stop> {
        let last: HashMap<&str, usize> = object.members().enumerate().map(|(at, (name, _))| (name, at)).collect();
        for (at, (name, value)) in object.members().enumerate() {
            if last.get(name) == Some(&at) {
                self.member(members, name, value, above, depth, is_held)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn member(
        &mut self,
        members: &mut Members,
        name: &str,
        value: Value<'_>,
        above: Option<&Above<'_>>,
        depth: usize,
        is_held: bool,
    ) -> Result<(), Stop> {
        let Members { known, unknown } = members;
        let Some(place) = known.find(name) else {
            self.rest(unknown, above, name, value, depth, is_held);
            return Ok(());
        };
        if place.walk == self.walk && !self.dedupes {
            return Err(Stop::Repeated);
        }
        place.walk = self.walk;
        if let Some(slot) = self.slots.get_mut(place.column)
            && place.inside.is_none()
        {
            let room = &mut self.texts.room;
            if slot.fit.set(&mut slot.builder, self.row, value, &mut self.numbers, room).is_ok() {
                return Ok(());
            }
        }
        self.other(place, unknown, name, value, above, depth, is_held)
    }

    /// A value that the first column of its place does not take, or whose place has more than a column.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "the rest of `member`, moved out of the fast path")]
    fn other(
        &mut self,
        place: &mut Place,
        unknown: &mut Level<seen::Member>,
        name: &str,
        value: Value<'_>,
        above: Option<&Above<'_>>,
        depth: usize,
        is_held: bool,
    ) -> Result<(), Stop> {
        let kind = value.kind();
        if kind == Kind::Null && place.column != NO_COLUMN {
            return Ok(());
        }
        let is_spread = place.inside.is_some() && matches!(kind, Kind::Object(members) if members > 0);
        let (mut is_taken, mut misfit) = (false, None);
        for at in place.columns() {
            let slot = &mut self.slots[at];
            let room = &mut self.texts.room;
            match slot.fit.set(&mut slot.builder, self.row, value, &mut self.numbers, room) {
                Ok(()) => {
                    is_taken = true;
                    break;
                }
                Err(found) if !is_spread => {
                    // No default stands in for a value that is there.
                    if !slot.is_required {
                        slot.builder.end_row(self.row);
                    }
                    if !slot.is_learnt {
                        misfit.get_or_insert((at, found));
                    }
                }
                Err(_) => {}
            }
        }
        if let Some(inside) = place.inside.as_mut().filter(|_| is_spread) {
            let above = Above { outer: above, name };
            return self.object(inside, value, Some(&above), depth + 1, is_held || is_taken);
        }
        if is_taken {
            return Ok(());
        }
        if let Some((at, misfit)) = misfit {
            let slot = &self.slots[at];
            let mut shown = Vec::new();
            write_value(&mut shown, value, &mut self.numbers);
            let why = why(&String::from_utf8_lossy(&shown), misfit, &slot.fit.r#type);
            if slot.refuses {
                return Err(Stop::Refused(Refused { column: slot.name.clone(), why }));
            }
            self.texts.errors.add_text(&slot.name, &why);
        }
        self.rest(unknown, above, name, value, depth, is_held);
        Ok(())
    }

    #[cold]
    fn rest(
        &mut self,
        unknown: &mut Level<seen::Member>,
        above: Option<&Above<'_>>,
        name: &str,
        value: Value<'_>,
        depth: usize,
        is_held: bool,
    ) {
        if is_held {
            return;
        }
        self.texts.rest.add(above, name, value, &mut self.numbers);
        if *self.left > 0 {
            seen::see(unknown, name, value, depth, self.left);
        }
    }
}

/// What is wrong with a value, for people.
pub fn why(value: &str, misfit: Misfit, r#type: &ColumnType) -> String {
    let shown: String = value.chars().take(SHOWN_MAX).collect();
    let more = if shown.len() < value.len() { "…" } else { "" };
    format!("{shown}{more} {misfit} ({})", r#type)
}
