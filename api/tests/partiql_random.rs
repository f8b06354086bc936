//! Random statements: a read by keys finds what a read of the whole table finds; and hostile texts.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dynamite_core::Error;
use dynamite_core::api::{DynaMite, LocalIndex, Projection};
use dynamite_core::types::KeyType;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const KEYS: [&str; 3] = ["a", "b", "c"];

/// What the cases share; it does not matter what they write.
static TABLE: LazyLock<DynaMite> = LazyLock::new(table);

/// What is only read.
static READ_ONLY: LazyLock<DynaMite> = LazyLock::new(table);

fn table() -> DynaMite {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("ttt")
        .partition_key("pk", KeyType::String)
        .sort_key("sk", KeyType::Number)
        .local_index(LocalIndex::new("near").sort_key("l", KeyType::Number).projection(Projection::All))
        .execute()
        .unwrap();
    for (nth, pk) in KEYS.iter().enumerate() {
        for sk in 0..6 {
            db.put_item("ttt", json!({"pk": pk, "sk": sk, "l": (sk * 7 + nth) % 5, "x": sk % 3})).unwrap();
        }
    }
    db
}

/// Conditions, of which many are on keys.
fn condition() -> impl Strategy<Value = String> {
    let number = || 0..6i32;
    let key = || select(KEYS.to_vec());
    let operator = || select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let name = || select(vec!["sk", "sk", "l", "x"]);
    let test = prop_oneof![
        4 => key().prop_map(|key| format!("pk = '{key}'")),
        1 => key().prop_map(|key| format!("'{key}' = pk")),
        2 => prop::collection::vec(key(), 1..3).prop_map(|keys| format!("pk IN ['{}']", keys.join("','"))),
        1 => (operator(), key()).prop_map(|(operator, key)| format!("pk {operator} '{key}'")),
        4 => (name(), operator(), number()).prop_map(|(name, operator, number)| format!("{name} {operator} {number}")),
        1 => (operator(), number()).prop_map(|(operator, number)| format!("{number} {operator} sk")),
        2 => (name(), number(), 0..3i32).prop_map(|(name, low, more)| format!("{name} BETWEEN {low} AND {}", low + more)),
        1 => (name(), number(), number()).prop_map(|(name, a, b)| format!("{name} IN ({a}, {b})")),
        1 => select(vec!["attribute_exists(sk)", "nope IS MISSING", "size(pk) = 1", "(x = 1) = true", "pk = pk"])
            .prop_map(str::to_owned),
    ];
    test.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            4 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            1 => inner.prop_map(|a| format!("NOT {a}")),
        ]
    })
}

fn read(db: &DynaMite, statement: &str, limit: Option<usize>) -> Result<Vec<Value>, Error> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut page = db.statement(statement);
        if let Some(limit) = limit {
            page = page.limit(limit);
        }
        if let Some(token) = &token {
            page = page.next_token(token);
        }
        let page = page.execute()?;
        found.extend(page.items);
        match page.next_token {
            Some(next) => token = Some(next),
            None => return Ok(found),
        }
    }
}

fn texts(items: &[Value]) -> BTreeSet<String> {
    items.iter().map(Value::to_string).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_read_by_keys_finds_what_a_scan_finds(
        condition in condition(),
        source in select(vec!["ttt", "ttt.near"]),
        limit in prop::option::of(1..5usize),
    ) {
        let db = &*READ_ONLY;
        // What is true of no item makes no difference, but nothing is known of the partition any more.
        let scanned = read(db, &format!("SELECT * FROM {source} WHERE {condition} OR nothing = 1"), None);
        match read(db, &format!("SELECT * FROM {source} WHERE {condition}"), limit) {
            Ok(found) => {
                let scanned = scanned.unwrap();
                prop_assert_eq!(found.len(), scanned.len());
                prop_assert_eq!(texts(&found), texts(&scanned));
            }
            Err(error) => {
                let known = ["Overlapping conditions", "Too many decomposed", "The first operand must be distinct"];
                let text = error.to_string();
                prop_assert!(known.iter().any(|known| text.starts_with(known)), "{}", text);
            }
        }
    }

    /// Whatever the words, there is an answer, and nothing is changed by what is refused.
    #[test]
    fn words_in_any_order_are_answered(words in prop::collection::vec(select(WORDS.to_vec()), 1..40)) {
        let db = &*TABLE;
        let text = words.join(" ");
        let _ = db.statement(&text).parameter("p").execute();
        let _ = db.statement_batch().statement(&text, vec![]).execute();
        let _ = db.statement_transaction().statement(&text, vec![]).execute();
    }

    /// A statement that is damaged somewhere is answered, too.
    #[test]
    fn damaged_statements_are_answered(
        statement in select(STATEMENTS.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), select("'\"`<>[]{}(),.;:?*=-+/% \u{e9}\u{1f600}a1e#@|!".chars().collect::<Vec<_>>()), 0..3u8), 1..6),
    ) {
        let db = &*TABLE;
        let mut chars = statement.chars().collect::<Vec<_>>();
        for (place, with, how) in damage {
            let at = place.index(chars.len());
            match how {
                0 => chars[at] = with,
                1 => chars.insert(at, with),
                _ if chars.len() > 1 => drop(chars.remove(at)),
                _ => {}
            }
        }
        let text = chars.into_iter().collect::<String>();
        let _ = db.statement(&text).parameter("p").execute();
    }
}

const STATEMENTS: &[&str] = &[
    "SELECT pk, m.a[0], \"q\".r FROM \"ttt\".\"near\" WHERE pk = 'a' AND l BETWEEN -1 AND 2.5e1 ORDER BY l DESC",
    "INSERT INTO ttt VALUE {'pk': 'a', 'sk': 1, 's': <<1, 2>>, 'l': [{'x': null}, true], 'q': 'it''s'}",
    "UPDATE ttt SET s = set_add(s, <<'a'>>), n = n - - 1 REMOVE m.x[1] WHERE pk = 'a' AND sk = 1 RETURNING ALL OLD *",
    "DELETE FROM ttt WHERE pk = ? AND sk IN [1] AND NOT (x IS MISSING OR size(x) > 3) RETURNING ALL OLD *",
    "EXISTS(SELECT * FROM ttt WHERE pk = 'a' AND sk = 1 AND contains(x, 'y'))",
];

const WORDS: &[&str] = &[
    "SELECT",
    "*",
    "FROM",
    "t",
    "ttt.near",
    "WHERE",
    "pk",
    "=",
    "'a'",
    "AND",
    "OR",
    "NOT",
    "sk",
    ">",
    "1",
    "(",
    ")",
    "IN",
    "[",
    "]",
    "{",
    "}",
    ":",
    "<<",
    ">>",
    ",",
    "INSERT",
    "INTO",
    "VALUE",
    "UPDATE",
    "SET",
    "REMOVE",
    "DELETE",
    "RETURNING",
    "ALL",
    "OLD",
    "IS",
    "MISSING",
    "NULL",
    "BETWEEN",
    "LIKE",
    "ORDER",
    "BY",
    "DESC",
    "?",
    ".",
    "-",
    "+",
    "begins_with(",
    "size(",
    "EXISTS(",
    "set_add(",
    "list_append(",
    "true",
    ";",
    "--\n",
    "/**/",
    "'",
    "\"x\"",
    "`1`",
    "1e5",
    "[0]",
    "[-1]",
    ".*",
    "[*]",
];
