//! Topic filters as sets of topics: is one within another. Pure text, nothing is allocated.
//!
//! As the standard has it: `+` is one level, `#` is any number of levels at the end, none included, and neither reaches at the
//! first level what begins with `$`.

#[cfg(test)]
mod tests;

/// The levels of a topic or filter.
fn levels(text: &str) -> std::str::Split<'_, char> {
    text.split('/')
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
