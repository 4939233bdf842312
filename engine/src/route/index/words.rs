//! Texts that have one of many words in them: one automaton for all words, one pass over the text.

use aho_corasick::AhoCorasick;

use super::super::check::Target;

/// See the module.
#[derive(Debug)]
pub(super) struct WordIndex {
    /// `None` if the words do not fit into an automaton: then they are tried one by one.
    automaton: Option<AhoCorasick>,
    words: Vec<Box<str>>,
    /// Where the targets of each word start; one more at the end.
    starts: Vec<u32>,
    targets: Vec<Target>,
}

impl WordIndex {
    pub fn new(mut list: Vec<(Box<str>, Target)>) -> Self {
        list.sort_by(|a, b| a.0.cmp(&b.0));
        let mut words: Vec<Box<str>> = Vec::new();
        let mut starts = Vec::new();
        let mut targets = Vec::new();
        for (word, target) in list {
            if words.last() != Some(&word) {
                words.push(word);
                starts.push(targets.len() as u32);
            }
            targets.push(target);
        }
        starts.push(targets.len() as u32);
        let automaton = AhoCorasick::new(words.iter().map(|word| word.as_bytes())).ok();
        Self { automaton, words, starts, targets }
    }

    /// Visits the words that are in `text`; one that is there twice may be visited twice.
    #[inline]
    pub fn visit(&self, text: &str, visit: &mut impl FnMut(&Target)) {
        let mut word = |number: usize| {
            let (start, end) = (self.starts[number] as usize, self.starts[number + 1] as usize);
            self.targets[start..end].iter().for_each(&mut *visit);
        };
        match &self.automaton {
            Some(automaton) => automaton.find_overlapping_iter(text).for_each(|found| word(found.pattern().as_usize())),
            None => (0..self.words.len()).filter(|number| text.contains(&*self.words[*number])).for_each(word),
        }
    }

    pub fn memory_bytes(&self) -> usize {
        self.automaton.as_ref().map_or(0, AhoCorasick::memory_usage)
            + self.words.iter().map(|word| word.len() + 16).sum::<usize>()
            + self.starts.capacity() * 4
            + self.targets.capacity() * size_of::<Target>()
    }
}
