//! PartiQL over a socket: a statement gives what it gives embedded, with the same errors, and consumes the same.

mod common;

use dynamite_core::api::{Consumed, GlobalIndex, LocalIndex, Projection, StatementPage};
use dynamite_core::error::{CancellationCode, Error, Invalid};
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Item, Result};
use dynamite_server::{ClientError, DynaMiteClient};
use serde::Deserialize;
use serde_json::json;

use common::{Pair, Shared, run};

fn pair() -> Pair {
    Pair::of(|db| {
        db.create_table("hash").partition_key("pk", KeyType::String).execute().unwrap();
        let global = GlobalIndex::new("inc").partition_key("g", KeyType::String);
        let two = GlobalIndex::new("two").partition_key("g", KeyType::String);
        let pair = db.create_table("pair").partition_key("pk", KeyType::String);
        pair.sort_key("sk", KeyType::Number)
            .global_index(global.projection(Projection::include(["held"])))
            .global_index(two.partition_key("h", KeyType::String))
            .local_index(LocalIndex::new("near").sort_key("l", KeyType::String))
            .execute()
            .unwrap();
        db.put_item("hash", json!({"pk": "x", "ss": {"$ss": ["a", "b"]}, "s": "str", "n": 1})).unwrap();
        for sk in 0..10 {
            let item = json!({"pk": "p", "sk": sk, "g": format!("g{}", sk % 2), "l": "l", "held": sk});
            db.put_item("pair", item).unwrap();
        }
    })
}

#[track_caller]
fn check<T: std::fmt::Debug>(text: &str, here: Result<T>, there: Result<T, ClientError>) {
    match (here, there) {
        (Ok(here), Ok(there)) => assert_eq!(format!("{there:?}"), format!("{here:?}"), "{text}"),
        (Err(here), Err(ClientError::Database(there))) => {
            assert_eq!(format!("{there:?}"), format!("{here:?}"), "{text}");
            assert_eq!(there.to_string(), here.to_string(), "{text}");
        }
        (here, there) => panic!("{text}: {there:?}, where {here:?} is expected"),
    }
}

/// Statements one after the other, each of which finds what those before it have left.
const STATEMENTS: &[&str] = &[
    "INSERT INTO hash VALUE {'pk': 'y', 'tags': <<'a', 'b'>>, 'm': {'k': [1, true, null]}}",
    "INSERT INTO hash VALUE {'pk': 'y'}",
    "SELECT * FROM hash",
    "SELECT m.k[0], tags FROM hash WHERE pk = 'y'",
    "UPDATE hash SET n = 7 SET tags = set_add(tags, <<'c'>>) WHERE pk = 'y'",
    "UPDATE hash SET n = n + 1 WHERE pk = 'y' AND n = 7 RETURNING ALL NEW *",
    "UPDATE hash SET n = 0 WHERE pk = 'y' AND n = 7",
    "UPDATE hash SET n = 0 WHERE pk = 'none'",
    "UPDATE hash SET n = n + 1 WHERE pk = 'y' RETURNING MODIFIED OLD *",
    "SELECT sk, held FROM pair WHERE pk = 'p' AND sk BETWEEN 2 AND 5 ORDER BY sk DESC",
    "SELECT * FROM pair.inc WHERE g = 'g1' AND held > 3",
    "SELECT sk FROM pair.near WHERE pk = 'p' AND l = 'l'",
    "SELECT * FROM pair WHERE pk IN ['p', 'q'] AND sk IN [1, 2, 3]",
    "DELETE FROM hash WHERE pk = 'y' RETURNING ALL OLD *",
    "DELETE FROM hash WHERE pk = 'y'",
    "DELETE FROM hash WHERE pk = 'x' AND n = 5",
];

#[test]
fn a_statement_gives_and_consumes_what_it_does_embedded() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        let (counted, counted_there) = (Consumed::default(), Consumed::default());
        for text in STATEMENTS {
            let statement = there.statement(text).consumed(&counted_there);
            check(
                text,
                here.statement(text).consumed(&counted).execute_items(),
                statement.execute_items().await,
            );
            assert_eq!(counted_there.take(), counted.take(), "{text}");
        }
        let text = "SELECT * FROM hash WHERE pk = ? AND n = ?";
        let parameters = || vec![AttributeValue::from("x"), 1.into()];
        let embedded = here.statement(text).parameters(parameters()).execute();
        check(text, embedded, there.statement(text).parameter("x").parameter(1).await);
        let replaced = there.statement(text).parameter("other").parameters(parameters());
        assert_eq!(replaced.await.unwrap().items.len(), 1);

        #[derive(Debug, PartialEq, Deserialize)]
        struct Found {
            s: String,
        }
        let typed = there.statement("SELECT s FROM hash").execute_as::<Found>().await.unwrap();
        assert_eq!(typed.items, [Found { s: "str".into() }]);
        let misfit = there.statement("SELECT s FROM hash").execute_as::<Vec<u8>>().await;
        check("a misfit", here.statement("SELECT s FROM hash").execute_as::<Vec<u8>>(), misfit);
        let promised = || "SELECT * FROM pair.near WHERE pk = 'p'";
        let embedded = here.statement(promised()).consistent(true).execute();
        check(promised(), embedded, there.statement(promised()).consistent(true).await);
    });
}

#[test]
fn pages_join_without_gap_or_repeat() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        for text in [
            "SELECT sk FROM pair WHERE pk = 'p' ORDER BY sk DESC",
            "SELECT sk FROM pair WHERE held > 2",
            "SELECT sk FROM pair WHERE pk IN ['a', 'p'] AND sk IN [1, 5, 9]",
            "SELECT sk FROM pair.inc WHERE g = 'g0'",
        ] {
            let whole = here.statement(text).execute_items().unwrap().items;
            let (mut items, mut token) = (Vec::<Item>::new(), None::<String>);
            loop {
                let mut statement = there.statement(text).limit(2);
                let mut embedded = here.statement(text).limit(2);
                if let Some(token) = &token {
                    statement = statement.next_token(token);
                    embedded = embedded.next_token(token);
                }
                let page: StatementPage<Item> = statement.execute_items().await.unwrap();
                assert_eq!(page, embedded.execute_items().unwrap(), "{text}");
                items.extend(page.items);
                token = page.next_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(items, whole, "{text}");
        }
    });
}

/// At least one statement for each kind of mistake, and for each word that an error names.
#[test]
fn errors_of_statements_are_the_embedded_ones() {
    let pair = pair();
    let long = format!("SELECT * FROM hash{}", " ".repeat(8192));
    let values = |count: u32| (0..count).map(|nth| format!("'v{nth}'")).collect::<Vec<_>>().join(",");
    let generated = [
        long,
        format!("SELECT * FROM hash WHERE pk = 'x' AND s IN [{}]", values(101)),
        format!("SELECT * FROM hash WHERE pk IN [{}]", values(51)),
        format!("SELECT * FROM hash WHERE {}", (0..301).map(|_| "a=1").collect::<Vec<_>>().join(" OR ")),
        format!("UPDATE hash SET d = {}1{} WHERE pk = 'x'", "[".repeat(40), "]".repeat(40)),
        format!("INSERT INTO hash VALUE {{'pk': '{}'}}", "x".repeat(3000)),
    ];
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        for text in MISTAKES.iter().copied().chain(generated.iter().map(|text| &text[..])) {
            let embedded = here.statement(text).execute_items();
            assert!(embedded.is_err(), "{text}");
            check(text, embedded, there.statement(text).execute_items().await);
        }
        let text = "SELECT * FROM pair.inc WHERE g = 'g0'";
        let embedded = here.statement(text).consistent(true).execute();
        check("a promise", embedded, there.statement(text).consistent(true).await);
        check("no items", here.statement(text).limit(0).execute(), there.statement(text).limit(0).await);
        for token in ["", "nonsense", "AQ=="] {
            let embedded = here.statement(text).next_token(token).execute();
            check(token, embedded, there.statement(text).next_token(token).await);
        }
        let token = there.statement(text).limit(1).await.unwrap().next_token.unwrap();
        let other = "SELECT * FROM pair.inc WHERE g = 'g1'";
        let embedded = here.statement(other).next_token(&token).execute();
        check("another's token", embedded, there.statement(other).next_token(&token).await);
        // What no item can hold is a parameter of no statement, and is not sent.
        let empty = AttributeValue::string_set([""; 0]);
        let text = "UPDATE hash SET s = ? WHERE pk = 'x'";
        let embedded = here.statement(text).parameter(empty.clone()).execute().unwrap_err();
        let refused = there.statement(text).parameter(empty).await.unwrap_err();
        assert_eq!(refused.to_string(), embedded.to_string());
    });
}

const MISTAKES: &[&str] = &[
    "",
    "SELECT * FROM nowhere",
    "INSERT INTO nowhere VALUE {'pk': 'x'}",
    "SELECT * FROM hash WHERE pk = 'x' foo",
    "SELECT * FROM hash WHERE pk = 1e2147483648",
    "SLECT * FROM hash",
    "SELECT * FROM hash WHERE",
    "SELECT * FROM hash WHERE pk = 'p1' AND",
    "SELECT * FROM hash WHERE ORDER BY pk",
    "SELECT * FROM hash WHERE pk = 'a' AND x IS FOO",
    "SELECT * FROM hash WHERE pk = LIKE",
    "DELETE FROM",
    "SELECT * FROM hash WHERE pk = 'x' AND attribute_exists(m.inner)",
    "DELETE hash",
    "INSERT hash",
    "SELECT * hash",
    "SELECT * FROM hash WHERE pk = 'x' ORDER pk",
    "SELECT (1 FROM hash",
    "SELECT l[1 FROM hash",
    "UPDATE hash SET a WHERE pk = 'x'",
    "UPDATE hash SET a = 1 WHERE pk = 'x' RETURNING OLD *",
    "UPDATE hash SET a = 1 WHERE pk = 'x' RETURNING ALL *",
    "SELECT * FROM hash t WHERE pk = 'x'",
    "x IS INT4",
    "1 + 1",
    "size(a)",
    "SELECT * FROM hash LIMIT 1",
    "SELECT DISTINCT s FROM hash",
    "SELECT s FROM hash GROUP BY s",
    "SELECT s FROM hash HAVING s = 1",
    "SELECT * FROM hash, pair",
    "SELECT VALUE s FROM hash",
    "SELECT s, s FROM hash",
    "SELECT *, s FROM hash",
    "SELECT a.*.b FROM hash",
    "SELECT a[*] FROM hash",
    "SELECT l[-1] FROM hash",
    "SELECT attribute_exists(ss) FROM hash",
    "SELECT * FROM \"\"",
    "SELECT * FROM pair.inc.more",
    "SELECT * FROM pair.nothing WHERE pk = 'p'",
    "SELECT * FROM pair.two WHERE g = 5",
    "SELECT nothing FROM pair.inc WHERE g = 'g0'",
    "SELECT pk FROM pair.inc WHERE g = 'g0' AND np = 1",
    "INSERT INTO pair.inc VALUE {'pk': 'a', 'sk': 1}",
    "UPDATE pair.inc SET a = 1 WHERE pk = 'p' AND sk = 1",
    "INSERT INTO hash <<{'pk': 'a'}>>",
    "INSERT INTO hash VALUE {'pk': 'a'} AT 1",
    "INSERT INTO hash VALUE 1",
    "INSERT INTO hash VALUE {'pk': 'a'} RETURNING ALL OLD *",
    "INSERT INTO hash VALUE {'s': 'a'}",
    "INSERT INTO hash VALUE {'pk': 1}",
    "INSERT INTO hash VALUE {'pk': ''}",
    "INSERT INTO hash VALUE {'pk': 'x'}",
    "INSERT INTO pair VALUE {'pk': 'a', 'sk': 1, 'g': 5}",
    "DELETE FROM hash WHERE pk = 'x' RETURNING MODIFIED OLD *",
    "DELETE FROM hash WHERE pk = 'x' RETURNING ALL OLD s",
    "DELETE FROM hash WHERE pk = 'x' RETURNING ALL OLD *, ALL NEW *",
    "EXISTS(SELECT * FROM hash WHERE pk = 'x' AND a IS MISSING)",
    "EXISTS(SELECT * FROM hash)",
    "DELETE FROM hash WHERE s = 'x'",
    "UPDATE pair SET a = 1 WHERE pk = 'x'",
    "UPDATE pair SET a = 1 WHERE pk = 'a' AND sk = 1 AND pk = 'b'",
    "UPDATE pair SET a = 1 WHERE pk = 'r' AND sk = 'one'",
    "SELECT sk FROM pair WHERE pk IN ['r', 'r']",
    "SELECT sk FROM pair ORDER BY sk",
    "SELECT sk FROM pair WHERE pk > 'a' ORDER BY sk",
    "SELECT sk FROM pair WHERE pk = 'a' ORDER BY held",
    "SELECT sk FROM pair WHERE pk = 'a' ORDER BY 1",
    "SELECT sk FROM pair WHERE pk IN ['o', 'p'] ORDER BY sk",
    "SELECT * FROM hash WHERE 1",
    "SELECT * FROM hash WHERE pk = 'x' AND s",
    "SELECT * FROM hash WHERE NOT s",
    "SELECT * FROM hash WHERE pk = 'x' AND EXISTS(ss)",
    "SELECT * FROM hash WHERE s LIKE 'a'",
    "SELECT * FROM hash WHERE n > -s",
    "SELECT * FROM hash WHERE n > 1 + 1",
    "SELECT * FROM hash WHERE s IN 'a'",
    "SELECT * FROM hash WHERE s = MISSING",
    "SELECT * FROM hash WHERE (a = 1) IS NULL",
    "SELECT * FROM hash WHERE a IS INT4",
    "SELECT * FROM hash WHERE attribute_type(s, 'X')",
    "SELECT * FROM hash WHERE attribute_exists()",
    "SELECT * FROM hash WHERE a < true",
    "UPDATE hash SET a = MISSING WHERE pk = 'x'",
    "UPDATE hash SET a = b * 2 WHERE pk = 'x'",
    "UPDATE hash SET a = (b IS NULL) WHERE pk = 'x'",
    "UPDATE hash SET a = (b = 1) WHERE pk = 'x'",
    "UPDATE hash SET 1 = 2 WHERE pk = 'x'",
    "UPDATE hash SET size(a) = 2 WHERE pk = 'x'",
    "UPDATE hash SET pk = 'y' WHERE pk = 'x'",
    "UPDATE hash SET n = 'a' + 1 WHERE pk = 'x'",
    "UPDATE hash SET s = set_add(s, <<'x'>>) WHERE pk = 'x'",
    "UPDATE hash SET t = set_add(ss, <<'x'>>) WHERE pk = 'x'",
    "UPDATE hash SET ss = set_add(ss, 'x') WHERE pk = 'x'",
    "UPDATE hash SET ss = set_delete(ss) WHERE pk = 'x'",
    "UPDATE hash SET m.x = 1 WHERE pk = 'x'",
    "UPDATE hash SET n = 1 WHERE pk = 'x' AND n = 5",
    "SELECT * FROM hash WHERE pk = ?",
    "INSERT INTO hash VALUE {'pk': 'bag', 's': <<>>}",
    "INSERT INTO hash VALUE {'pk': 'bag', 's': <<1, 'a'>>}",
    "INSERT INTO hash VALUE {'pk': 'bag', 's': <<'a', 'a'>>}",
    "INSERT INTO hash VALUE {'pk': 'bag', 's': <<2, 2.0>>}",
    "INSERT INTO hash VALUE {'pk': 'a', 'm': {'x': 1e126}}",
    "INSERT INTO hash VALUE {'pk': 'a', 'm': {'x': ?}}",
    "INSERT INTO hash VALUE {'pk': 'a', 'm': `ion`}",
    "INSERT INTO hash VALUE {'pk': 'a', 'm': b.c}",
    "INSERT INTO hash VALUE {'pk': 'a', 1: 2}",
    "INSERT INTO hash VALUE {'pk': 'a', 'pk': 'b'}",
];

#[test]
fn each_statement_of_a_batch_has_an_outcome_of_its_own() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        let (counted, counted_there) = (Consumed::default(), Consumed::default());
        let batches: &[&[&str]] = &[
            &[
                "INSERT INTO hash VALUE {'pk': 'b'}",
                "INSERT INTO hash VALUE {'pk': 'b'}",
                "nonsense",
                "UPDATE hash SET n = 5 WHERE pk = 'b' RETURNING ALL NEW *",
                "EXISTS(SELECT * FROM hash WHERE pk = 'x' AND a = 1)",
                "DELETE FROM nowhere WHERE pk = 'b'",
                "DELETE FROM hash WHERE pk = 'b' AND n = 4",
            ],
            &[
                "SELECT * FROM hash WHERE pk = 'b'",
                "SELECT n FROM hash WHERE pk = 'none'",
                "SELECT * FROM hash",
                "nonsense",
                "SELECT * FROM pair.inc WHERE g = 'g0'",
            ],
            &["SELECT * FROM hash WHERE pk = 'b'", "DELETE FROM hash WHERE pk = 'b'"],
            &["nonsense"],
            &[],
        ];
        for statements in batches {
            let consuming = (here.statement_batch().consumed(&counted), there.statement_batch());
            let (embedded, batch) = statements.iter().fold(consuming, |(here, there), text| {
                (here.statement(text, vec![]), there.statement(text, vec![]))
            });
            let batch = batch.consumed(&counted_there);
            check(&format!("{statements:?}"), embedded.execute_items(), batch.execute_items().await);
            assert_eq!(counted_there.take(), counted.take(), "{statements:?}");
        }
        assert_eq!(there.statement("SELECT * FROM hash").await.unwrap().items.len(), 2);
        let get = "SELECT n FROM hash WHERE pk = ?";
        let found = there.statement_batch().statement(get, vec!["b".into()]).await.unwrap();
        assert_eq!(
            (found[0].table.as_deref(), found[0].item.as_ref().unwrap()),
            (Some("hash"), &Some(json!({"n": 5})))
        );
    });
}

#[test]
fn a_transaction_of_statements_is_all_or_nothing_and_done_once_with_a_token() {
    let pair = pair();
    run(async {
        let (here, there) = (&pair.here, &pair.shared.client().await);
        let (counted, counted_there) = (Consumed::default(), Consumed::default());
        let exists = "EXISTS(SELECT * FROM hash WHERE pk = 'x' AND n = 1)";
        let transactions: &[(&[&str], Option<&str>)] = &[
            (
                &[
                    exists,
                    "INSERT INTO hash VALUE {'pk': 't'}",
                    "UPDATE pair SET a = 1 WHERE pk = 'p' AND sk = 1",
                ],
                None,
            ),
            (&[exists, "INSERT INTO hash VALUE {'pk': 't'}"], None),
            (&["UPDATE hash SET n = n + 1 WHERE pk = 'x'"], Some("token")),
            (&["UPDATE hash SET n = n + 1 WHERE pk = 'x'"], Some("token")),
            (&["UPDATE hash SET n = n + 2 WHERE pk = 'x'"], Some("token")),
            (&["UPDATE hash SET n = n + 1 WHERE pk = 'x' AND n = 7"], None),
            (&["SELECT * FROM hash WHERE pk = 'x'", "SELECT sk FROM pair WHERE pk = 'p' AND sk = 77"], None),
            (&["SELECT * FROM hash WHERE pk = 'x'", exists], None),
            (&["SELECT * FROM hash WHERE pk = 'x'", "SELECT * FROM nowhere WHERE pk = 'x'"], None),
            (&["SELECT * FROM hash"], None),
            (&["SELECT * FROM pair.inc WHERE g = 'g0'"], None),
            (&[exists, "nonsense"], None),
            (&["EXISTS(SELECT * FROM hash)"], None),
            (&["EXISTS(SELECT * FROM pair.inc WHERE g = 'g0' AND held = 1)"], None),
            (&["UPDATE hash SET n = 1 WHERE pk = 'x' RETURNING ALL NEW *"], None),
            (&["DELETE FROM hash WHERE pk = 't'", "DELETE FROM hash WHERE pk = 't'"], None),
            (&["DELETE FROM nowhere WHERE pk = 't'", exists], None),
            (&["DELETE FROM hash WHERE pk = 't'"], Some("")),
            (&["DELETE FROM hash WHERE pk = 't'"], Some("a token of more than thirty-six characters")),
            (&["DELETE FROM hash WHERE pk = 't'"; 101], None),
            (&[], None),
        ];
        for (statements, token) in transactions {
            let mut embedded = here.statement_transaction().consumed(&counted);
            let mut transaction = there.statement_transaction().consumed(&counted_there);
            for text in *statements {
                embedded = embedded.statement_returning_old(text, vec![], true);
                transaction = transaction.statement_returning_old(text, vec![], true);
            }
            if let Some(token) = token {
                embedded = embedded.token(token);
                transaction = transaction.token(token);
            }
            check(&format!("{statements:?}"), embedded.execute_items(), transaction.execute_items().await);
            assert_eq!(counted_there.take(), counted.take(), "{statements:?}");
        }
        let x = there.get_item("hash", "x", None).await.unwrap().unwrap();
        assert_eq!(x["n"], 2, "the token's transaction was done once");

        let get = "SELECT n FROM hash WHERE pk = ?";
        let read = there.statement_transaction().statement(get, vec!["x".into()]).await.unwrap();
        assert_eq!(read, [Some(json!({"n": 2}))]);
        let insert = there.statement_transaction().statement("INSERT INTO hash VALUE {'pk': 'x'}", vec![]);
        match insert.await.unwrap_err() {
            ClientError::Database(Error::TransactionCanceled { reasons }) => {
                assert_eq!(reasons[0].code, CancellationCode::DuplicateItem);
            }
            other => panic!("{other:?}"),
        }
        let empty = vec![AttributeValue::string_set([""; 0])];
        let refused = there.statement_transaction().statement(exists, vec![]).statement(get, empty);
        let refused = refused.await.unwrap_err();
        assert!(matches!(refused.database(), Some(Error::Operation { operation: 1, .. })), "{refused:?}");
    });
}

/// What one frame cannot hold is refused as a whole, and nothing else suffers.
#[test]
fn an_answer_that_is_too_large_is_refused() {
    let shared = Shared::new();
    run(async {
        let db: DynaMiteClient = shared.client().await;
        db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
        for id in 0..50 {
            db.put_item("things", json!({"id": id, "pad": "x".repeat(390_000)})).await.unwrap();
        }
        let get = |id: i32| (format!("SELECT * FROM things WHERE id = {id}"), vec![]);
        let batch = (0..50)
            .map(get)
            .fold(db.statement_batch(), |batch, (text, parameters)| batch.statement(&text, parameters));
        let refused = batch.await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(_)), "{refused:?}");
        let page = db.statement("SELECT * FROM things").await.unwrap();
        assert!(page.next_token.is_some() && page.items.len() < 50, "a page has a megabyte");
        let limit = db.statement("SELECT * FROM things").limit(0).await.unwrap_err();
        assert!(matches!(limit.database(), Some(Error::Validation(Invalid::Limit))), "{limit:?}");
    });
}
