//! What a name means, dialect by dialect. Always decided from the text alone, never by looking at an event.

mod iothub;
mod ordinary;

use super::check::Checker;
use super::plan::{ExprKind, Reference, Type};
use super::syntax::Name;
use super::{Diagnostic, Dialect, Span};

/// Attributes of CloudEvents 1.0 itself, as opposed to extensions.
pub(super) const CONTEXT_ATTRIBUTES: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];

/// The part of the event that `name` refers to; `None` if it is refused.
pub(super) fn reference(checker: &mut Checker<'_>, name: &Name, span: &Span) -> Option<Reference> {
    match checker.dialect() {
        // The other dialects are not written as conditions and never come here.
        Dialect::Anabranch | Dialect::EventGrid | Dialect::Mqtt => ordinary::anabranch(checker, name, span),
        Dialect::DigitalTwins => ordinary::digital_twins(checker, name, span),
        Dialect::IotHub => iothub::reference(checker, name, span),
    }
}

/// The same as an expression with its type.
pub(super) fn expr(checker: &mut Checker<'_>, name: &Name, span: &Span) -> Option<(ExprKind, Type)> {
    let reference = reference(checker, name, span)?;
    let ty = match &reference {
        Reference::Body(_) | Reference::NoBody | Reference::Column(_) => Type::Dynamic,
        Reference::Attribute(_)
        | Reference::Property(_)
        | Reference::System(_)
        | Reference::SystemOrProperty { .. } => Type::String,
    };
    Some((ExprKind::Reference(reference), ty))
}

pub(super) use iothub::twin_change_path;

/// `$twin` anywhere.
fn no_twins(span: &Span) -> Diagnostic {
    Diagnostic::error(span.clone(), "`$twin` cannot be used: this node keeps no device twins")
        .help("filter on the message itself: its properties, or `$body`")
}
