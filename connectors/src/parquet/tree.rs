//! Members of objects, found by their place: devices send the same members in the same order.
//!
//! Each level remembers where it was: the next member is compared with the next one known first, and only a surprise costs a search.

/// The members of an object, each with something that belongs to it.
#[derive(Debug)]
pub struct Level<T> {
    /// In the order in which they were added.
    members: Vec<(String, T)>,
    /// Indexes into `members` in the order of their names.
    sorted: Vec<usize>,
    /// Where the next member is expected.
    next: usize,
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Self { members: Vec::new(), sorted: Vec::new(), next: 0 }
    }
}

impl<T: Default> Level<T> {
    /// An object begins.
    #[inline]
    pub fn begin(&mut self) {
        self.next = 0;
    }

    /// A member by its name, if it is known.
    #[inline]
    pub fn find(&mut self, name: &str) -> Option<&mut T> {
        let at = match self.members.get(self.next) {
            Some((known, _)) if known == name => self.next,
            _ => self.search(name)?,
        };
        self.next = at + 1;
        Some(&mut self.members[at].1)
    }

    fn search(&self, name: &str) -> Option<usize> {
        let place = self.sorted.binary_search_by(|at| self.members[*at].0.as_str().cmp(name)).ok()?;
        Some(self.sorted[place])
    }

    /// A member by its name, added if it is not known.
    pub fn add(&mut self, name: &str) -> &mut T {
        let at = self.search(name).unwrap_or_else(|| {
            let at = self.members.len();
            let place = self.sorted.partition_point(|at| self.members[*at].0.as_str() < name);
            self.sorted.insert(place, at);
            self.members.push((name.to_owned(), T::default()));
            at
        });
        &mut self.members[at].1
    }

    /// A member by its name, added if it is not known and `left` says that there is room for another one.
    #[inline]
    pub fn find_or_add(&mut self, name: &str, left: &mut usize) -> Option<&mut T> {
        let at = match self.members.get(self.next) {
            Some((known, _)) if known == name => Some(self.next),
            _ => self.search(name),
        };
        match at {
            Some(at) => {
                self.next = at + 1;
                Some(&mut self.members[at].1)
            }
            None => {
                *left = left.checked_sub(1)?;
                self.next = self.members.len() + 1;
                Some(self.add(name))
            }
        }
    }

    /// All members, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.members.iter().map(|(name, member)| (name.as_str(), member))
    }

    /// Without members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}
