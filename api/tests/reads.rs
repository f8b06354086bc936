//! What reads are told in DynamoDB's language, and what they say of themselves: key conditions, projections, counts of pages.

mod common;

use common::{events, pick, things};
use dynamite_core::api::{DynaMite, PageCount};
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Item};
use serde::Deserialize;
use serde_json::{Value, json};

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Error>, text: &str) {
    let error = result.expect_err("it must be refused");
    assert!(matches!(error.cause(), Error::Expression(_) | Error::Validation(_)), "{error:?}");
    assert_eq!(error.cause().to_string(), text);
}

/// Device `d` at 0..20, in two kinds; device `e` once.
fn twenty() -> DynaMite {
    let db = events(KeyType::Number);
    for at in 0..20 {
        let kind = if at % 5 == 0 { "rare" } else { "usual" };
        db.put_item("events", json!({"device": "d", "at": at, "kind": kind, "name": {"first": at}})).unwrap();
    }
    db.put_item("events", json!({"device": "e", "at": 3, "kind": "rare"})).unwrap();
    db
}

#[test]
fn a_key_condition_finds_what_the_methods_find() {
    let db = twenty();
    let by_text = |text| {
        let query = db.query("events").key_condition(text).name("#at", "at").value(":d", "d");
        move |values: &[(&str, i64)]| {
            let query = values.iter().fold(query, |query, (name, value)| query.value(name, *value));
            query.execute().unwrap()
        }
    };
    let by_methods = || db.query("events").partition_key("d");
    for (found, expected) in [
        (by_text("device = :d AND #at = :a")(&[(":a", 4)]), by_methods().sort_key_eq(4)),
        (by_text("#at < :a AND device = :d")(&[(":a", 4)]), by_methods().sort_key_lt(4)),
        (by_text("device = :d AND :a >= #at")(&[(":a", 4)]), by_methods().sort_key_le(4)),
        (by_text("device = :d AND #at > :a")(&[(":a", 4)]), by_methods().sort_key_gt(4)),
        (by_text("device = :d AND #at >= :a")(&[(":a", 4)]), by_methods().sort_key_ge(4)),
        (
            by_text("(device = :d) AND (#at BETWEEN :a AND :b)")(&[(":a", 4), (":b", 7)]),
            by_methods().sort_key_between(4, 7),
        ),
    ] {
        assert_eq!(found, expected.execute().unwrap());
    }
    let all = db.query("events").key_condition("device = :d").value(":d", "d");
    assert_eq!(
        all.scan_forward(false).execute().unwrap(),
        by_methods().scan_forward(false).execute().unwrap()
    );

    let texts = events(KeyType::String);
    for at in ["a", "ab", "b"] {
        texts.put_item("events", json!({"device": "d", "at": at})).unwrap();
    }
    let query = texts.query("events").key_condition("device = :d AND begins_with(#at, :a)").name("#at", "at");
    assert_eq!(query.value(":d", "d").value(":a", "a").count().unwrap(), 2);
}

/// `#k` stands in the projection and in the filter, `:d` in the key condition and in the filter.
#[test]
fn key_condition_filter_and_projection_share_their_placeholders() {
    let db = twenty();
    let query = || {
        let query = db.query("events").key_condition("device = :d AND #at >= :five").filter("#k <> :d");
        let query = query.projection("#k, #n.#f").name("#at", "at").name("#k", "kind").name("#n", "name");
        query.name("#f", "first").value(":d", "d").value(":five", 5).limit(2)
    };
    let page = query().execute().unwrap();
    let expected =
        [json!({"kind": "rare", "name": {"first": 5}}), json!({"kind": "usual", "name": {"first": 6}})];
    assert_eq!(page.items, expected);
    let next = query().exclusive_start_key(page.last_evaluated_key.unwrap()).execute().unwrap();
    assert_eq!(next.items[0]["name"]["first"], 7);
    assert_eq!(query().iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), expected);
}

#[test]
fn a_key_condition_that_is_none_is_refused() {
    let db = twenty();
    let query = |text| db.query("events").key_condition(text).value(":d", "d");
    says(query("device = :d AND kind = :d").execute(), "Query condition missed key schema element: at");
    says(query("kind = :d").execute(), "Query condition missed key schema element: device");
    says(query("device > :d").execute(), "Query key condition not supported");
    says(
        query("device = :d AND size(kind) > :d").execute(),
        "KeyConditionExpressions cannot contain nested operations",
    );
    says(
        query("device = :d AND #at = :d").name("#at", "at").execute(),
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    );
    says(
        db.query("events").key_condition("device = :d").value(":d", "").execute(),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string \
         value. Key: device",
    );
    let mixed = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
                 {KeyConditions} Expression parameters: {KeyConditionExpression}";
    says(query("device = :d").partition_key("d").execute(), mixed);
    says(query("device = :d").sort_key_eq(1).count(), mixed);
    says(query("device = :d").sort_key_eq(f64::NAN).count_page(), mixed);
    // What is wrong for every table is said before the table is looked for.
    says(
        db.query("nothing").key_condition("device = ").execute(),
        "Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \"= \"",
    );
    says(db.query("nothing").key_condition("a = :d").partition_key(1).value(":d", 1).iter().map(drop), mixed);
}

#[test]
fn the_filter_of_a_query_may_not_mention_the_key() {
    let db = twenty();
    let text = "Filter Expression can only contain non-primary key attributes: Primary key attribute: at";
    let filtered =
        |filter| db.query("events").partition_key("d").filter(filter).name("#at", "at").value(":n", 3);
    says(filtered("#at < :n").execute(), text);
    says(filtered("kind = :n OR NOT attribute_exists(#at) AND size(kind) > :n").count(), text);
    let by_text = db.query("events").key_condition("device = :d").filter("#at < :n").name("#at", "at");
    says(by_text.value(":d", "d").value(":n", 3).execute(), text);
    let device = db.query("events").partition_key("d").filter("device = :d").value(":d", "d");
    says(
        device.execute(),
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: device",
    );
    // A scan's may.
    let scan = db.scan("events").filter("#at < :n AND device = :d").name("#at", "at").value(":n", 3);
    assert_eq!(scan.value(":d", "d").count().unwrap(), 3);
}

#[derive(Debug, PartialEq, Deserialize)]
struct Address {
    city: String,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Part {
    address: Address,
    tags: Vec<String>,
}

#[test]
fn every_read_takes_a_projection() {
    let db = events(KeyType::Number);
    let item = json!({"device": "d", "at": 1, "address": {"city": "Bern", "zip": 3000}, "tags": ["a", "b", "c"], "n": 7});
    let version = db.put_item("events", &item).unwrap();
    db.put_item("events", json!({"device": "d", "at": 2, "n": 8})).unwrap();
    let text = "#a.city, tags[2], tags[0]";
    let part = json!({"address": {"city": "Bern"}, "tags": ["a", "c"]});
    let exact: Item =
        dynamite_core::item_codec::decode(&dynamite_core::item_codec::encode_json(&part).unwrap()).unwrap();
    let typed = || Part { address: Address { city: "Bern".into() }, tags: vec!["a".into(), "c".into()] };

    let get = || db.get_item("events").partition_key("d").sort_key(1).projection(text).name("#a", "address");
    assert_eq!(get().execute().unwrap(), Some(part.clone()));
    assert_eq!(get().execute_item().unwrap(), Some(exact.clone()));
    assert_eq!(get().execute_as::<Part>().unwrap(), Some(typed()));
    let versioned = db.get_item_versioned("events").partition_key("d").sort_key(1).projection(text);
    let versioned = versioned.name("#a", "address").execute().unwrap().unwrap();
    assert_eq!((versioned.item, versioned.version), (part.clone(), version));

    let batch = || {
        let batch = db.batch_get().get_sorted("events", "d", 1).get_sorted("events", "d", 9);
        batch.projection("events", text).name("events", "#a", "address")
    };
    assert_eq!(batch().execute().unwrap(), [Some(part.clone()), None]);
    assert_eq!(batch().execute_items().unwrap()[0], Some(exact.clone()));
    assert_eq!(batch().execute_as::<Part>().unwrap()[0], Some(typed()));
    let by_names =
        db.batch_get().get_sorted("events", "d", 1).attributes("events", ["n", "x"]).execute().unwrap();
    assert_eq!(by_names, [Some(json!({"n": 7}))]);

    let query = || db.query("events").partition_key("d").projection(text).name("#a", "address");
    // Of the second item nothing is left, and it is returned all the same.
    assert_eq!(query().execute().unwrap().items, [part.clone(), json!({})]);
    assert_eq!(query().execute_items().unwrap().items, [exact.clone(), Item::new()]);
    assert_eq!(query().limit(1).execute_as::<Part>().unwrap().items, [typed()]);
    assert_eq!(query().iter().unwrap().map(Result::unwrap).next(), Some(part.clone()));
    let scan = || db.scan("events").projection(text).name("#a", "address").limit(1);
    assert_eq!(scan().execute().unwrap().items, std::slice::from_ref(&part));
    assert_eq!(scan().iter_items().unwrap().next().unwrap().unwrap(), exact);
    assert_eq!(scan().iter_as::<Part>().unwrap().next().unwrap().unwrap(), typed());

    let snapshot = db.snapshot().unwrap();
    let get = snapshot.get_item("events").partition_key("d").sort_key(1).projection("n, device");
    assert_eq!(get.execute().unwrap(), Some(json!({"device": "d", "n": 7})));
}

#[test]
fn a_projection_that_is_none_is_refused() {
    let db = twenty();
    let get = |text| db.get_item("events").partition_key("d").sort_key(1).projection(text);
    says(
        get("a.b, a").execute(),
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these \
         paths; path one: [a, b], path two: [a]",
    );
    says(get("").execute(), "Invalid ProjectionExpression: The expression can not be empty;");
    says(
        get("name").execute(),
        "Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: name",
    );
    says(
        get("kind").name("#x", "y").execute(),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
    );
    let inside = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: device";
    says(get("device.x").execute(), inside);
    says(db.query("events").partition_key("d").projection("device[0]").execute(), inside);
    says(db.scan("events").projection("device.x").iter().map(drop), inside);
    says(db.batch_get().get_sorted("events", "d", 1).projection("events", "device.x").execute(), inside);
    let mixed = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
                 {AttributesToGet} Expression parameters: {ProjectionExpression}";
    says(get("kind").attributes(["kind"]).execute(), mixed);
    says(db.get_item_versioned("events").attributes(["kind"]).projection("kind").execute(), mixed);
    says(db.scan("events").attributes(["kind"]).projection("kind").execute(), mixed);
    let batch = || db.batch_get().get_sorted("events", "d", 1);
    says(batch().attributes("events", ["kind"]).projection("events", "kind").execute(), mixed);
    says(
        batch().projection("others", "kind").execute(),
        "a projection is given for table others, of which no item is asked for",
    );
    says(
        db.get_item("nothing").partition_key(1).projection("a b").execute(),
        "Invalid ProjectionExpression: Syntax error; token: \"b\", near: \"a b\"",
    );
}

/// Entries of JSON's markers are escaped, whichever part of an item is left.
#[test]
fn a_projection_escapes_what_json_would_take_for_a_marker() {
    let db = things();
    let item = json!({"id": "a", "$binary": "no", "m": {"$number": 1, "x": 2}});
    db.put_item("things", &item).unwrap();
    for (text, expected) in [
        ("#b", json!({"$$binary": "no"})),
        ("m.#n", json!({"m": {"$$number": 1}})),
        ("#b, m.x", json!({"$binary": "no", "m": {"x": 2}})),
    ] {
        let get = db.get_item("things").partition_key("a").projection(text);
        let get = if text.contains("#b") { get.name("#b", "$binary") } else { get };
        let get = if text.contains("#n") { get.name("#n", "$number") } else { get };
        assert_eq!(get.execute().unwrap(), Some(expected), "{text}");
    }
}

#[test]
fn pages_of_counts_join_without_gap() {
    let db = events(KeyType::Number);
    for at in 0..60 {
        // Some three megabytes.
        let item = json!({"device": "d", "at": at, "odd": at % 2 == 1, "text": "x".repeat(50_000)});
        db.put_item("events", item).unwrap();
    }
    for limit in [None, Some(7), Some(1), Some(60)] {
        let (mut items, mut counted, mut start, mut ends) = (0, 0, None::<Value>, 0);
        loop {
            let query = || {
                let query = db.query("events").partition_key("d").filter("odd = :t").value(":t", true);
                let query = match limit {
                    Some(limit) => query.limit(limit),
                    None => query,
                };
                match &start {
                    Some(key) => query.exclusive_start_key(key),
                    None => query,
                }
            };
            let (page, count) = (query().execute().unwrap(), query().count_page().unwrap());
            let expected = PageCount {
                count: page.items.len(),
                scanned_count: page.scanned_count,
                last_evaluated_key: page.last_evaluated_key,
            };
            assert_eq!(count, expected);
            items += count.count;
            counted += count.scanned_count;
            ends += 1;
            start = count.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        assert_eq!((items, counted), (30, 60), "limit {limit:?}");
        assert!(limit.is_some() || ends == 3, "a megabyte holds 21 of them, but there were {ends} pages");
    }
    let halves = (0..2).map(|nth| db.scan("events").segment(nth, 2).limit(9).count_page().unwrap().count);
    assert_eq!(halves.sum::<usize>(), 9, "all are in one partition");
    assert_eq!(pick(&db.scan("events").limit(2).execute().unwrap().items, "at"), [0, 1]);
}
