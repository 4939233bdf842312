//! What stands between `{{` and `}}`: a word, more words, and `key="text"` pairs.

/// One of them, in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Words in order; the first says what is wanted.
    pub(super) words: Vec<String>,
    /// Pairs in order.
    pub(super) pairs: Vec<(String, String)>,
}

impl Directive {
    /// Of the text between the braces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut directive = Self { words: Vec::new(), pairs: Vec::new() };
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = rest.find([' ', '=']).unwrap_or(rest.len());
            let word = rest[..end].to_owned();
            match rest[end..].strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) =
                        quoted.split_once('"').ok_or_else(|| format!("the text of {word}=\"… has no end"))?;
                    directive.pairs.push((word, value.to_owned()));
                    rest = after;
                }
                None if rest[end..].starts_with('=') => return Err(format!("write {word}=\"…\", with quotes")),
                None => {
                    directive.words.push(word);
                    rest = &rest[end..];
                }
            }
            if !(rest.is_empty() || rest.starts_with(' ')) {
                return Err(format!("a space is missing before '{rest}'"));
            }
            rest = rest.trim_start();
        }
        match directive.words.is_empty() {
            true => Err("nothing is asked for".to_owned()),
            false => Ok(directive),
        }
    }

    /// The word at `at`, or what is missing there.
    pub(super) fn word(&self, at: usize, what: &str) -> Result<&str, String> {
        self.words.get(at).map(String::as_str).ok_or_else(|| format!("'{}' needs {what}", self.words[0]))
    }

    /// No more than so many words.
    pub(super) fn words_max(&self, most: usize) -> Result<(), String> {
        match self.words.get(most) {
            Some(word) => Err(format!("'{}' does not know what '{word}' means", self.words[0])),
            None => Ok(()),
        }
    }
}
