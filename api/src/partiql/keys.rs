//! What a WHERE clause says of keys: which ranges of a table or an index hold all items that it is true for.
//!
//! A condition is looked at as alternatives, its *branches*, each of which is a number of conditions that must all hold: `pk = 'a'
//! AND (sk = '1' OR sk = '2')` has two. If each of them compares the partition key by `=`, a read of the ranges that they name
//! finds everything, and nothing else has to be looked at; else it takes a scan.

use super::condition::Translation;
use super::syntax::{NodeId, Statement, Step, What};
use crate::expression::SortKeyTest;
use crate::value::AttributeValue;

/// The attributes of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'k> {
    pub(crate) partition: &'k str,
    pub(crate) sort: Option<&'k str>,
}

/// Which attribute of a key a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPart {
    Partition,
    Sort,
}

/// A condition on an attribute of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyTest {
    pub(crate) part: KeyPart,
    pub(crate) test: SortKeyTest,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branch {
    /// Those on the key.
    pub(crate) tests: Vec<KeyTest>,
    /// The attributes that the others look at, in their order.
    pub(crate) names: Vec<String>,
    /// Whether there are others.
    pub(crate) has_more: bool,
    /// Whether they deny something of the sort key, which finds no range.
    pub(crate) denies_sort: bool,
}

impl Branch {
    /// Whether it says which partition.
    pub(crate) fn is_keyed(&self) -> bool {
        self.tests.iter().any(|test| test.part == KeyPart::Partition)
    }

    fn and(&self, other: &Branch) -> Branch {
        Branch {
            tests: self.tests.iter().chain(&other.tests).cloned().collect(),
            names: self.names.iter().chain(&other.names).cloned().collect(),
            has_more: self.has_more || other.has_more,
            denies_sort: self.denies_sort || other.denies_sort,
        }
    }
}

/// More branches than are of use are not told apart any more.
const MAX_BRANCHES: usize = 400;

/// The branches of a condition, as far as they are of use.
#[derive(Clone, Debug)]
enum Branches {
    Some(Vec<Branch>),
    /// Too many, and whether each says which partition.
    TooMany(bool),
}

impl Branches {
    fn are_keyed(&self) -> bool {
        match self {
            Branches::Some(branches) => branches.iter().all(Branch::is_keyed),
            Branches::TooMany(keyed) => *keyed,
        }
    }

    /// Whether nothing in them is on the key.
    fn are_plain(&self) -> bool {
        matches!(self, Branches::Some(branches) if branches.iter().all(|branch| branch.tests.is_empty()))
    }

    fn and(self, other: Branches) -> Branches {
        let keyed = self.are_keyed() || other.are_keyed();
        match (self, other) {
            (Branches::Some(left), Branches::Some(right)) if left.len() * right.len() <= MAX_BRANCHES => {
                Branches::Some(
                    left.iter().flat_map(|left| right.iter().map(|right| left.and(right))).collect(),
                )
            }
            _ => Branches::TooMany(keyed),
        }
    }

    fn or(self, other: Branches) -> Branches {
        let keyed = self.are_keyed() && other.are_keyed();
        let is_plain = self.are_plain() && other.are_plain();
        match (self, other) {
            // Alternatives that say nothing of the key are one condition.
            (Branches::Some(left), Branches::Some(right)) if is_plain => {
                let all = left.iter().chain(&right).fold(Branch::default(), |all, branch| all.and(branch));
                Branches::Some(vec![all])
            }
            (Branches::Some(mut left), Branches::Some(right)) if left.len() + right.len() <= MAX_BRANCHES => {
                left.extend(right);
                Branches::Some(left)
            }
            _ => Branches::TooMany(keyed),
        }
    }
}

/// The branches of a condition, if each says which partition. An error tells that there are too many of them.
pub(crate) fn branches(
    statement: &Statement,
    translation: &Translation<'_>,
    root: NodeId,
    keys: Keys<'_>,
) -> Result<Option<Vec<Branch>>, super::StatementError> {
    let tree = &statement.tree;
    let first = tree.node(root).first;
    let mut found: Vec<Option<Branches>> = Vec::new();
    for (nth, node) in tree.within(root).iter().enumerate() {
        let id = tree.id(first + nth);
        let mut take = |child: &NodeId| {
            found[child.index() - first].take().unwrap_or_else(|| Branches::Some(vec![Branch::default()]))
        };
        let branches = match &node.what {
            What::And(left, right) => Some(take(left).and(take(right))),
            What::Or(left, right) => Some(take(left).or(take(right))),
            What::Compare(..) | What::In(..) | What::Between(..) | What::Call(..) => {
                Some(match tests(translation, &node.what, keys)? {
                    Some(tests) => Branches::Some(
                        tests
                            .into_iter()
                            .map(|test| Branch { tests: vec![test], ..Branch::default() })
                            .collect(),
                    ),
                    None => plain(statement, id, keys, is_denial(&node.what)),
                })
            }
            What::Is(..) => Some(plain(statement, id, keys, false)),
            What::Not(_) => Some(plain(statement, id, keys, true)),
            _ => None,
        };
        found.push(branches);
    }
    match found.pop().flatten() {
        Some(branches) if !branches.are_keyed() => Ok(None),
        Some(Branches::Some(branches)) => Ok(Some(branches)),
        Some(Branches::TooMany(_)) => Err(super::Rule::TooManyReads.broken()),
        None => Ok(None),
    }
}

fn is_denial(what: &What) -> bool {
    matches!(what, What::Compare("<>", ..))
}

/// A condition that finds no range of keys.
fn plain(statement: &Statement, id: NodeId, keys: Keys<'_>, is_denial: bool) -> Branches {
    let names = statement.tree.within(id).iter().filter_map(|node| match &node.what {
        What::Path(steps) => match steps.first() {
            Some(Step::Name(name)) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    });
    let names = names.collect::<Vec<_>>();
    let denies_sort = is_denial && names.iter().any(|name| Some(name.as_str()) == keys.sort);
    Branches::Some(vec![Branch { tests: Vec::new(), names, has_more: true, denies_sort }])
}

/// What a condition says of the key: alternatives, each of which finds a range.
fn tests(
    translation: &Translation<'_>,
    what: &What,
    keys: Keys<'_>,
) -> Result<Option<Vec<KeyTest>>, super::StatementError> {
    let values = &translation.values;
    let part = |id: &NodeId| match values.tree.attribute(*id) {
        Some(name) if name == keys.partition => Some(KeyPart::Partition),
        Some(name) if Some(name) == keys.sort => Some(KeyPart::Sort),
        _ => None,
    };
    let are_values = |ids: &[NodeId]| ids.iter().all(|id| values.is_value(*id));
    let one = |part, test| Ok(Some(vec![KeyTest { part, test }]));
    match what {
        What::Compare(operator, left, right) => {
            let (part, value, operator) = match (part(left), part(right)) {
                (Some(part), None) if are_values(&[*right]) => (part, right, *operator),
                (None, Some(part)) if are_values(&[*left]) => (part, left, mirrored(operator)),
                _ => return Ok(None),
            };
            let test = match operator {
                "=" => SortKeyTest::Eq,
                "<>" => return Ok(None),
                _ if part == KeyPart::Partition => return Ok(None),
                "<" => SortKeyTest::Lt,
                "<=" => SortKeyTest::Le,
                ">" => SortKeyTest::Gt,
                _ => SortKeyTest::Ge,
            };
            one(part, test(values.value(*value)?))
        }
        What::In(value, list) => {
            let (Some(part), What::List(elements) | What::Bag(elements)) =
                (part(value), values.tree.what(*list))
            else {
                return Ok(None);
            };
            if !are_values(elements) {
                return Ok(None);
            }
            let test = |id: &NodeId| Ok(KeyTest { part, test: SortKeyTest::Eq(values.value(*id)?) });
            elements.iter().map(test).collect::<Result<_, _>>().map(Some)
        }
        What::Between(value, low, high)
            if part(value) == Some(KeyPart::Sort) && are_values(&[*low, *high]) =>
        {
            one(KeyPart::Sort, SortKeyTest::Between(values.value(*low)?, values.value(*high)?))
        }
        What::Call(name, arguments) if name == "begins_with" => match arguments.as_slice() {
            [value, prefix] if part(value) == Some(KeyPart::Sort) && are_values(&[*prefix]) => {
                one(KeyPart::Sort, SortKeyTest::BeginsWith(values.value(*prefix)?))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn mirrored(operator: &'static str) -> &'static str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    }
}

/// What a condition says of a key by `=`, where all its parts must hold, and what else it says.
#[derive(Debug, Default)]
pub(crate) struct Equalities {
    /// In the order of the statement. Of one attribute there may be several values, which contradict each other.
    pub(crate) values: Vec<(KeyPart, AttributeValue)>,
    /// The other parts, those of further values among them.
    pub(crate) rest: Vec<NodeId>,
}

/// What a condition says of a key by `=`, or, if that `counts`, by IN with one value.
pub(crate) fn equalities(
    statement: &Statement,
    translation: &Translation<'_>,
    keys: Keys<'_>,
    in_counts: bool,
) -> Result<Equalities, super::StatementError> {
    let tree = &statement.tree;
    let mut found = Equalities::default();
    let mut pending = statement.condition.into_iter().collect::<Vec<_>>();
    while let Some(id) = pending.pop() {
        let what = tree.what(id);
        let tests = match what {
            What::And(left, right) => {
                pending.extend([*right, *left]);
                continue;
            }
            What::Compare("=", ..) => tests(translation, what, keys)?,
            What::In(..) if in_counts => tests(translation, what, keys)?,
            _ => None,
        };
        let Some([KeyTest { part, test: SortKeyTest::Eq(value) }]) = tests.as_deref() else {
            found.rest.push(id);
            continue;
        };
        match found.values.iter().find(|(other, _)| other == part) {
            Some((_, other)) if other == value => {}
            Some(_) => {
                found.values.push((*part, value.clone()));
                found.rest.push(id);
            }
            None => found.values.push((*part, value.clone())),
        }
    }
    Ok(found)
}
