//! The fields of a body that somebody wants: paths with column numbers, and the trie by which a walk finds them.

use super::Step;

/// Number of a column.
pub type ColumnId = u32;

/// Index of a node of the trie.
pub(super) type Node = u32;

/// Nothing below here is wanted.
pub(super) const NOWHERE: Node = u32::MAX;

/// Members above which a node looks its children up by hash instead of one after the other, which is a comparison of a word for each.
const LINEAR_MAX: usize = 64;

/// Paths into bodies, each with the columns that it fills.
#[derive(Debug, Default)]
pub struct Fields {
    /// What was derived from other fields has another number.
    stamp: u64,
    nodes: Vec<TrieNode>,
    columns: Vec<ColumnId>,
    /// Columns that want numbers as they are written, by their numbers.
    digits: Vec<bool>,
    has_elements: bool,
}

#[derive(Debug, Default)]
struct TrieNode {
    columns: Vec<ColumnId>,
    members: Vec<(Box<str>, Node)>,
    /// Of each member what tells most names apart: see [`outline`].
    outlines: Vec<u32>,
    by_name: std::collections::HashMap<Box<str>, Node>,
    elements: Vec<(u32, Node)>,
}

/// Length, first and last byte of a name.
#[inline]
fn outline(name: &[u8]) -> u32 {
    let byte = |byte: Option<&u8>| u32::from(byte.copied().unwrap_or(0));
    (name.len() as u32) << 16 | byte(name.first()) << 8 | byte(name.last())
}

impl Fields {
    /// No fields yet. `stamp` tells these fields from all others that one extractor will see.
    pub fn new(stamp: u64) -> Self {
        Self { stamp, ..Self::default() }
    }

    /// Adds a path that fills `column`. Several columns may want one path.
    pub fn add(&mut self, path: &[Step], column: ColumnId) {
        if self.nodes.is_empty() {
            self.nodes.push(TrieNode::default());
        }
        let mut at = 0;
        for step in path {
            at = match self.find(at, step) {
                NOWHERE => self.grow(at, step),
                found => found,
            };
        }
        self.nodes[at as usize].columns.push(column);
        self.columns.push(column);
    }

    /// As [`add`](Self::add), for a column whose numbers stay as they are written: [`Tag::Digits`](super::Tag::Digits).
    pub fn add_digits(&mut self, path: &[Step], column: ColumnId) {
        self.add(path, column);
        if self.digits.len() <= column as usize {
            self.digits.resize(column as usize + 1, false);
        }
        self.digits[column as usize] = true;
    }

    /// The column wants numbers as they are written.
    #[inline]
    pub(super) fn wants_digits(&self, column: ColumnId) -> bool {
        self.digits.get(column as usize).is_some_and(|wants| *wants)
    }

    /// An object here is looked into for the sake of columns.
    #[inline]
    pub(super) fn has_members(&self, at: Node) -> bool {
        self.nodes.get(at as usize).is_some_and(|node| !node.members.is_empty())
    }

    /// Elements of arrays are wanted by their place.
    #[inline]
    pub(super) fn has_elements(&self) -> bool {
        self.has_elements
    }

    /// Nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All columns that are filled.
    pub fn columns(&self) -> &[ColumnId] {
        &self.columns
    }

    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }

    fn find(&self, at: Node, step: &Step) -> Node {
        match step {
            Step::Member(name) => self.member(at, name.as_bytes()),
            Step::Element(index) => self.element(at, *index),
        }
    }

    fn grow(&mut self, at: Node, step: &Step) -> Node {
        let new = self.nodes.len() as Node;
        self.nodes.push(TrieNode::default());
        let node = &mut self.nodes[at as usize];
        match step {
            Step::Member(name) => {
                node.members.push((name.clone(), new));
                node.outlines.push(outline(name.as_bytes()));
                if node.members.len() > LINEAR_MAX {
                    node.by_name = node.members.iter().cloned().collect();
                }
            }
            Step::Element(index) => {
                node.elements.push((*index, new));
                self.has_elements = true;
            }
        }
        new
    }

    /// The root: the body as a whole.
    pub(super) fn root(&self) -> Node {
        if self.nodes.is_empty() { NOWHERE } else { 0 }
    }

    /// The child of that name.
    #[inline]
    pub(super) fn member(&self, at: Node, name: &[u8]) -> Node {
        let Some(node) = self.nodes.get(at as usize) else { return NOWHERE };
        if node.by_name.is_empty() {
            let outline = outline(name);
            for (at, known) in node.outlines.iter().enumerate() {
                if *known == outline && node.members[at].0.as_bytes() == name {
                    return node.members[at].1;
                }
            }
            return NOWHERE;
        }
        std::str::from_utf8(name).ok().and_then(|name| node.by_name.get(name)).map_or(NOWHERE, |child| *child)
    }

    /// The child at that place of an array.
    #[inline]
    pub(super) fn element(&self, at: Node, index: u32) -> Node {
        let Some(node) = self.nodes.get(at as usize) else { return NOWHERE };
        node.elements.iter().find(|(found, _)| *found == index).map_or(NOWHERE, |(_, child)| *child)
    }

    /// The columns that a value here fills.
    #[inline]
    pub(super) fn columns_at(&self, at: Node) -> &[ColumnId] {
        self.nodes.get(at as usize).map_or(&[], |node| &node.columns)
    }

    /// Calls `visit` for every column below, not for those of `at` itself.
    pub(super) fn below(&self, at: Node, visit: &mut impl FnMut(ColumnId)) {
        let Some(node) = self.nodes.get(at as usize) else { return };
        let children =
            node.members.iter().map(|(_, child)| *child).chain(node.elements.iter().map(|(_, child)| *child));
        for child in children {
            self.columns_at(child).iter().for_each(|column| visit(*column));
            self.below(child, visit);
        }
    }
}
