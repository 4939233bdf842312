//! The layout of one shape as a list of steps: constant text, and what is put between it.

use super::field::Field;
use super::spec::Spacing;
use crate::fleet::out::Piece;

/// One step of writing an event: constant text, then what it leads to.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) lead: Piece,
    /// Nothing where the text goes on.
    pub(super) slot: Option<Slot>,
}

/// What stands in a member's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    DeviceId,
    Ts,
    Seq,
    Field(u16),
}

#[derive(Debug)]
enum Node {
    Leaf(Slot),
    Object(Vec<(String, Node)>),
}

/// Members by name, dots nest; `Err` says which name is in another's way.
pub(super) fn steps(members: &[(&str, Slot)], pad: &str, spacing: Spacing) -> Result<Vec<Step>, String> {
    let mut root = Vec::new();
    for &(name, slot) in members {
        insert(&mut root, name, slot)
            .map_err(|()| format!("`{name}` is there twice, or as a value and as an object"))?;
    }
    let mut writer = Writer { steps: Vec::new(), text: String::new(), spacing };
    writer.object(&root, 1, &mut |writer| {
        if !pad.is_empty() {
            writer.between(1);
            writer.key("pad");
            writer.text.push('"');
            writer.text.push_str(pad);
            writer.text.push('"');
        }
        writer.between(1);
        writer.key("check");
    });
    // The check is the last member, and its digits and what closes the event are written by the fleet.
    let closing = writer.text.rfind('}').map_or(writer.text.len(), |at| at);
    let tail = writer.text.split_off(closing);
    debug_assert_eq!(tail, "}", "an event ends with its closing brace");
    if spacing == Spacing::Pretty {
        writer.text.truncate(writer.text.trim_end_matches('\n').len());
    }
    writer.flush(None);
    Ok(writer.steps)
}

fn insert(members: &mut Vec<(String, Node)>, name: &str, slot: Slot) -> Result<(), ()> {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let at = members.iter().position(|(name, _)| name == first);
    match (at, rest) {
        (None, None) => members.push((first.to_owned(), Node::Leaf(slot))),
        (None, Some(rest)) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, slot)?;
            members.push((first.to_owned(), Node::Object(inner)));
        }
        (Some(at), Some(rest)) => match &mut members[at].1 {
            Node::Object(inner) => insert(inner, rest, slot)?,
            Node::Leaf(_) => return Err(()),
        },
        (Some(_), None) => return Err(()),
    }
    Ok(())
}

struct Writer {
    steps: Vec<Step>,
    text: String,
    spacing: Spacing,
}

impl Writer {
    fn object(&mut self, members: &[(String, Node)], depth: usize, last: &mut dyn FnMut(&mut Self)) {
        self.text.push('{');
        for (at, (name, node)) in members.iter().enumerate() {
            if at > 0 {
                self.between(depth);
            } else {
                self.indent(depth);
            }
            self.key(name);
            match node {
                Node::Object(inner) => self.object(inner, depth + 1, &mut |_| {}),
                Node::Leaf(slot) => {
                    self.flush(Some(*slot));
                }
            }
        }
        last(self);
        self.indent(depth - 1);
        self.text.push('}');
    }

    fn between(&mut self, depth: usize) {
        self.text.push(',');
        match self.spacing {
            Spacing::Compact => {}
            Spacing::Spaced => self.text.push(' '),
            Spacing::Pretty => self.indent(depth),
        }
    }

    fn indent(&mut self, depth: usize) {
        if self.spacing == Spacing::Pretty {
            self.text.push('\n');
            self.text.push_str(&"  ".repeat(depth));
        }
    }

    fn key(&mut self, name: &str) {
        self.text.push_str(&serde_json::Value::from(name).to_string());
        self.text.push_str(if self.spacing == Spacing::Compact { ":" } else { ": " });
    }

    /// The text so far, and what follows it.
    fn flush(&mut self, slot: Option<Slot>) {
        let pieces = Piece::split(self.text.as_bytes());
        self.steps.extend(pieces.into_iter().map(|lead| Step { lead, slot: None }));
        self.text.clear();
        match self.steps.last_mut() {
            Some(last) if last.slot.is_none() => last.slot = slot,
            _ => self.steps.push(Step { lead: Piece::short(b""), slot }),
        }
    }
}

/// Most bytes that the steps can write.
pub(super) fn bytes_max(steps: &[Step], fields: &[Field]) -> usize {
    let of = |step: &Step| match step.slot {
        None => 0,
        Some(Slot::DeviceId | Slot::Ts | Slot::Seq) => 24,
        Some(Slot::Field(index)) => fields[usize::from(index)].bytes_max(),
    };
    let of = |step: &Step| crate::fleet::out::PIECE + of(step);
    steps.iter().map(of).sum::<usize>() + 16
}
