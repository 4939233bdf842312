//! Topic filters as sets of topics: is a topic in one, is a filter within another. Pure text, nothing is allocated.
//!
//! Both follow the standard: `+` is one level, `#` is any number of levels at the end, none included, and neither reaches at the
//! first level what begins with `$`.

#[cfg(test)]
mod tests;

/// The levels of a topic or filter.
fn levels(text: &str) -> std::str::Split<'_, char> {
    text.split('/')
}

/// Whether `topic` (a name, without wildcards) is one that `filter` matches.
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    rest_matches(filter, topic)
}

/// The same from some level on, where `$` has no meaning.
pub(super) fn rest_matches(filter: &str, topic: &str) -> bool {
    let mut topic = levels(topic);
    for level in levels(filter) {
        match (level, topic.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(found)) if level == found => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

/// Whether every topic that `requested` matches is one that `template` (a filter too) matches.
pub fn filter_contains(template: &str, requested: &str) -> bool {
    if template.starts_with(['+', '#']) && requested.starts_with('$') {
        return false;
    }
    // `#` alone starts at the first level, and every topic has one; deeper, it reaches the level above too.
    if requested == "#" {
        return matches!(template, "#" | "+/#");
    }
    // The level above is no topic here: it would be empty.
    let requested = if requested == "/#" { "/+/#" } else { requested };
    let mut requested = levels(requested);
    for level in levels(template) {
        match (level, requested.next()) {
            ("#", _) => return true,
            (_, None | Some("#")) => return false,
            ("+", Some(_)) => {}
            (level, Some(wanted)) if level == wanted => {}
            _ => return false,
        }
    }
    requested.next().is_none()
}
