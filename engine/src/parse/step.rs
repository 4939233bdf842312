//! Paths into a body.

/// One step of a path: into a member or an element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Member of an object, by its exact name.
    Member(Box<str>),
    /// Element of an array, from 0.
    Element(u32),
}

/// A path; empty for the body as a whole.
pub type Path = Box<[Step]>;
