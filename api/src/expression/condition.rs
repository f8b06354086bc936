//! Conditions, compiled: a program of tests, each of which says which test comes next.
//!
//! `a = :x AND NOT (b = :y OR c = :z)` becomes
//!
//! ```text
//!      test     true   false
//!  0   a = :x   1      no
//!  1   b = :y   no     2
//!  2   c = :z   no     yes
//! ```
//!
//! So AND, OR and NOT cost nothing, what does not matter any more is not looked at, and nothing calls itself.

use super::check::Checked;
use super::path::Path;
use super::syntax::Node;
use super::test::Test;
use crate::item_codec::{ItemDamage, ItemView};

/// A compiled condition or filter expression, for any number of items.
///
/// ```
/// use dynamite_core::expression::Expressions;
/// use dynamite_core::item_codec::{ItemView, encode_json};
/// use dynamite_core::{AttributeValue, Item};
/// use serde_json::json;
///
/// let values = Item::from([(":min".to_owned(), AttributeValue::from(18))]);
/// let expressions = Expressions::builder().filter("age >= :min AND NOT contains(tags, :min)").values(&values).build()?;
/// let filter = expressions.filter.unwrap();
/// let item = encode_json(&json!({"age": 30, "tags": ["a"]}))?;
/// assert!(filter.matches(ItemView::new(&item)?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    test: Test,
    /// What comes next if the test holds, and if it does not.
    next: [Next; 2],
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Step(u32),
    Done(bool),
}

impl Condition {
    pub(super) fn new(checked: Checked) -> Condition {
        let Checked { tree, root, mut tests } = checked;
        let nodes = tree.nodes();

        // The first step of each node: children come before their parents, and tests are numbered as they are met.
        let mut entries = vec![0; nodes.len()];
        let mut count = 0;
        for (index, node) in nodes.iter().enumerate() {
            entries[index] = match node {
                _ if tests[index].is_some() => {
                    count += 1;
                    count - 1
                }
                Node::Parentheses(inner) | Node::Not(inner) => entries[inner.index()],
                Node::And(left, _) | Node::Or(left, _) => entries[left.index()],
                _ => 0,
            };
        }

        // Where each node goes on, from the root down to its tests.
        let mut targets = vec![[Next::Done(true), Next::Done(false)]; nodes.len()];
        let mut steps = Vec::with_capacity(count as usize);
        for index in (0..=root.index()).rev() {
            let [yes, no] = targets[index];
            match nodes[index] {
                Node::Parentheses(inner) => targets[inner.index()] = [yes, no],
                Node::Not(inner) => targets[inner.index()] = [no, yes],
                Node::And(left, right) => {
                    targets[left.index()] = [Next::Step(entries[right.index()]), no];
                    targets[right.index()] = [yes, no];
                }
                Node::Or(left, right) => {
                    targets[left.index()] = [yes, Next::Step(entries[right.index()])];
                    targets[right.index()] = [yes, no];
                }
                _ => steps.extend(tests[index].take().map(|test| Step { test, next: [yes, no] })),
            }
        }
        steps.reverse();
        Condition { steps }
    }

    /// The condition that all tests are as they must be, or, with `any`, that one of them is. `None` if there are none.
    pub(super) fn of_tests(tests: Vec<(Test, bool)>, any: bool) -> Option<Condition> {
        let count = tests.len();
        let step = |(nth, (test, must_hold)): (usize, (Test, bool))| {
            let is_last = nth + 1 == count;
            let next = || if is_last { Next::Done(!any) } else { Next::Step(nth as u32 + 1) };
            let (good, bad) = match any {
                true => (Next::Done(true), if is_last { Next::Done(false) } else { next() }),
                false => (next(), Next::Done(false)),
            };
            Step { test, next: if must_hold { [good, bad] } else { [bad, good] } }
        };
        let steps: Vec<Step> = tests.into_iter().enumerate().map(step).collect();
        (!steps.is_empty()).then_some(Condition { steps })
    }

    /// Whether the condition holds for an item.
    ///
    /// Cost: the tests that decide it; each finds its attributes as [`ItemView::get`] does. Nothing is decoded but the
    /// numbers that are ordered, and nothing allocated but for binaries searched in others.
    ///
    /// # Errors
    ///
    /// [`ItemDamage`], as far as it is met.
    pub fn matches(&self, item: ItemView<'_>) -> Result<bool, ItemDamage> {
        let mut at = 0;
        // Every step leads to a later one.
        while let Some(step) = self.steps.get(at) {
            let [yes, no] = step.next;
            match if step.test.holds(item)? { yes } else { no } {
                Next::Step(next) => at = next as usize,
                Next::Done(holds) => return Ok(holds),
            }
        }
        unreachable!("a condition has a test, and the last one decides it")
    }

    /// Whether the condition holds where there is no item.
    pub fn matches_absent(&self) -> bool {
        let empty =
            crate::item_codec::encode(&crate::Item::new()).expect("an item without attributes can be stored");
        let holds = ItemView::new(&empty).and_then(|item| self.matches(item));
        holds.expect("an item that was just encoded is sound")
    }

    /// The paths that the condition looks at, in the order of the expression.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.steps.iter().flat_map(|step| step.test.paths())
    }
}
