//! Conditions of Event Grid's advanced filters: true or false, whatever the event holds.

use super::super::grid::GridCondition;
use super::super::value::Value;
use super::{Facts, Interpreter};

impl<'v, F: Facts<'v>> Interpreter<F> {
    /// Of an array every element is asked, where the filter says so; those of another kind are as if they were not there.
    pub fn grid(&self, condition: &'v GridCondition) -> bool {
        let value = self.facts.value(&condition.key, self.semantics);
        let hit = match value {
            // The null tests ask for the array itself.
            Value::Array(_) if condition.arrays && !condition.values.is_empty() => {
                let mut any = None;
                self.facts.elements(&condition.key, self.semantics, &mut |element| {
                    if let Some(hit) = condition.hit(&element) {
                        any = Some(any == Some(true) || hit);
                    }
                });
                any
            }
            value => condition.hit(&value),
        };
        condition.operator.decide(hit)
    }
}
