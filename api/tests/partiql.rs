//! Statements of PartiQL: what they read and write.

use dynamite_core::api::{Consumed, DynaMite, GlobalIndex, LocalIndex, Projection, StatementPage};
use dynamite_core::error::CancellationCode;
use dynamite_core::item_codec::decode_json;
use dynamite_core::json::item_to_json;
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Error, Item};
use serde_json::{Value, json};

fn in_memory() -> DynaMite {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("hash").partition_key("pk", KeyType::String).execute().unwrap();
    db.create_table("pair")
        .partition_key("pk", KeyType::String)
        .sort_key("sk", KeyType::String)
        .global_index(
            GlobalIndex::new("inc")
                .partition_key("g", KeyType::String)
                .projection(Projection::include(["held"])),
        )
        .local_index(LocalIndex::new("near").sort_key("l", KeyType::String).projection(Projection::KeysOnly))
        .execute()
        .unwrap();
    db
}

#[track_caller]
fn run(db: &DynaMite, statement: &str) -> Vec<Value> {
    match db.statement(statement).execute() {
        Ok(StatementPage { items, .. }) => items,
        Err(error) => panic!("{statement}: {error}"),
    }
}

/// The values of one attribute of what is found.
#[track_caller]
fn column(db: &DynaMite, statement: &str, name: &str) -> Vec<String> {
    run(db, statement).iter().map(|item| item[name].as_str().unwrap_or("?").to_owned()).collect()
}

fn get(db: &DynaMite, key: &str) -> Option<Value> {
    db.get_item("hash").partition_key(key).execute().unwrap()
}

#[test]
fn literals_of_all_types_are_stored_as_they_are_meant() {
    let db = in_memory();
    let text = "INSERT INTO hash VALUE {'pk': 'it''s', 'n': -1.5e-3, 'big': 12345678901234567890123456789012345678, 't': true,
        'f': false, 'null': null, 'l': [1, 'a', [2], {'x': -0}, <<'s'>>], 'm': {'a b': {'c': +.5}}, 'ss': <<'b', 'a'>>,
        'ns': <<1, 34, 4.5>>, 'empty': '', 'none': {}, 'nothing': []}";
    run(&db, text);
    let item = db.get_item("hash").partition_key("it's").execute_item().unwrap().unwrap();
    let number = |text: &str| AttributeValue::N(text.parse().unwrap());
    assert_eq!(item["n"], number("-0.0015"));
    assert_eq!(item["big"], number("12345678901234567890123456789012345678"));
    assert_eq!((&item["t"], &item["f"], &item["null"]), (&true.into(), &false.into(), &AttributeValue::Null));
    assert_eq!(item["ss"], AttributeValue::Ss(["a".to_owned(), "b".to_owned()].into()));
    assert_eq!(item["ns"], AttributeValue::Ns(["1", "34", "4.5"].map(|text| text.parse().unwrap()).into()));
    let AttributeValue::L(list) = &item["l"] else { panic!("a list") };
    assert_eq!((&list[0], &list[1]), (&number("1"), &AttributeValue::from("a")));
    assert_eq!(list[4], AttributeValue::Ss(["s".to_owned()].into()));
    let AttributeValue::M(map) = &item["m"] else { panic!("a map") };
    assert_eq!(map["a b"], AttributeValue::M(Item::from([("c".to_owned(), number("0.5"))])));
    assert_eq!(item.len(), 13);
}

#[test]
fn parameters_are_taken_in_their_order_and_more_are_ignored() {
    let db = in_memory();
    let insert =
        db.statement("INSERT INTO hash VALUE {'pk': ?, 'a': ?}").parameter("x").parameter(1).parameter(2);
    insert.execute().unwrap();
    let set = AttributeValue::Ss(["a".to_owned()].into());
    let update = "UPDATE hash SET s = set_add(s, ?), b = ? WHERE pk = ? AND a = ?";
    let parameters = vec![set.clone(), true.into(), "x".into(), 1.into()];
    db.statement(update).parameters(parameters).execute().unwrap();
    let found = db.statement("SELECT * FROM hash WHERE pk = ? AND a IN [?, 2] AND s = ?");
    let found = found.parameters(vec!["x".into(), 1.into(), set]).execute().unwrap();
    assert_eq!(found.items, [json!({"pk": "x", "a": 1, "b": true, "s": {"$ss": ["a"]}})]);
    assert!(run(&db, "SELECT * FROM hash WHERE pk = '?'").is_empty());
}

#[test]
fn an_insert_is_refused_where_there_is_an_item() {
    let db = in_memory();
    run(&db, "INSERT INTO \"hash\" value {'pk': 'a', 'n': 1}");
    let again = db.statement("INSERT INTO hash VALUE {'pk': 'a', 'n': 2}").execute();
    assert!(matches!(again, Err(Error::DuplicateItem)));
    assert_eq!(get(&db, "a"), Some(json!({"pk": "a", "n": 1})));
    run(&db, "DELETE FROM hash WHERE pk = 'a'");
    run(&db, "INSERT INTO hash VALUE {'pk': 'a', 'n': 2}");
    assert_eq!(get(&db, "a"), Some(json!({"pk": "a", "n": 2})));
    let error = db.statement("INSERT INTO hash VALUE {'n': 2}").execute().unwrap_err();
    assert_eq!(
        error.to_string(),
        "One or more parameter values were invalid: Missing the key pk in the item"
    );
}

#[test]
fn an_update_changes_an_item_that_is_there() {
    let db = in_memory();
    db.put_item("hash", json!({"pk": "a", "n": 5, "m": {"x": 1}, "l": [1, 2, 3], "ss": {"$ss": ["p", "q"]}, "only": {"$ss": ["o"]}}))
        .unwrap();
    run(
        &db,
        "UPDATE hash SET n = n-1 SET m.y = [2020, 'v'], copy = n REMOVE l[1] REMOVE m.x
         SET l2 = LIST_APPEND(l, [4]) SET ss = SET_ADD(ss, <<'r'>>) SET fresh = set_add(fresh, <<1>>)
         SET only = SET_DELETE(only, <<'o'>>) WHERE pk = 'a'",
    );
    let expected = json!({
        "pk": "a", "n": 4, "m": {"y": [2020, "v"]}, "copy": 5, "l": [1, 3], "l2": [1, 2, 3, 4],
        "ss": {"$ss": ["p", "q", "r"]}, "fresh": {"$ns": [1]},
    });
    assert_eq!(get(&db, "a"), Some(expected));
    run(&db, "FROM hash WHERE pk = 'a' SET n = - - 7, z = n - - 2");
    let found = get(&db, "a").unwrap();
    assert_eq!((&found["n"], &found["z"]), (&json!(7), &json!(6)));

    // There is none, and none is made.
    for statement in [
        "UPDATE hash SET a = 1 WHERE pk = 'ghost'",
        "UPDATE hash SET a = 1 WHERE pk = 'ghost' AND attribute_not_exists(pk)",
    ] {
        assert!(matches!(db.statement(statement).execute(), Err(Error::ConditionFailed { item: None })));
    }
    assert_eq!(get(&db, "ghost"), None);
}

#[test]
fn what_is_said_beside_the_key_is_the_condition_of_a_write() {
    let db = in_memory();
    db.put_item("hash", json!({"pk": "a", "kind": "alpha", "n": 5})).unwrap();
    for statement in [
        "UPDATE hash SET n = 9 WHERE pk = 'a' AND kind = 'beta'",
        "DELETE FROM hash WHERE pk = 'a' AND kind = 'beta'",
        "DELETE FROM hash WHERE pk = 'a' AND NOT begins_with(kind, 'al')",
        "DELETE FROM hash WHERE pk = 'a' AND attribute_exists(nope)",
        "DELETE FROM hash WHERE pk = 'a' AND (kind = 'beta' OR n > 5)",
    ] {
        assert!(
            matches!(db.statement(statement).execute(), Err(Error::ConditionFailed { item: Some(_) })),
            "{statement}"
        );
    }
    assert_eq!(get(&db, "a").unwrap()["n"], 5);
    run(&db, "UPDATE hash SET n = 9 WHERE (pk = 'a' AND kind = 'alpha') AND n = 5 AND pk = 'a'");
    assert_eq!(get(&db, "a").unwrap()["n"], 9);
    // Of an item that is not there nothing is asked.
    run(&db, "DELETE FROM hash WHERE pk = 'ghost' AND kind = 'x'");
    run(&db, "DELETE FROM hash WHERE pk = 'a' AND kind = 'alpha'");
    assert_eq!(get(&db, "a"), None);
}

#[test]
fn a_write_returns_what_it_is_asked_for() {
    let db = in_memory();
    let item = json!({"pk": "a", "data": "old", "keep": "same", "tags": ["x", "y", "z"]});
    db.put_item("hash", item.clone()).unwrap();
    let update = |what: &str, returning: &str| {
        run(&db, &format!("UPDATE hash {what} WHERE pk = 'a' RETURNING {returning} *"))
    };
    assert_eq!(update("SET data = 'new'", "ALL OLD"), [item]);
    assert_eq!(update("SET data = 'newer'", "MODIFIED OLD"), [json!({"data": "new"})]);
    assert_eq!(update("SET data = 'newest'", "MODIFIED NEW"), [json!({"data": "newest"})]);
    assert_eq!(update("SET tags[2] = 'q', tags[0] = 'p'", "MODIFIED NEW"), [json!({"tags": ["p", "q"]})]);
    assert_eq!(update("SET other = 1", "MODIFIED OLD"), [] as [Value; 0]);
    assert_eq!(update("REMOVE data", "MODIFIED NEW"), [] as [Value; 0]);
    assert_eq!(update("REMOVE tags[1]", "MODIFIED NEW"), [json!({"tags": ["q"]})]);
    let all = json!({"pk": "a", "keep": "same", "tags": ["p", "q"]});
    assert_eq!(update("REMOVE other", "ALL NEW"), std::slice::from_ref(&all));
    assert_eq!(run(&db, "DELETE FROM hash WHERE pk = 'a' RETURNING ALL OLD *"), [all]);
    assert_eq!(run(&db, "DELETE FROM hash WHERE pk = 'a' RETURNING ALL OLD *"), [] as [Value; 0]);
}

#[test]
fn what_is_selected_comes_under_its_last_name() {
    let db = in_memory();
    db.put_item(
        "hash",
        json!({"pk": "a", "m": {"k": ["c"], "sub": "deep", "a.b": 1}, "tags": ["x", "y"], "size": 1}),
    )
    .unwrap();
    let select = |columns: &str| run(&db, &format!("SELECT {columns} FROM hash WHERE pk = 'a'"));
    assert_eq!(select("m.sub, tags[1], m.k[0]"), [json!({"sub": "deep", "tags[1]": "y", "k[0]": "c"})]);
    assert_eq!(select("m, m.sub"), [json!({"m": {"k": ["c"], "sub": "deep", "a.b": 1}, "sub": "deep"})]);
    assert_eq!(
        select("\"size\", m['sub'], m.\"a.b\", tags[-0]"),
        [json!({"size": 1, "sub": "deep", "a.b": 1, "tags[0]": "x"})]
    );
    assert_eq!(select("nothing, m.nothing.more"), [json!({})].map(|_| json!({})));
}

/// Columns may overlap, so that a row may be larger than any item.
#[test]
fn what_is_selected_may_be_larger_than_an_item() {
    let db = in_memory();
    let long = "x".repeat(300_000);
    db.put_item("hash", json!({"pk": "a", "m": {"k": &long}})).unwrap();
    let elements = (0..100_000).map(|n| n % 10).collect::<Vec<_>>();
    db.put_item("hash", json!({"pk": "b", "l": [&elements, "last"]})).unwrap();
    let row = json!({"m": {"k": &long}, "k": &long});
    let statement = "SELECT m, m.k FROM hash WHERE pk = 'a'";
    assert_eq!(run(&db, statement).remove(0), row);
    let page = db.statement(statement).execute_encoded().unwrap();
    assert_eq!(decode_json(page.items[0].as_bytes()).unwrap(), row);
    assert_eq!(item_to_json(db.statement(statement).execute_items().unwrap().items.remove(0)), row);
    assert_eq!(db.statement(statement).execute_as::<Value>().unwrap().items, [row]);
    let row = &run(&db, "SELECT l, l[0], l[1], l[0][7] FROM hash WHERE pk = 'b'")[0];
    assert_eq!(row["l"][0], json!(elements));
    assert_eq!((&row["l[0]"], &row["l[1]"], &row["l[0][7]"]), (&json!(elements), &json!("last"), &json!(7)));
}

#[test]
fn conditions_mean_what_expressions_mean() {
    let db = in_memory();
    db.put_item(
        "hash",
        json!({"pk": "a", "ss": {"$ss": ["a", "b"]}, "s": "str", "m": {"sub": "x"}, "l": ["v"], "nul": null, "flag": true, "n": 1}),
    )
    .unwrap();
    let holds =
        |condition: &str| !run(&db, &format!("SELECT * FROM hash WHERE pk = 'a' AND {condition}")).is_empty();
    for condition in [
        "attribute_exists(ss)",
        "ATTRIBUTE_NOT_EXISTS (nope)",
        "NOT attribute_exists(nope)",
        "(attribute_exists(nope) OR attribute_exists(\"m\".sub)) AND attribute_exists(l[0])",
        "size(s) = 3",
        "attribute_type(ss, 'SS')",
        "nul IS NULL",
        "s IS NOT NULL",
        "nope IS MISSING",
        "nope IS NOT NULL",
        "s IS NOT MISSING",
        "flag IS BOOL",
        "m IS TUPLE",
        "s IS STRING AND n IS NUMERIC AND l IS LIST",
        "contains(s, 't') AND contains(ss, 'a') AND contains(l, 'v')",
        "n != 2",
        "n <> 2 AND 2 > n AND 1 = n",
        "n BETWEEN - 2 AND +5 AND n IN [- 1, 1]",
        "n NOT BETWEEN 2 AND 3 AND n NOT IN (3)",
        "n IN (1)",
        "ss = <<'b', 'a'>> AND m = {'sub': 'x'} AND l = ['v']",
        "attribute_exists(nope) = false",
        "true = attribute_exists(n)",
        "attribute_exists(n) <> 1",
        "contains(nope, 'z') = false",
        "(n BETWEEN 0 AND 5) = true",
        "(n = 5 OR flag = 'x') = false",
        "attribute_exists(nope) IN [true, false]",
        "attribute_exists(n) = attribute_exists(flag)",
        "attribute_exists(n) = flag",
        "NOT nope = 1",
        "nope <> 1",
    ] {
        assert!(holds(condition), "{condition}");
    }
    for condition in [
        "attribute_exists(nope)",
        "attribute_not_exists(ss)",
        "size(s) = 4",
        "attribute_type(ss, 'S')",
        "s IS NULL",
        "nope IS NULL",
        "nul IS NOT NULL",
        "s IS BOOL",
        "attribute_exists(n) = 1",
        "NOT attribute_exists(n) = true",
        "(attribute_exists(n) = true) = false",
        "attribute_exists(n) = s",
        "n > -/* c */-1",
        "s < 5",
        "n = 1 AND n = 2 OR n = 3",
        "NOT (n = 1 OR n = 2)",
    ] {
        assert!(!holds(condition), "{condition}");
    }
}

#[test]
fn comments_and_quotes_are_what_they_are() {
    let db = in_memory();
    db.put_item("hash", json!({"pk": "a", "note": "a--b /*c*/", "n": 1})).unwrap();
    assert_eq!(run(&db, "SELECT/**/* FROM hash -- the table\nWHERE pk/* key */='a' --").len(), 1);
    assert_eq!(run(&db, "-- first\nSELECT note FROM hash WHERE note = 'a--b /*c*/'; -- done").len(), 1);
    assert!(db.statement("UPDATE hash SET n=n--1 WHERE pk = 'a'").execute().is_err());
}

fn fill(db: &DynaMite) {
    for pk in ["o", "p"] {
        for sk in ["1", "2", "3"] {
            let item = json!({"pk": pk, "sk": sk, "flag": format!("{pk}{sk}"), "l": format!("l{sk}"), "g": pk, "held": sk});
            db.put_item("pair", item).unwrap();
        }
    }
}

#[test]
fn keys_say_what_is_read() {
    let db = in_memory();
    fill(&db);
    let read = |condition: &str| column(&db, &format!("SELECT flag FROM pair WHERE {condition}"), "flag");
    for (condition, expected) in [
        ("pk = 'o'", &["o1", "o2", "o3"][..]),
        ("pk = 'o' AND sk = '2'", &["o2"]),
        ("sk = '2'", &["o2", "p2"]),
        ("pk IN ['p', 'o'] AND sk > '2'", &["o3", "p3"]),
        ("pk = 'o' AND sk BETWEEN '2' AND '9'", &["o2", "o3"]),
        ("pk = 'o' AND begins_with(sk, '3')", &["o3"]),
        ("pk = 'o' AND (sk='1' OR sk='2')", &["o1", "o2"]),
        ("pk = 'o' AND sk IN ['3','2']", &["o2", "o3"]),
        ("pk = 'o' AND (sk < '1' OR sk > '1' OR sk='1')", &["o1", "o2", "o3"]),
        ("pk = 'o' AND sk = '1' AND sk > '0'", &["o1"]),
        ("pk = 'o' AND sk > '1' AND '3' > sk", &["o2"]),
        ("pk = 'o' AND sk > '0' AND sk <> '1'", &["o2", "o3"]),
        ("pk = 'o' AND NOT sk = '1' OR pk = 'o' AND sk = '2'", &["o2", "o3"]),
        ("pk = 'o' OR pk = 'o' AND NOT sk = '1'", &["o1", "o2", "o3"]),
        ("pk = 'o' AND flag = 'o2' OR pk = 'p' AND sk = '1'", &["o2", "p1"]),
        ("pk = 'o' AND pk = 'p'", &[]),
        ("pk = 'o' OR flag = 'p1'", &["o1", "o2", "o3", "p1"]),
        ("pk > 'o'", &["p1", "p2", "p3"]),
        ("attribute_exists(pk) AND flag = 'p3'", &["p3"]),
    ] {
        assert_eq!(read(condition), expected, "{condition}");
    }
    assert_eq!(run(&db, "SELECT * FROM pair").len(), 6);
    // A read of a partition does not look at another one.
    for (condition, bytes) in [
        ("pk = 'o'", 3),
        ("pk = 'o' AND sk = '1'", 1),
        ("flag = 'o1'", 6),
        ("pk IN ['o', 'p'] AND flag = 'x'", 6),
    ] {
        let consumed = Consumed::default();
        db.statement(&format!("SELECT * FROM pair WHERE {condition}")).consumed(&consumed).execute().unwrap();
        assert_eq!(consumed.take().iter().map(|entry| entry.bytes).sum::<u64>(), bytes * 22, "{condition}");
    }
}

#[test]
fn an_order_is_that_of_the_keys() {
    let db = in_memory();
    fill(&db);
    let read = |rest: &str| column(&db, &format!("SELECT flag FROM pair WHERE {rest}"), "flag");
    assert_eq!(read("pk = 'o' ORDER BY sk DESC"), ["o3", "o2", "o1"]);
    assert_eq!(read("pk = 'o' ORDER BY sk"), ["o1", "o2", "o3"]);
    // What the service does with a sort key that is not mentioned.
    assert_eq!(read("pk = 'o' ORDER BY pk ASC"), ["o3", "o2", "o1"]);
    assert_eq!(read("pk IN ['o', 'p'] ORDER BY pk DESC, sk ASC"), ["p1", "p2", "p3", "o1", "o2", "o3"]);
    assert_eq!(read("pk IN ['o', 'p'] AND sk IN ['1', '3'] ORDER BY pk, sk DESC"), ["o3", "o1", "p3", "p1"]);
}

#[test]
fn pages_join_whatever_is_read() {
    let db = in_memory();
    fill(&db);
    for rest in [
        "pair",
        "pair WHERE pk = 'o'",
        "pair WHERE pk IN ['o', 'p'] ORDER BY pk DESC",
        "pair WHERE pk IN ['o', 'p'] AND sk IN ['1', '3']",
        "pair WHERE flag <> 'o2'",
        "pair WHERE pk = 'o' AND sk = '1'",
        "pair.inc WHERE g = 'o'",
        "pair.near WHERE pk = 'p' ORDER BY l DESC",
    ] {
        let statement = format!("SELECT pk, sk FROM {rest}");
        let all = run(&db, &statement);
        for limit in 1..8 {
            let (mut found, mut token) = (Vec::new(), None::<String>);
            loop {
                let page = db.statement(&statement).limit(limit);
                let page = match &token {
                    Some(token) => page.next_token(token).execute().unwrap(),
                    None => page.execute().unwrap(),
                };
                assert!(page.items.len() <= limit);
                found.extend(page.items);
                token = page.next_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(found, all, "{statement}, {limit}");
        }
    }
    // An item that is named by its key has nothing behind it.
    let page = db.statement("SELECT * FROM pair WHERE pk = 'o' AND sk = '1'").limit(1).execute().unwrap();
    assert_eq!((page.items.len(), page.next_token), (1, None));
}

#[test]
fn a_page_ends_at_a_megabyte_over_all_its_partitions() {
    let db = in_memory();
    for pk in ["a", "b", "c"] {
        for sk in 0..5 {
            let body = "x".repeat(100_000);
            db.put_item("pair", json!({"pk": pk, "sk": format!("{sk}"), "body": body})).unwrap();
        }
    }
    let statement = "SELECT sk FROM pair WHERE pk IN ['a', 'b', 'c']";
    let first = db.statement(statement).execute().unwrap();
    assert_eq!(first.items.len(), 11);
    let token = first.next_token.unwrap();
    let rest = db.statement(statement).next_token(&token).execute().unwrap();
    assert_eq!((rest.items.len(), rest.next_token), (4, None));
}

#[test]
fn a_token_is_of_its_statement() {
    let db = in_memory();
    fill(&db);
    let statement = "SELECT * FROM pair WHERE pk = ?";
    let page = db.statement(statement).parameter("o").limit(1).execute().unwrap();
    let token = page.next_token.unwrap();
    let text = |result: Result<StatementPage, Error>| result.unwrap_err().to_string();
    let other = db.statement(statement).parameter("p").next_token(&token).execute();
    assert_eq!(text(other), "NextToken does not match request");
    let other = db.statement("SELECT pk FROM pair WHERE pk = ?").parameter("o").next_token(&token).execute();
    assert_eq!(text(other), "NextToken does not match request");
    for token in ["", "x", "AAAA", &token[..8], "AQAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        let refused = text(db.statement(statement).parameter("o").next_token(token).execute());
        assert!(["Invalid NextToken", "NextToken does not match request"].contains(&&*refused), "{token}");
    }
    assert!(db.statement(statement).parameter("o").next_token(&token).execute().is_ok());
}

#[test]
fn an_index_gives_what_it_holds_and_a_local_one_also_the_rest() {
    let db = in_memory();
    fill(&db);
    db.put_item("pair", json!({"pk": "o", "sk": "9", "flag": "in no index"})).unwrap();
    let held = run(&db, "SELECT * FROM \"pair\".\"inc\" WHERE g = 'p'");
    assert_eq!(held[0], json!({"pk": "p", "sk": "1", "g": "p", "held": "1"}));
    assert_eq!(held.len(), 3);
    assert_eq!(
        run(&db, "SELECT * FROM pair.near WHERE pk = 'o' AND l > 'l2'"),
        [json!({"pk": "o", "sk": "3", "l": "l3"})]
    );
    assert_eq!(column(&db, "SELECT flag FROM pair.near WHERE pk = 'o'", "flag"), ["o1", "o2", "o3"]);
    // An index that is scanned does not have what it does not hold.
    assert!(run(&db, "SELECT pk FROM pair.near WHERE flag = 'o1'").is_empty());
    assert_eq!(run(&db, "SELECT pk FROM pair.near WHERE NOT flag = 'o1'").len(), 6);
    assert_eq!(run(&db, "SELECT sk FROM pair.inc WHERE (g = 'o' AND flag = 'o1') OR (g = 'p')").len(), 3);
    assert_eq!(run(&db, "SELECT pk FROM pair.inc WHERE g = 'o' AND held = '2'").len(), 1);
}

#[test]
fn the_statements_of_a_batch_fail_for_themselves() {
    let db = in_memory();
    fill(&db);
    let batch = |statements: &[&str]| {
        let batch =
            statements.iter().fold(db.statement_batch(), |batch, text| batch.statement(text, Vec::new()));
        batch
            .execute()
            .unwrap()
            .into_iter()
            .map(|outcome| {
                (outcome.table.unwrap_or_default(), outcome.item.map_err(|error| error.to_string()))
            })
            .collect::<Vec<_>>()
    };
    let key =
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause.";
    let found = batch(&[
        "SELECT flag FROM pair WHERE pk = 'o' AND sk = '1'",
        "SLECT * FROM pair",
        "SELECT * FROM nowhere WHERE pk = 'x'",
        "SELECT * FROM pair WHERE pk = 'o'",
        "SELECT * FROM pair WHERE pk = 'o' AND sk = 'none'",
        "SELECT sk FROM pair WHERE pk IN ['p'] AND sk IN ('2')",
        "SELECT * FROM pair WHERE pk = 'o' AND sk = '1' AND flag = 'o1'",
        "SELECT * FROM pair WHERE pk = 'o' AND sk = '1' AND pk = 'p'",
        "SELECT * FROM pair.near WHERE pk = 'o' AND sk = '1'",
        "SELECT * FROM pair WHERE pk = 'o' AND sk = 1",
    ]);
    assert_eq!(found[0], ("pair".to_owned(), Ok(Some(json!({"flag": "o1"})))));
    assert_eq!(found[1].0, "");
    assert_eq!(
        found[1].1,
        Err("Statement wasn't well formed, can't be processed: Expected data manipulation".to_owned())
    );
    assert!(found[2].1.as_ref().unwrap_err().starts_with("Requested resource not found"));
    assert_eq!(found[4], ("pair".to_owned(), Ok(None)));
    assert_eq!(found[5].1, Ok(Some(json!({"sk": "2"}))));
    for nth in [3, 6, 7, 8] {
        assert_eq!(found[nth].1, Err(key.to_owned()), "{nth}");
    }
    assert!(found[9].1.is_err());
    let written = batch(&[
        "INSERT INTO hash VALUE {'pk': 'a', 'n': 1}",
        "INSERT INTO hash VALUE {'pk': 'a', 'n': 2}",
        "UPDATE hash SET n = n + 1 WHERE pk = 'a' RETURNING ALL NEW *",
        "UPDATE hash SET n = 0 WHERE pk = 'none'",
        "EXISTS(SELECT * FROM hash WHERE pk = 'a' AND n = 1)",
    ]);
    assert_eq!(written[0].1, Ok(None));
    assert_eq!(written[1].1, Err("Duplicate primary key exists in table".to_owned()));
    assert_eq!(written[2].1, Ok(Some(json!({"pk": "a", "n": 2}))));
    assert_eq!(written[3].1, Err("The conditional request failed".to_owned()));
    assert!(written[4].1.is_err());
    let mixed = db.statement_batch().statement("SELECT * FROM hash WHERE pk = 'a'", vec![]);
    let mixed = mixed.statement("DELETE FROM hash WHERE pk = 'a'", vec![]).execute();
    assert!(matches!(mixed, Err(Error::Statement(_))));
    assert!(get(&db, "a").is_some());
}

/// Executes a transaction of statements without parameters.
fn transact(db: &DynaMite, statements: &[&str]) -> Result<Vec<Option<Value>>, Error> {
    let begun = db.statement_transaction();
    statements.iter().fold(begun, |transaction, text| transaction.statement(text, Vec::new())).execute()
}

#[track_caller]
fn reasons(result: Result<Vec<Option<Value>>, Error>) -> Vec<(CancellationCode, String)> {
    match result {
        Err(Error::TransactionCanceled { reasons }) => {
            reasons.into_iter().map(|reason| (reason.code, reason.message.unwrap_or_default())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_invalid(db: &DynaMite, statements: &[&str], nth: usize, expected: &str) {
    match transact(db, statements) {
        Err(Error::Operation { operation, source }) => {
            assert_eq!((operation, source.to_string()), (nth, expected.to_owned()), "{statements:?}");
        }
        other => panic!("{statements:?}: {other:?}"),
    }
}

#[test]
fn a_transaction_is_done_all_or_nothing() {
    use CancellationCode::{
        ConditionalCheckFailed, DuplicateItem, None as Fine, ResourceNotFound, ValidationError,
    };
    let db = in_memory();
    db.put_item("hash", json!({"pk": "a", "n": 1})).unwrap();
    let done = transact(
        &db,
        &[
            "INSERT INTO hash VALUE {'pk': 'b'}",
            "UPDATE hash SET n = n + 1 WHERE pk = 'a'",
            "EXISTS(SELECT * FROM hash WHERE pk = 'c' AND n IS MISSING)",
            "DELETE FROM hash WHERE pk = 'd' AND x = 1",
        ],
    );
    assert_eq!(done.unwrap(), [None, None, None, None]);
    assert_eq!((get(&db, "a").unwrap()["n"].clone(), get(&db, "b").is_some()), (json!(2), true));

    let failed = transact(&db, &["INSERT INTO hash VALUE {'pk': 'a'}", "INSERT INTO hash VALUE {'pk': 'z'}"]);
    let expected =
        [(DuplicateItem, "Duplicate primary key exists in table".to_owned()), (Fine, String::new())];
    assert_eq!(reasons(failed), expected);
    assert_eq!(get(&db, "z"), None);
    let failed = transact(
        &db,
        &["EXISTS(SELECT * FROM hash WHERE pk = 'a' AND n = 9)", "UPDATE hash SET n = 9 WHERE pk = 'ghost'"],
    );
    let refused = "The conditional request failed".to_owned();
    assert_eq!(
        reasons(failed),
        [(ConditionalCheckFailed, refused.clone()), (ConditionalCheckFailed, refused)]
    );

    fill(&db);
    let mismatch = "The provided key element does not match the schema".to_owned();
    let update = |condition: &str| format!("UPDATE pair SET a = 1 WHERE {condition}");
    let statements = [
        "pk='o'",
        "pk IN ['o'] AND sk='1'",
        "pk='o' AND sk='1' AND pk='p'",
        "pk='o' AND sk=1",
        "pk='o' AND sk='1'",
    ]
    .map(update);
    let failed = reasons(transact(&db, &statements.each_ref().map(String::as_str)));
    let codes = failed.iter().map(|(code, _)| *code).collect::<Vec<_>>();
    assert_eq!(codes, [ValidationError, ValidationError, ValidationError, ValidationError, Fine]);
    assert_eq!((&failed[0].1, &failed[3].1), (&mismatch, &mismatch));
    let failed = transact(&db, &["INSERT INTO pair VALUE {'pk':'k'}", "DELETE FROM pair WHERE sk='1'"]);
    let missing = "One or more parameter values were invalid: Missing the key sk in the item".to_owned();
    assert_eq!(reasons(failed), [(ValidationError, missing), (ValidationError, mismatch.clone())]);

    let gone = (ResourceNotFound, "Requested resource not found".to_owned());
    let failed = transact(
        &db,
        &["UPDATE nowhere SET a=1 WHERE pk='x' RETURNING ALL NEW *", "DELETE FROM hash WHERE pk = 'a'"],
    );
    assert_eq!(reasons(failed), [gone.clone(), (Fine, String::new())]);
    let failed =
        transact(&db, &["SELECT * FROM hash WHERE pk = 'a'", "SELECT * FROM nowhere.idx WHERE pk='x'"]);
    assert_eq!(reasons(failed), [(Fine, String::new()), gone]);
    let failed = transact(&db, &["SELECT * FROM pair WHERE pk='keys' AND sk=1"]);
    assert_eq!(reasons(failed), [(ValidationError, mismatch)]);
}

#[test]
fn a_transaction_of_reads_gets_items_by_their_keys() {
    let db = in_memory();
    fill(&db);
    let found = transact(
        &db,
        &[
            "SELECT flag FROM pair WHERE pk = 'o' AND sk = '1'",
            "SELECT * FROM pair WHERE pk = 'o' AND sk = 'none'",
            "SELECT sk FROM pair WHERE (pk IN ['p']) AND pk='p' AND sk='2'",
        ],
    );
    assert_eq!(found.unwrap(), [Some(json!({"flag": "o1"})), None, Some(json!({"sk": "2"}))]);
    let select = "SELECT * FROM pair WHERE pk='o' AND sk='1'";
    let twice = transact(&db, &[select, "SELECT flag FROM pair WHERE sk='1' AND pk='o'"]).unwrap_err();
    assert_eq!(twice.to_string(), "Transaction request cannot include multiple operations on one item");
    let failed = reasons(transact(&db, &[select, select, "SELECT * FROM pair WHERE pk=1 AND sk='1'"]));
    assert_eq!(failed[2].0, CancellationCode::ValidationError);

    let key = "Select statements within ExecuteTransaction must specify the primary key in the where clause.";
    for condition in [
        "pk='o' AND sk='1' AND flag='right'",
        "pk='o' AND sk='1' AND pk='p'",
        "pk='o'",
        "pk IN ['x'] AND pk='o' AND sk='1'",
    ] {
        check_invalid(&db, &[&format!("SELECT * FROM pair WHERE {condition}")], 0, key);
    }
    check_invalid(&db, &["SELECT * FROM pair"], 0, key);
}

#[test]
fn what_is_wrong_with_a_statement_of_a_transaction_is_told_first() {
    let db = in_memory();
    fill(&db);
    let select = "SELECT * FROM pair WHERE pk='o' AND sk='1'";
    let index = "SELECT * FROM pair.near WHERE pk='o' AND sk='1'";
    let returning = "UPDATE pair SET a = 1 WHERE pk='o' AND sk='1' RETURNING ALL NEW *";
    let exists = "EXISTS() must contain a single item read with additional condition";
    for (statements, nth, expected) in [
        (
            &["SELECT * FROM pair WHERE"][..],
            0,
            "Statement wasn't well formed, can't be processed: Unexpected term",
        ),
        (&[select, index], 1, "Reads on indices are not supported within transactions."),
        (
            &["SELECT * FROM nowhere WHERE pk='x'", index],
            1,
            "Reads on indices are not supported within transactions.",
        ),
        (
            &["UPDATE nowhere SET a=1 WHERE pk='x'", returning],
            1,
            "RETURNING clause is not supported in ExecuteTransaction.",
        ),
        (&["UPDATE pair.near SET a = 1 WHERE pk = 'o'"], 0, "This operation is not supported on an index"),
        (&["EXISTS(SELECT * FROM pair WHERE pk = 'o' AND sk = '1')"], 0, exists),
        (&["EXISTS(SELECT sk FROM pair WHERE pk IN ['o'] AND sk='1' AND flag='one')"], 0, exists),
        (
            &["UPDATE pair SET n = n + [1] WHERE pk='o' AND sk='1'"],
            0,
            "Incorrect operand type for operator or function; operator or function: +, operand type: L",
        ),
        (
            &["SELECT sk FROM pair WHERE pk IN ['r','r'] AND sk='1'"],
            0,
            "Overlapping conditions with range keys are not supported in where clause",
        ),
        (
            &["INSERT INTO pair VALUE {'pk':'b','sk':'1','x':[<<'a','a'>>]}"],
            0,
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
        ),
    ] {
        check_invalid(&db, statements, nth, expected);
    }
    // EXISTS takes the first of two values, and the second one for a condition.
    let failed =
        transact(&db, &["EXISTS(SELECT * FROM pair WHERE pk='o' AND sk='1' AND pk='p' AND flag='o1')"]);
    assert_eq!(reasons(failed)[0].0, CancellationCode::ConditionalCheckFailed);
    let mixed = transact(&db, &[select, "DELETE FROM pair WHERE pk='o' AND sk='1'"]).unwrap_err();
    assert_eq!(
        mixed.to_string(),
        "ExecuteTransaction API does not support both read and write operations in the same request."
    );
    assert!(transact(&db, &[]).is_err());
    assert!(transact(&db, &vec![select; 101]).is_err());
    let twice = ["UPDATE pair SET a = 1 WHERE pk='o' AND sk='1'", "DELETE FROM pair WHERE pk='o' AND sk='1'"];
    assert_eq!(
        transact(&db, &twice).unwrap_err().to_string(),
        "Transaction request cannot include multiple operations on one item"
    );
}

#[test]
fn a_token_makes_a_transaction_of_statements_be_done_once() {
    let db = in_memory();
    db.put_item("hash", json!({"pk": "a", "n": 0})).unwrap();
    let add = |token: &str, n: i64| {
        let text = "UPDATE hash SET n = n + ? WHERE pk = 'a'";
        db.statement_transaction().statement(text, vec![n.into()]).token(token).execute()
    };
    add("one", 1).unwrap();
    add("one", 1).unwrap();
    assert_eq!(get(&db, "a").unwrap()["n"], 1);
    assert!(matches!(add("one", 2), Err(Error::IdempotentParameterMismatch)));
    add("two", 2).unwrap();
    assert_eq!(get(&db, "a").unwrap()["n"], 3);
}

#[test]
fn statements_through_a_deferred_target_are_seen_when_they_are_settled() {
    let db = in_memory();
    let writes = db.deferred();
    let insert = |key: &str| format!("INSERT INTO hash VALUE {{'pk': '{key}'}}");
    writes.statement(&insert("a")).execute().unwrap();
    let batch = [insert("b"), insert("a")];
    let done = batch.iter().fold(writes.statement_batch(), |batch, text| batch.statement(text, vec![]));
    let done = done.execute().unwrap();
    assert!(done[0].item.is_ok() && matches!(done[1].item, Err(Error::DuplicateItem)));
    writes.statement_transaction().statement(&insert("c"), vec![]).execute().unwrap();
    assert!(writes.statement("SELECT * FROM hash").execute().unwrap().items.is_empty());
    db.settle(writes.pending()).unwrap();
    assert_eq!(column(&db, "SELECT * FROM hash", "pk"), ["a", "b", "c"]);
    assert_eq!(writes.statement("SELECT * FROM hash").execute().unwrap().items.len(), 3);
}

#[test]
fn a_page_says_how_many_items_were_looked_at() {
    let db = in_memory();
    for sk in ["a", "b", "c", "d"] {
        run(&db, &format!("INSERT INTO pair VALUE {{'pk': 'p', 'sk': '{sk}', 'n': {}}}", sk == "d"));
    }
    let page = |text: &str, limit| {
        let page = db.statement(text).limit(limit).execute().unwrap();
        (page.items.len(), page.scanned_count, page.next_token.is_some())
    };
    assert_eq!(page("SELECT * FROM pair", 3), (3, 3, true));
    assert_eq!(page("SELECT * FROM pair WHERE n = true", 3), (0, 3, true));
    assert_eq!(page("SELECT * FROM pair WHERE n = true", 9), (1, 4, false));
    assert_eq!(page("SELECT * FROM pair WHERE pk IN ['a', 'p'] AND sk IN ['a', 'c', 'x']", 9), (2, 2, false));
    assert_eq!(page("DELETE FROM pair WHERE pk = 'p' AND sk = 'a' RETURNING ALL OLD *", 9), (1, 0, false));
}
