//! Random conditions, updates and projections against naive ones that work on plain trees of values; and hostile texts.

use std::collections::{BTreeMap, BTreeSet};

use dynamite_core::expression::{ExpressionError, Expressions, ExpressionsBuilder, Problem};
use dynamite_core::item_codec::{ItemView, decode, encode};
use dynamite_core::{AttributeType, AttributeValue, Item, Number};
use proptest::prelude::*;
use proptest::sample::select;

// ---- Items, whose values often meet ----

fn any_value() -> impl Strategy<Value = AttributeValue> {
    let scalar = prop_oneof![
        3 => select(vec!["", "a", "ab", "b", "é😀"]).prop_map(AttributeValue::from),
        4 => select(vec!["-1", "0", "1", "2", "1.5", "12345678901234567890123456789012345678"])
            .prop_map(|text| AttributeValue::N(text.parse().unwrap())),
        2 => select(vec![vec![], vec![1u8], vec![1, 2], vec![2]]).prop_map(AttributeValue::B),
        1 => any::<bool>().prop_map(AttributeValue::Bool),
        1 => Just(AttributeValue::Null),
        2 => prop::collection::btree_set(select(vec!["a".to_owned(), "b".to_owned()]), 1..3).prop_map(AttributeValue::Ss),
        2 => prop::collection::btree_set((0i64..3).prop_map(Number::from), 1..3).prop_map(AttributeValue::Ns),
        1 => prop::collection::btree_set(select(vec![vec![1u8], vec![2]]), 1..3).prop_map(AttributeValue::Bs),
    ]
    .boxed();
    let nested = scalar.clone().prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            2 => prop::collection::btree_map(select(vec!["x".to_owned(), "y".to_owned()]), inner, 0..3)
                .prop_map(AttributeValue::M),
        ]
    });
    // (Of the nested ones by far the most are maps and lists.)
    prop_oneof![2 => scalar, 1 => nested]
}

fn any_item() -> impl Strategy<Value = Item> {
    let names = select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned(), "e".to_owned()]);
    prop::collection::btree_map(names, any_value(), 1..6)
}

// ---- Paths ----

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Name(&'static str),
    Index(usize),
}

type Path = Vec<Step>;

fn any_path() -> impl Strategy<Value = Path> {
    let step = prop_oneof![
        select(vec!["x", "y"]).prop_map(Step::Name),
        select(vec![0, 1, 2, 5]).prop_map(Step::Index),
    ];
    // Most paths lead to attributes, which are there more often than what is inside.
    let steps = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(step, 1..3)];
    (select(vec!["a", "b", "c", "d"]), steps).prop_map(|(name, steps)| {
        let mut path = vec![Step::Name(name)];
        path.extend(steps);
        path
    })
}

fn find<'i>(item: &'i Item, path: &[Step]) -> Option<&'i AttributeValue> {
    let (Step::Name(first), steps) = path.split_first()? else { return None };
    steps.iter().try_fold(item.get(*first)?, |value, step| match step {
        Step::Name(name) => value.as_m()?.get(*name),
        Step::Index(index) => value.as_l()?.get(*index),
    })
}

/// What a request is written into.
#[derive(Default)]
struct Writer {
    names: BTreeMap<String, String>,
    values: Item,
}

impl Writer {
    fn path(&mut self, path: &[Step]) -> String {
        let mut text = String::new();
        for step in path {
            match step {
                Step::Index(index) => text += &format!("[{index}]"),
                // Some names are written as placeholders.
                Step::Name(name) => {
                    text += if text.is_empty() { "" } else { "." };
                    if *name == "y" || *name == "b" {
                        self.names.insert(format!("#{name}_"), (*name).to_owned());
                        text += &format!("#{name}_");
                    } else {
                        text += name;
                    }
                }
            }
        }
        text
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value.clone());
        placeholder
    }

    fn build<'r>(
        &'r self,
        with: impl FnOnce(ExpressionsBuilder<'r>) -> ExpressionsBuilder<'r>,
    ) -> Result<Expressions, ExpressionError> {
        let builder = Expressions::builder()
            .names((!self.names.is_empty()).then_some(&self.names))
            .values((!self.values.is_empty()).then_some(&self.values));
        with(builder).build()
    }
}

// ---- Conditions ----

#[derive(Clone, Debug)]
enum Operand {
    Path(Path),
    Value(AttributeValue),
    Size(Path),
}

#[derive(Clone, Debug)]
enum Condition {
    Compare(&'static str, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path, bool),
    Type(Path, AttributeType),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

fn any_operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        4 => any_path().prop_map(Operand::Path),
        3 => any_value().prop_map(Operand::Value),
        1 => any_path().prop_map(Operand::Size),
    ]
}

/// An operand whose type, if it is known, has an order.
fn ordered_operand() -> impl Strategy<Value = Operand> {
    any_operand().prop_map(|operand| match operand {
        Operand::Value(value @ (AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_))) => {
            Operand::Value(value)
        }
        Operand::Value(_) => Operand::Path(vec![Step::Name("a")]),
        other => other,
    })
}

/// An operand that can have a beginning.
fn text_operand() -> impl Strategy<Value = Operand> {
    ordered_operand().prop_map(|operand| match operand {
        Operand::Value(AttributeValue::N(_)) | Operand::Size(_) => Operand::Path(vec![Step::Name("c")]),
        other => other,
    })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        2 => (select(vec!["=", "<>"]), any_operand(), any_operand())
            .prop_map(|(operator, left, right)| Condition::Compare(operator, left, right)),
        4 => (select(vec!["=", "<>", "<", "<=", ">", ">="]), ordered_operand(), ordered_operand())
            .prop_map(|(operator, left, right)| Condition::Compare(operator, left, right)),
        1 => (ordered_operand(), ordered_operand(), ordered_operand()).prop_map(|(a, b, c)| Condition::Between(a, b, c)),
        1 => (any_operand(), prop::collection::vec(any_operand(), 1..4)).prop_map(|(a, list)| Condition::In(a, list)),
        1 => (any_path(), any::<bool>()).prop_map(|(path, exists)| Condition::Exists(path, exists)),
        1 => (any_path(), select(AttributeType::ALL.to_vec())).prop_map(|(path, kind)| Condition::Type(path, kind)),
        1 => (text_operand(), text_operand()).prop_map(|(a, b)| Condition::BeginsWith(a, b)),
        2 => (any_operand(), any_operand()).prop_map(|(a, b)| Condition::Contains(a, b)),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| Condition::Not(Box::new(a))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
        ]
    })
}

impl Operand {
    fn write(&self, writer: &mut Writer) -> String {
        match self {
            Operand::Path(path) => writer.path(path),
            Operand::Value(value) => writer.value(value),
            Operand::Size(path) => format!("size ({})", writer.path(path)),
        }
    }

    fn value(&self, item: &Item) -> Option<AttributeValue> {
        match self {
            Operand::Path(path) => find(item, path).cloned(),
            Operand::Value(value) => Some(value.clone()),
            Operand::Size(path) => {
                let size = match find(item, path)? {
                    AttributeValue::S(text) => text.encode_utf16().count(),
                    AttributeValue::B(bytes) => bytes.len(),
                    AttributeValue::M(entries) => entries.len(),
                    AttributeValue::L(elements) => elements.len(),
                    AttributeValue::Ss(set) => set.len(),
                    AttributeValue::Ns(set) => set.len(),
                    AttributeValue::Bs(set) => set.len(),
                    AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null => return None,
                };
                Some(AttributeValue::from(size as u64))
            }
        }
    }
}

impl Condition {
    /// How tight it binds.
    fn rank(&self) -> u8 {
        match self {
            Condition::Or(..) => 0,
            Condition::And(..) => 1,
            Condition::Not(_) => 2,
            _ => 3,
        }
    }

    /// The text, in parentheses only where it needs some.
    fn write(&self, writer: &mut Writer, least_rank: u8) -> String {
        let text = match self {
            Condition::Compare(operator, a, b) => format!("{}{operator}{}", a.write(writer), b.write(writer)),
            Condition::Between(a, b, c) => {
                format!("{} beTween {} And ({})", a.write(writer), b.write(writer), c.write(writer))
            }
            Condition::In(a, list) => {
                let a = a.write(writer);
                let list: Vec<_> = list.iter().map(|operand| operand.write(writer)).collect();
                format!("{a} IN ({})", list.join(","))
            }
            Condition::Exists(path, true) => format!("attribute_exists({})", writer.path(path)),
            Condition::Exists(path, false) => format!("attribute_not_exists({})", writer.path(path)),
            Condition::Type(path, kind) => {
                format!("attribute_type({}, {})", writer.path(path), writer.value(&kind.as_str().into()))
            }
            Condition::BeginsWith(a, b) => format!("begins_with({}, {})", a.write(writer), b.write(writer)),
            Condition::Contains(a, b) => format!("contains({},{})", a.write(writer), b.write(writer)),
            Condition::Not(a) => format!("not {}", a.write(writer, 2)),
            Condition::And(a, b) => format!("{} AND {}", a.write(writer, 1), b.write(writer, 1)),
            Condition::Or(a, b) => format!("{}\tor\n{}", a.write(writer, 0), b.write(writer, 0)),
        };
        if self.rank() < least_rank { format!("({text})") } else { text }
    }

    fn holds(&self, item: &Item) -> bool {
        match self {
            Condition::Compare(operator, a, b) => compare(operator, a.value(item), b.value(item)),
            Condition::Between(a, b, c) => {
                compare(">=", a.value(item), b.value(item)) && compare("<=", a.value(item), c.value(item))
            }
            Condition::In(a, list) => {
                a.value(item).is_some() && list.iter().any(|b| compare("=", a.value(item), b.value(item)))
            }
            Condition::Exists(path, exists) => find(item, path).is_some() == *exists,
            Condition::Type(path, kind) => {
                find(item, path).is_some_and(|value| value.attribute_type() == *kind)
            }
            Condition::BeginsWith(a, b) => match (a.value(item), b.value(item)) {
                (Some(AttributeValue::S(a)), Some(AttributeValue::S(b))) => a.starts_with(&b),
                (Some(AttributeValue::B(a)), Some(AttributeValue::B(b))) => a.starts_with(&b),
                _ => false,
            },
            Condition::Contains(a, b) => match (a.value(item), b.value(item)) {
                (Some(AttributeValue::S(a)), Some(AttributeValue::S(b))) => a.contains(&b),
                (Some(AttributeValue::B(a)), Some(AttributeValue::B(b))) => {
                    b.is_empty() || a.windows(b.len()).any(|window| window == b)
                }
                (Some(AttributeValue::Ss(a)), Some(AttributeValue::S(b))) => a.contains(&b),
                (Some(AttributeValue::Ns(a)), Some(AttributeValue::N(b))) => a.contains(&b),
                (Some(AttributeValue::Bs(a)), Some(AttributeValue::B(b))) => a.contains(&b),
                (Some(AttributeValue::L(a)), Some(b)) => a.contains(&b),
                _ => false,
            },
            Condition::Not(a) => !a.holds(item),
            Condition::And(a, b) => a.holds(item) && b.holds(item),
            Condition::Or(a, b) => a.holds(item) || b.holds(item),
        }
    }
}

fn compare(operator: &str, a: Option<AttributeValue>, b: Option<AttributeValue>) -> bool {
    let order = match (&a, &b) {
        (Some(AttributeValue::S(a)), Some(AttributeValue::S(b))) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Some(AttributeValue::N(a)), Some(AttributeValue::N(b))) => Some(a.cmp(b)),
        (Some(AttributeValue::B(a)), Some(AttributeValue::B(b))) => Some(a.cmp(b)),
        _ => None,
    };
    match operator {
        "=" => a.is_some() && a == b,
        "<>" => a.is_none() || a != b,
        "<" => order.is_some_and(|order| order.is_lt()),
        "<=" => order.is_some_and(|order| order.is_le()),
        ">" => order.is_some_and(|order| order.is_gt()),
        _ => order.is_some_and(|order| order.is_ge()),
    }
}

// ---- Updates ----

#[derive(Clone, Debug)]
enum Source {
    Path(Path),
    Value(AttributeValue),
    IfNotExists(Path, Box<Source>),
    Append(Box<Source>, Box<Source>),
    Sum(Box<Source>, bool, Box<Source>),
}

#[derive(Clone, Debug)]
enum Action {
    Set(Path, Source),
    Remove(Path),
    Add(Path, AttributeValue),
    Delete(Path, AttributeValue),
}

fn any_source() -> impl Strategy<Value = Source> {
    let leaf = prop_oneof![
        any_path().prop_map(Source::Path),
        any_value().prop_map(Source::Value),
        prop::collection::vec(any_value(), 0..2).prop_map(|list| Source::Value(AttributeValue::L(list))),
        (-3i64..3).prop_map(|number| Source::Value(number.into())),
    ];
    let operand = leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            2 => (any_path(), inner.clone()).prop_map(|(path, other)| Source::IfNotExists(path, Box::new(other))),
            1 => (inner.clone(), inner).prop_map(|(a, b)| Source::Append(Box::new(a), Box::new(b))),
        ]
    });
    prop_oneof![
        3 => operand.clone(),
        1 => (operand.clone(), any::<bool>(), operand)
            .prop_map(|(a, minus, b)| Source::Sum(Box::new(a), minus, Box::new(b))),
    ]
}

fn any_actions() -> impl Strategy<Value = Vec<Action>> {
    let operand = || {
        any_value().prop_map(|value| match value {
            AttributeValue::N(_) | AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => {
                value
            }
            AttributeValue::S(_) | AttributeValue::L(_) => AttributeValue::string_set(["a"]),
            _ => AttributeValue::from(1),
        })
    };
    let action = prop_oneof![
        4 => (any_path(), any_source()).prop_map(|(path, source)| Action::Set(path, source)),
        2 => any_path().prop_map(Action::Remove),
        1 => (any_path(), operand()).prop_map(|(path, value)| Action::Add(path, value)),
        1 => (any_path(), operand()).prop_map(|(path, value)| match value {
            AttributeValue::N(_) => Action::Delete(path, AttributeValue::string_set(["a"])),
            set => Action::Delete(path, set),
        }),
    ];
    prop::collection::vec(action, 1..4)
}

impl Source {
    fn write(&self, writer: &mut Writer) -> String {
        match self {
            Source::Path(path) => writer.path(path),
            Source::Value(value) => writer.value(value),
            Source::IfNotExists(path, other) => {
                format!("if_not_exists({}, {})", writer.path(path), other.write(writer))
            }
            Source::Append(a, b) => format!("list_append(({}),{})", a.within(writer), b.within(writer)),
            Source::Sum(a, minus, b) => {
                format!("({} {} ({}))", a.write(writer), if *minus { '-' } else { '+' }, b.write(writer))
            }
        }
    }

    /// As an operand of `list_append`, which may not be one itself.
    fn within(&self, writer: &mut Writer) -> String {
        match self {
            Source::Append(..) => format!("if_not_exists(not_there, {})", self.write(writer)),
            _ => self.write(writer),
        }
    }

    /// The value; `None` for any error.
    fn value(&self, item: &Item) -> Option<AttributeValue> {
        match self {
            Source::Path(path) => find(item, path).cloned(),
            Source::Value(value) => Some(value.clone()),
            Source::IfNotExists(path, other) => find(item, path).cloned().or_else(|| other.value(item)),
            Source::Append(a, b) => match (a.value(item)?, b.value(item)?) {
                (AttributeValue::L(a), AttributeValue::L(b)) => Some(AttributeValue::L([a, b].concat())),
                _ => None,
            },
            Source::Sum(a, minus, b) => {
                let (a, b) = (a.value(item)?.as_n()?, b.value(item)?.as_n()?);
                if *minus { a.checked_sub(b) } else { a.checked_add(b) }.ok().map(AttributeValue::N)
            }
        }
    }
}

impl Action {
    fn path(&self) -> &Path {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => {
                path
            }
        }
    }

    /// What it puts at its path, nothing if it removes that; `None` for any error.
    fn put(&self, item: &Item) -> Option<Option<AttributeValue>> {
        let old = find(item, self.path());
        let (parent, last) = (self.path().split_last().unwrap().1, self.path().last().unwrap());
        let fits = matches!(
            (parent.is_empty(), find(item, parent), last),
            (true, ..)
                | (_, Some(AttributeValue::M(_)), Step::Name(_))
                | (_, Some(AttributeValue::L(_)), Step::Index(_))
        );
        if !fits {
            return None;
        }
        match (self, old) {
            (Action::Set(_, source), _) => source.value(item).map(Some),
            (Action::Remove(_), _) | (Action::Delete(..), None) => Some(None),
            (Action::Add(_, value), None) => Some(Some(value.clone())),
            (Action::Add(_, value), Some(old)) => match (old, value) {
                (AttributeValue::N(a), AttributeValue::N(b)) => {
                    Some(Some(AttributeValue::N(a.checked_add(*b).ok()?)))
                }
                (AttributeValue::Ss(a), AttributeValue::Ss(b)) => Some(Some(AttributeValue::Ss(a | b))),
                (AttributeValue::Ns(a), AttributeValue::Ns(b)) => Some(Some(AttributeValue::Ns(a | b))),
                (AttributeValue::Bs(a), AttributeValue::Bs(b)) => Some(Some(AttributeValue::Bs(a | b))),
                _ => None,
            },
            (Action::Delete(_, value), Some(old)) => match (old, value) {
                (AttributeValue::Ss(a), AttributeValue::Ss(b)) => Some(rest(a, b).map(AttributeValue::Ss)),
                (AttributeValue::Ns(a), AttributeValue::Ns(b)) => Some(rest(a, b).map(AttributeValue::Ns)),
                (AttributeValue::Bs(a), AttributeValue::Bs(b)) => Some(rest(a, b).map(AttributeValue::Bs)),
                _ => None,
            },
        }
    }
}

fn rest<T: Ord + Clone>(set: &BTreeSet<T>, other: &BTreeSet<T>) -> Option<BTreeSet<T>> {
    Some(set - other).filter(|rest| !rest.is_empty())
}

/// The update as a text, its clauses in this order.
fn write_actions(actions: &[Action], writer: &mut Writer) -> String {
    let mut text = String::new();
    for clause in ["Set", "REMOVE", "add", "delete"] {
        let actions = actions.iter().filter_map(|action| match (clause, action) {
            ("Set", Action::Set(path, source)) => {
                Some(format!("{}={}", writer.path(path), source.write(writer)))
            }
            ("REMOVE", Action::Remove(path)) => Some(writer.path(path)),
            ("add", Action::Add(path, value)) | ("delete", Action::Delete(path, value)) => {
                Some(format!("{} {}", writer.path(path), writer.value(value)))
            }
            _ => None,
        });
        let actions: Vec<_> = actions.collect();
        if !actions.is_empty() {
            text += &format!("{clause} {} ", actions.join(" , "));
        }
    }
    text
}

/// Applies actions to a tree; `None` for any error. What is put comes first, by ascending paths, so that appended elements
/// have their order; what is removed then, by descending paths, so that no index shifts before it is used.
fn apply(actions: &[Action], old: &Item) -> Option<Item> {
    let mut puts =
        actions.iter().map(|action| Some((action.path(), action.put(old)?))).collect::<Option<Vec<_>>>()?;
    puts.sort_by_key(|(path, _)| *path);
    let mut new = AttributeValue::M(old.clone());
    for (path, value) in &puts {
        if let Some(value) = value {
            put(&mut new, path, value);
        }
    }
    for (path, value) in puts.iter().rev() {
        if value.is_none() && find(old, path).is_some() {
            remove(&mut new, path);
        }
    }
    new.as_m().cloned()
}

fn step<'v>(value: &'v mut AttributeValue, step: &Step) -> &'v mut AttributeValue {
    match (value, step) {
        (AttributeValue::M(entries), Step::Name(name)) => entries.get_mut(*name).unwrap(),
        (AttributeValue::L(elements), Step::Index(index)) => &mut elements[*index],
        _ => unreachable!("the paths fit"),
    }
}

fn put(value: &mut AttributeValue, path: &[Step], new: &AttributeValue) {
    let (last, parents) = path.split_last().unwrap();
    match (parents.iter().fold(value, step), last) {
        (AttributeValue::M(entries), Step::Name(name)) => {
            drop(entries.insert((*name).to_owned(), new.clone()))
        }
        (AttributeValue::L(elements), Step::Index(index)) if *index < elements.len() => {
            elements[*index] = new.clone()
        }
        (AttributeValue::L(elements), Step::Index(_)) => elements.push(new.clone()),
        _ => unreachable!("the paths fit"),
    }
}

fn remove(value: &mut AttributeValue, path: &[Step]) {
    let (last, parents) = path.split_last().unwrap();
    match (parents.iter().fold(value, step), last) {
        (AttributeValue::M(entries), Step::Name(name)) => drop(entries.remove(*name)),
        (AttributeValue::L(elements), Step::Index(index)) => drop(elements.remove(*index)),
        _ => unreachable!("the paths fit"),
    }
}

/// What is left of a value that paths lead into; each path is given without what leads to the value.
fn project(value: &AttributeValue, paths: &[&[Step]]) -> Option<AttributeValue> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    match value {
        AttributeValue::M(entries) => {
            let left = entries.iter().filter_map(|(name, value)| {
                let paths: Vec<_> =
                    paths.iter().filter(|path| is_named(&path[0], name)).map(|path| &path[1..]).collect();
                if paths.is_empty() { None } else { Some((name.clone(), project(value, &paths)?)) }
            });
            let left: Item = left.collect();
            (!left.is_empty()).then_some(AttributeValue::M(left))
        }
        AttributeValue::L(elements) => {
            let left = elements.iter().enumerate().filter_map(|(index, value)| {
                let is_first = |path: &&&[Step]| path[0] == Step::Index(index);
                let paths: Vec<_> = paths.iter().filter(is_first).map(|path| &path[1..]).collect();
                if paths.is_empty() { None } else { project(value, &paths) }
            });
            let left: Vec<_> = left.collect();
            (!left.is_empty()).then_some(AttributeValue::L(left))
        }
        _ => None,
    }
}

fn is_named(step: &Step, name: &str) -> bool {
    matches!(step, Step::Name(other) if *other == name)
}

fn is_about_paths(error: &ExpressionError) -> bool {
    matches!(
        error,
        ExpressionError::Invalid {
            problem: Problem::PathsOverlap { .. } | Problem::PathsConflict { .. },
            ..
        }
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8000, ..ProptestConfig::default() })]

    #[test]
    fn conditions_hold_where_naive_ones_do(condition in any_condition(), items in prop::collection::vec(any_item(), 1..4)) {
        let mut writer = Writer::default();
        let text = condition.write(&mut writer, 0);
        let compiled = match writer.build(|builder| builder.filter(text.as_str())) {
            Ok(expressions) => expressions.filter.unwrap(),
            Err(ExpressionError::Invalid { problem, .. }) => {
                // What random operands may well be.
                prop_assert!(
                    matches!(
                        problem,
                        Problem::SameOperand { .. } | Problem::OperandType { .. } | Problem::BetweenTypes { .. }
                            | Problem::BetweenOrder { .. }
                    ),
                    "{text}: {problem}"
                );
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(format!("{text}: {error}"))),
        };
        for item in items {
            let bytes = encode(&item).unwrap();
            prop_assert_eq!(
                compiled.matches(ItemView::new(&bytes).unwrap()),
                Ok(condition.holds(&item)),
                "{} of {:?} with {:?}", text, item, writer.values
            );
        }
        prop_assert_eq!(compiled.matches_absent(), condition.holds(&Item::new()), "{}", text);
    }

    #[test]
    fn updates_make_what_naive_ones_make(actions in any_actions(), old in any_item()) {
        let mut writer = Writer::default();
        let text = write_actions(&actions, &mut writer);
        let update = match writer.build(|builder| builder.update(text.as_str())) {
            Ok(expressions) => expressions.update.unwrap(),
            Err(error) => {
                let is_expected = is_about_paths(&error)
                    || matches!(
                        error,
                        ExpressionError::Invalid {
                            problem: Problem::OperandType { .. } | Problem::SameOperand { .. }, ..
                        }
                    );
                prop_assert!(is_expected, "{text}: {error}");
                return Ok(());
            }
        };
        let bytes = encode(&old).unwrap();
        let view = ItemView::new(&bytes).unwrap();
        let new = update.apply(Some(view), &Item::new());
        let expected = apply(&actions, &old);
        match (new, expected) {
            (Ok(new), Some(expected)) => {
                prop_assert_eq!(decode(&new), Ok(expected), "{} of {:?} with {:?}", text, old, writer.values);
            }
            (Err(_), None) => {}
            (new, expected) => {
                prop_assert!(false, "{text} of {old:?} with {:?}: {new:?}, not {expected:?}", writer.values);
            }
        }

        let paths: Vec<_> = actions.iter().map(|action| action.path().as_slice()).collect();
        let updated = update.updated(view).unwrap().map(|bytes| AttributeValue::M(decode(&bytes).unwrap()));
        prop_assert_eq!(updated, project(&AttributeValue::M(old), &paths), "{}", text);
    }

    #[test]
    fn projections_leave_what_naive_ones_leave(
        paths in prop::collection::vec(any_path(), 1..5),
        item in any_item(),
    ) {
        let mut writer = Writer::default();
        let text = paths.iter().map(|path| writer.path(path)).collect::<Vec<_>>().join(", ");
        let projection = match writer.build(|builder| builder.projection(text.as_str())) {
            Ok(expressions) => expressions.projection.unwrap(),
            Err(error) => {
                prop_assert!(is_about_paths(&error), "{text}: {error}");
                return Ok(());
            }
        };
        let bytes = encode(&item).unwrap();
        let projected = decode(&projection.project(ItemView::new(&bytes).unwrap()).unwrap()).unwrap();
        let paths: Vec<_> = paths.iter().map(Vec::as_slice).collect();
        let expected = project(&AttributeValue::M(item), &paths);
        prop_assert_eq!(Some(AttributeValue::M(projected)), expected.or(Some(AttributeValue::M(Item::new()))), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any_text()) {
        read_as_each_kind(&text);
    }
}

/// Random characters, and random words of the language.
fn any_text() -> impl Strategy<Value = String> {
    let words = vec![
        "a",
        "b.c",
        "#n",
        ":v",
        ":n",
        "(",
        ")",
        "[",
        "]",
        "0",
        "1",
        "99",
        ".",
        ",",
        "=",
        "<>",
        "<",
        ">=",
        "+",
        "-",
        " ",
        "AND",
        "or",
        "NOT",
        "BETWEEN",
        "IN",
        "SET",
        "REMOVE",
        "ADD",
        "DELETE",
        "size",
        "contains",
        "begins_with",
        "attribute_exists",
        "attribute_type",
        "if_not_exists",
        "list_append",
        "é",
        "\"",
        "#",
        ":",
        "size(a)",
        "a = b",
        "(a)",
        "a AND",
    ];
    prop_oneof![
        1 => any::<String>(),
        4 => prop::collection::vec(select(words), 0..24).prop_map(|words| words.join(" ")),
        2 => "[ab#:.,()\\[\\]<>=+ 0-9-]{0,40}",
    ]
}

fn read_as_each_kind(text: &str) {
    let names = BTreeMap::from([("#n".to_owned(), "name".to_owned())]);
    let values = Item::from([
        (":v".to_owned(), AttributeValue::from("S")),
        (":n".to_owned(), AttributeValue::from(1)),
    ]);
    let builder = || Expressions::builder().names(&names).values(&values);
    for builder in [
        builder().condition(text),
        builder().filter(text),
        builder().key_condition(text),
        builder().projection(text),
        builder().update(text),
    ] {
        if let Err(error) = builder.build() {
            assert!(!error.to_string().is_empty());
            if let Some(position) = error.position() {
                assert!(text.is_char_boundary(position), "{text}: {error}");
            }
        }
    }
}

/// With so little stack, whatever calls itself for each level of these texts would not return.
#[test]
fn deep_texts_need_no_stack() {
    let texts = [
        "(".repeat(4096),
        "((a".repeat(1300),
        format!("{}a = b{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}a = b{}", "(c=d AND ".repeat(140), ")".repeat(140)),
        format!("{}a = b{}", "NOT (".repeat(299), ")".repeat(299)),
        format!("{}a = b{}", "NOT (".repeat(600), ")".repeat(600)),
        "NOT ".repeat(1024),
        format!("{}a = b", "NOT ".repeat(299)),
        format!("{}a=b", "a=b OR ".repeat(149)),
        format!("{}a{} = b", "size(".repeat(500), ")".repeat(500)),
        format!("a{}", ".b".repeat(2047)),
        format!("a{}", "[0]".repeat(1364)),
        format!("SET a = {}b", "(".repeat(4000)),
        format!("SET a = {}b{}", "if_not_exists(c,".repeat(200), ")".repeat(200)),
        format!("SET a = {}b{}", "list_append(c,".repeat(200), ")".repeat(200)),
        format!("SET a = {}b{}", "list_append(".repeat(150), ",c)".repeat(150)),
        format!("SET a = {}b{}", "list_append(c,if_not_exists(d,".repeat(100), "))".repeat(100)),
        format!("REMOVE a{}", ".b".repeat(31)),
    ];
    let thread = std::thread::Builder::new().stack_size(96 * 1024);
    let read = thread.spawn(move || {
        for text in &texts {
            read_as_each_kind(text);
            let builder = Expressions::builder();
            let item = encode(&Item::from([("b".to_owned(), AttributeValue::L(Vec::new()))])).unwrap();
            let item = ItemView::new(&item).unwrap();
            if let Ok(expressions) = builder.filter(text.as_str()).build() {
                expressions.filter.unwrap().matches(item).unwrap();
            }
            if let Ok(expressions) = builder.update(text.as_str()).build() {
                let _ = expressions.update.unwrap().apply(Some(item), &Item::new());
            }
        }
    });
    read.unwrap().join().unwrap();
}

/// A hostile request costs no more than its length: 500 `REMOVE`s of one list, and paths that share long beginnings.
#[test]
fn the_longest_texts_are_read_whole() {
    let removes = (0..560).map(|index| format!("l[{index}]")).collect::<Vec<_>>().join(",");
    let text = format!("REMOVE {removes}");
    assert!(text.len() <= 4096);
    let update = Expressions::builder().update(text.as_str()).build().unwrap().update.unwrap();
    let list = (0..1000).map(AttributeValue::from).collect::<Vec<_>>();
    let item = encode(&Item::from([("l".to_owned(), AttributeValue::L(list))])).unwrap();
    let new = decode(&update.apply(Some(ItemView::new(&item).unwrap()), &Item::new()).unwrap()).unwrap();
    assert_eq!(
        new["l"].as_l().map(|list| (list.len(), list[0].clone())),
        Some((440, AttributeValue::from(560)))
    );
}
