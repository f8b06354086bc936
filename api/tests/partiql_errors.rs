//! What DynamoDB answers to statements that are wrong, text by text. The texts are those that were recorded of the service.

use dynamite_core::api::{DynaMite, GlobalIndex, LocalIndex, Projection};
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Error};
use serde_json::json;

/// Tables `hash` (a string `pk`), `numbers` (a number `pk`) and `pair` (strings `pk` and `sk`, with indexes).
fn tables() -> DynaMite {
    let db = DynaMite::in_memory().unwrap();
    db.create_table("hash").partition_key("pk", KeyType::String).execute().unwrap();
    db.create_table("numbers").partition_key("pk", KeyType::Number).execute().unwrap();
    let global = |name: &str, projection| {
        GlobalIndex::new(name).partition_key("g", KeyType::String).projection(projection)
    };
    let two = GlobalIndex::new("two").partition_key("g", KeyType::String).partition_key("h", KeyType::String);
    db.create_table("pair")
        .partition_key("pk", KeyType::String)
        .sort_key("sk", KeyType::String)
        .global_index(global("inc", Projection::include(["held"])))
        .global_index(global("keys", Projection::KeysOnly))
        .global_index(two)
        .local_index(LocalIndex::new("near").sort_key("l", KeyType::String).projection(Projection::KeysOnly))
        .execute()
        .unwrap();
    db.put_item("hash", json!({"pk": "x", "ss": {"$ss": ["a", "b"]}, "s": "str", "n": 1})).unwrap();
    db
}

#[track_caller]
fn check_with(db: &DynaMite, statement: &str, parameters: Vec<AttributeValue>, expected: &str) {
    let error = db.statement(statement).parameters(parameters).execute().expect_err(statement);
    assert_eq!(error.to_string(), expected, "{statement}");
}

#[track_caller]
fn check(db: &DynaMite, statement: &str, expected: &str) {
    check_with(db, statement, Vec::new(), expected);
}

#[track_caller]
fn check_malformed(db: &DynaMite, statement: &str, detail: &str) {
    check(db, statement, &format!("Statement wasn't well formed, can't be processed: {detail}"));
}

#[test]
fn what_is_left_over_is_refused() {
    let db = tables();
    for statement in [
        "SELECT * FROM numbers WHERE pk = 1 foo",
        "SELECT * FROM numbers WHERE pk = 1 e5",
        "INSERT INTO numbers VALUE {'pk': 970001} foo",
        "UPDATE numbers SET a = 9 WHERE pk = 970002 foo",
        "DELETE FROM numbers WHERE pk = 970003 foo",
        "SELECT * FROM numbers WHERE pk = 1)",
        "DELETE FROM numbers WHERE pk = 970004 ORDER BY pk",
        "SELECT * FROM numbers ORDER BY pk WHERE pk = 1",
        "INSERT INTO hash t VALUE {'pk': 'x'}",
        "SELECTT * FROMM \"hash\"",
        "FROM hash SET c = 1 WHERE pk = 'x'",
        "FROM hash SET c = 1 WHERE pk = 'x' SET d = 2",
    ] {
        check_malformed(&db, statement, "Unexpected token after expression");
    }
    assert_eq!(db.scan("numbers").count().unwrap(), 0);
}

#[test]
fn what_cannot_be_cut_into_tokens_is_told_without_a_detail() {
    let db = tables();
    for statement in [
        "SELECT * FROM numbers WHERE pk = 1e2147483648",
        "SELECT * FROM numbers WHERE pk = 1e99999999999",
        "SELECT * FROM numbers WHERE pk = 1.5e-2147483647",
        "SELECT * FROM numbers WHERE pk = 1 # note",
        "SELECT * FROM numbers WHERE pk = 1 /* note",
        "SELECT * FROM \"hash",
        "SELECT * FROM hash WHERE pk = 'x",
    ] {
        check_malformed(&db, statement, "");
    }
}

#[test]
fn a_syntax_error_says_what_was_not_expected() {
    let db = tables();
    for (statement, detail) in [
        ("SLECT * FROM hash WHERE pk = 'x'", "Expected data manipulation"),
        ("SELECT * FROM hash WHERE", "Unexpected term"),
        ("SELECT * FROM hash WHERE;", "Unexpected term"),
        ("SELECT * FROM hash WHERE   ", "Unexpected term"),
        ("SELECT pk FROM hash WHERE", "Unexpected term"),
        ("UPDATE hash SET a = 1 WHERE", "Unexpected term"),
        ("DELETE FROM hash WHERE", "Unexpected term"),
        ("SELECT * FROM hash WHERE NOT", "Unexpected term"),
        ("SELECT * FROM hash WHERE (", "Unexpected term"),
        ("SELECT * FROM nowhere WHERE", "Unexpected term"),
        ("SELECT * FROM", "Unexpected term"),
        ("SELECT * FROM hash WHERE pk = 'p1' AND", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM hash WHERE pk = 'p1' OR", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM hash WHERE ORDER BY pk", "Unexpected keyword"),
        ("SELECT * FROM hash WHERE pk = 'a' AND x IS FOO", "Expected type name"),
        ("SELECT * FROM hash WHERE IS NULL", "Unexpected operator"),
        ("SELECT * FROM hash WHERE pk = LIKE", "Unexpected operator"),
        ("DELETE FROM", "Expected identifier for simple path"),
        ("DELETE FROM   ", "Expected identifier for simple path"),
        ("DELETE FROM;", "Expected identifier for simple path"),
        ("DELETE FROM WHERE pk = 'a'", "Expected identifier for simple path"),
        ("SELECT * FROM hash WHERE pk = 'x' AND attribute_exists(m.inner)", "Invalid path dot component"),
        ("UPDATE hash SET m.inner = set_add(m.inner, <<'y'>>) WHERE pk = 'x'", "Invalid path dot component"),
        ("SELECT * FROM pair.two WHERE", "Unexpected term"),
        ("FROM hash WHERE pk = 'x'", "Expected data manipulation"),
        ("UPDATE hash WHERE pk = 'x'", "Expected data manipulation"),
    ] {
        check_malformed(&db, statement, detail);
    }
}

#[test]
fn what_means_nothing_here_is_named() {
    let db = tables();
    let no_key = "Where clause does not contain a mandatory equality on all key attributes";
    for (statement, expected) in [
        ("SELECT * FROM hash t WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT * FROM hash AS t WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT s AS x FROM hash", "Aliasing is not supported"),
        ("UPDATE hash t SET a = 3 WHERE pk = 'x'", "Aliasing is not supported"),
        ("DELETE FROM hash t WHERE pk = 'x'", "Aliasing is not supported"),
        ("x IS INT4", "Unsupported operation: IsType"),
        ("x IS DOUBLE PRECISION", "Unsupported operation: IsType"),
        ("SELECT * FROM hash LIMIT 1", "Unsupported clause: LIMIT"),
        ("SELECT s, s FROM hash", "Duplicate identifiers in select clause: s"),
        ("SELECT m.z, z FROM hash", "Duplicate identifiers in select clause: z"),
        ("SELECT * FROM \"\" WHERE pk = 'p'", "Path component cannot be an empty string"),
        ("SELECT * FROM pair.\"\" WHERE pk = 'p'", "Path component cannot be an empty string"),
        (
            "SELECT * FROM pair.inc.more WHERE pk = 'p'",
            "A path may contain at most 2 components in the FROM clause",
        ),
        ("SELECT * FROM pair.nothing WHERE pk = 'p'", "The table does not have the specified index"),
        (
            "SELECT * FROM pair.two WHERE g = 5",
            "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.",
        ),
        (
            "INSERT INTO pair.inc VALUE {'pk': 'a', 'sk': 'b'}",
            "FROM clause may only contain a single table name in data manipulation statements",
        ),
        (
            "UPDATE pair.inc SET a = 1 WHERE pk = 'p' AND sk = 's'",
            "This operation is not supported on an index",
        ),
        ("DELETE FROM pair.inc WHERE pk = 'p' AND sk = 's'", "This operation is not supported on an index"),
        (
            "DELETE FROM hash WHERE pk = 'x' RETURNING MODIFIED OLD *",
            "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
        (
            "EXISTS(SELECT * FROM hash WHERE pk = 'x' AND a IS MISSING)",
            "EXISTS can only be used in ExecuteTransaction write requests.",
        ),
        ("FROM hash SET c = 1", no_key),
        ("FROM hash REMOVE a", no_key),
        ("FROM hash WHERE a = 1 SET c = 1", no_key),
        ("DELETE FROM hash WHERE a = 'alpha'", no_key),
        ("DELETE FROM hash WHERE pk IN ['x']", no_key),
        ("UPDATE pair SET a = 1 WHERE pk = 'x'", no_key),
        (
            "UPDATE pair SET a=1 WHERE pk='conflict' AND sk='1' AND pk='other'",
            "Multiple conditions on same key pk. Only single item Update/Insert/Delete are supported",
        ),
        ("FROM nowhere WHERE pk = 'x' SET c = 1", "Requested resource not found: Table: nowhere not found"),
    ] {
        check(&db, statement, expected);
    }
    assert_eq!(db.scan("hash").count().unwrap(), 1);
}

#[test]
fn a_place_in_the_statement_is_told_where_the_service_tells_it() {
    let db = tables();
    let update = |set: &str| format!("UPDATE hash SET {set} WHERE pk = 'x'");
    for (statement, expected) in [
        (
            "SELECT l[-1] FROM hash WHERE pk='index'".to_owned(),
            "List index is not within the allowable range; index: [-1] at 1:11:1",
        ),
        (
            "SELECT l[2147483648] FROM hash WHERE pk='index'".to_owned(),
            "List index is not within the allowable range; index: [2147483648] at 1:10:10",
        ),
        ("SELECT attribute_exists(ss) FROM hash".to_owned(), "Unexpected path component at 1:8:16"),
        (
            "SELECT * FROM hash WHERE pk = 'x' AND EXISTS(ss)".to_owned(),
            "Unrecognized function: exists at 1:39:6",
        ),
        (
            "SELECT * FROM hash\nWHERE set_add(ss, <<'x'>>) = ss".to_owned(),
            "Unrecognized function: set_add at 2:7:7",
        ),
        (
            update("t = set_add(ss, <<'x'>>)"),
            "The first argument to SET_ADD must equal the assignment value at 1:21:7",
        ),
        (
            update("ss = set_add(<<'a'>>, <<'b'>>)"),
            "The first argument to SET_ADD must equal the assignment value at 1:22:7",
        ),
        (
            update("ss = set_add(ss, 'x')"),
            "The second argument to SET_ADD must be a value with type SET at 1:30:2",
        ),
        (
            update("\"ss\" = set_delete(\"ss\", ['x'])"),
            "The second argument to SET_DELETE must be a value with type SET at 1:35:4",
        ),
        (update("ss = set_add(ss)"), "SET_ADD must have exactly two arguments at 1:22:7"),
        (update("ss = set_add(ss, <<'x'>>, <<'y'>>)"), "SET_ADD must have exactly two arguments at 1:22:7"),
        (
            "INSERT INTO hash VALUE {'pk': 'i', 'ss': set_add(<<'a'>>, <<'b'>>)}".to_owned(),
            "Unsupported data type: set_add under key root at 1:42:7",
        ),
    ] {
        check(&db, &statement, expected);
    }
}

#[test]
fn values_that_are_none_are_refused() {
    let db = tables();
    let over = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    let under = "Number underflow. Attempting to store a number with magnitude smaller than supported range";
    let invalid = "One or more parameter values were invalid: Input collection";
    for (statement, expected) in [
        ("SELECT * FROM numbers WHERE pk = 1e126", format!("{over} under root")),
        ("SELECT * FROM numbers WHERE pk = 1e-131", format!("{under} under root")),
        (
            "SELECT * FROM numbers WHERE pk = 123456789012345678901234567890123456789",
            "Attempting to store more than 38 significant digits in a Number under root".to_owned(),
        ),
        ("INSERT INTO numbers VALUE {'pk': 1e126}", format!("{over} under root")),
        ("UPDATE numbers SET a = 1e-131 WHERE pk = 1", format!("{under} under root")),
        ("INSERT INTO numbers VALUE {'pk': 1, 'm': {'x': 1e126}}", format!("{over} under root.x")),
        ("INSERT INTO numbers VALUE {'pk': 1, 'l': [1, 1e126]}", format!("{over} under root[1]")),
        ("INSERT INTO hash VALUE {'pk':'bag', 's':<<>>}", "Empty bags are not supported".to_owned()),
        (
            "INSERT INTO hash VALUE {'pk':'bag', 's':<<1, 'a'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"
                .to_owned(),
        ),
        (
            "INSERT INTO hash VALUE {'pk':'bag', 's':<<'a', 'a'>>}",
            format!("{invalid} [a, a] contains duplicates."),
        ),
        (
            "UPDATE hash SET n = set_add(n, <<2, 2.0>>) WHERE pk = 'x'",
            format!("{invalid} [2, 2.0] contains duplicates! under root"),
        ),
        (
            "SELECT * FROM hash WHERE pk = 'x' AND s = <<'a','a'>>",
            format!("{invalid} [a, a] contains duplicates."),
        ),
    ] {
        check(&db, statement, &expected);
    }
    let parameter = || vec![AttributeValue::from("v")];
    check_with(
        &db,
        "UPDATE hash SET x = [?] WHERE pk='x'",
        parameter(),
        "Unsupported data type: Parameter under key root[0] at 1:22:1",
    );
    check_with(
        &db,
        "INSERT INTO hash VALUE {'pk':'l','m':{'k':?}}",
        parameter(),
        "Unsupported data type: Parameter under key root.k at 1:43:1",
    );
    check(
        &db,
        "SELECT * FROM hash WHERE pk = ?",
        "Number of parameters in request and statement don't match.",
    );
    assert_eq!(db.scan("hash").count().unwrap() + db.scan("numbers").count().unwrap(), 1);
}

#[test]
fn a_value_of_more_than_32_levels_is_refused_where_it_begins() {
    let db = tables();
    let update = |value: String| format!("UPDATE hash SET d = {value} WHERE pk='x'");
    let deep = "Nesting Levels have exceeded supported limits under root";
    let maps = |depth: usize| format!("{}1{}", "{'a':".repeat(depth), "}".repeat(depth));
    let lists = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    check(&db, &update(maps(32)), &format!("{deep}{}", ".a".repeat(32)));
    check(&db, &update(format!("{{'a':{}}}", lists(31))), &format!("{deep}.a{}", "[0]".repeat(31)));
    check(&db, &update(lists(4000)), &format!("{deep}{}", "[0]".repeat(32)));
    db.statement(&update(maps(31))).execute().unwrap();
    // Parentheses, NOT and signs may be as deep as they like: none of them calls itself.
    for (open, close) in [("(", ")"), ("NOT ", ""), ("- ", ""), ("size(", ")"), ("a.b[0] = ", "")] {
        let count = 8000 / (open.len() + close.len());
        let text = format!("SELECT * FROM hash WHERE {}pk{}", open.repeat(count), close.repeat(count));
        assert!(matches!(db.statement(&text).execute(), Err(Error::Statement(_))), "{open}");
    }
}

#[test]
fn functions_and_operators_have_the_operands_that_expressions_have() {
    let db = tables();
    let condition = |condition: &str| format!("SELECT * FROM hash WHERE pk = 'x' AND {condition}");
    let required = "Operator or function requires a document path; operator or function: attribute_exists";
    let operand = "Incorrect operand type for operator or function; operator or function:";
    let number = "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands:";
    for (text, expected) in [
        ("attribute_exists('ss')", required.to_owned()),
        ("attribute_exists()", format!("{number} 0")),
        ("attribute_exists(ss, ns)", format!("{number} 2")),
        ("attribute_type(l, 1)", format!("{operand} attribute_type, operand type: N")),
        ("attribute_type(l, true)", format!("{operand} attribute_type, operand type: BOOL")),
        (
            "attribute_type(s, 'X')",
            "Invalid attribute type name found; type: X, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}"
                .to_owned(),
        ),
        ("attribute_exists(n) > false", format!("{operand} >, operand type: BOOL")),
        ("a < true", format!("{operand} <, operand type: BOOL")),
        ("a BETWEEN true AND false", format!("{operand} BETWEEN, operand type: BOOL")),
        ("s = MISSING", "MISSING must be compared using IS operator".to_owned()),
        ("s", "The arguments to AND/OR must be Expressions".to_owned()),
        ("n > -?", "Unsupported operator in Condition Expression. Operator: -".to_owned()),
    ] {
        check_with(&db, &condition(text), vec![AttributeValue::from(1)], &expected);
    }
    check_with(&db, &condition("attribute_exists(?)"), vec![AttributeValue::from("ss")], required);
    let update = |set: &str| format!("UPDATE hash SET {set} WHERE pk = 'x' AND nope = 'x'");
    for (set, expected) in [
        ("n = 'a' + 1", format!("{operand} +, operand type: S")),
        ("n = n - null", format!("{operand} -, operand type: NULL")),
        ("n = n + [1]", format!("{operand} +, operand type: L")),
        ("pk = 'y'", "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key".to_owned()),
    ] {
        check(&db, &update(set), &expected);
    }
    let wrong = "An operand in the update expression has an incorrect data type";
    for (set, expected) in [
        ("ss = set_add(ss, <<1>>)", wrong),
        ("s = set_add(s, <<'x'>>)", wrong),
        ("ss = set_delete(ss, <<1>>)", wrong),
        (
            "l = list_append(l, [1])",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        ("m.x = 1", "The document path provided in the update expression is invalid for update"),
    ] {
        check(&db, &format!("UPDATE hash SET {set} WHERE pk = 'x'"), expected);
    }
}

#[test]
fn too_many_operators_values_and_characters_are_refused() {
    let db = tables();
    let values = |count: usize| (0..count).map(|nth| format!("'v{nth}'")).collect::<Vec<_>>().join(",");
    let operands = "The IN operator is provided with too many operands; number of operands: 101";
    let reads = "Too many decomposed read operations for a given query.";
    check(&db, &format!("SELECT * FROM hash WHERE pk='r' AND flag IN [{}]", values(101)), operands);
    check(&db, &format!("UPDATE hash SET t=1 WHERE pk='x' AND flag IN [{}]", values(101)), operands);
    check(&db, &format!("SELECT * FROM hash WHERE pk IN [{}]", values(51)), reads);
    check(&db, &format!("SELECT * FROM pair WHERE pk='r' AND sk IN [{}]", values(51)), reads);
    check(&db, &format!("SELECT * FROM pair WHERE pk IN [{}] AND sk IN ['1','2']", values(26)), reads);
    for accepted in [
        format!("SELECT * FROM hash WHERE pk IN [{}] AND flag IN [{}]", values(50), values(100)),
        format!("SELECT * FROM hash WHERE pk IN [{}] OR flag = 'one'", values(51)),
    ] {
        db.statement(&accepted).execute().unwrap();
    }
    let many = (0..301).map(|_| "a=1").collect::<Vec<_>>().join(" OR ");
    check(
        &db,
        &format!("SELECT * FROM hash WHERE {many}"),
        "The expression contains too many operators; operator count: 301",
    );
    // Each comparison of conditions says both of them twice.
    let nested = format!("{}a=1{}", "(".repeat(200), "=b)".repeat(200));
    check(
        &db,
        &format!("SELECT * FROM hash WHERE {nested} = (c = 1)"),
        "The expression contains too many operators; operator count: 301",
    );
    // So does a list that a condition is looked for in, with each of its elements.
    let chain = ('a'..='m').map(String::from).collect::<Vec<_>>().join("=");
    let found_in = |count: usize| {
        format!("UPDATE hash SET z=1 WHERE pk='x' AND ({chain}) IN [{}]", vec!["true"; count].join(","))
    };
    check(&db, &found_in(1_600), &operands.replace("101", "1600"));
    check(&db, &found_in(100), "The expression contains too many operators; operator count: 301");
    let length = |bound| {
        format!(
            "1 validation error detected: Value at 'statement' failed to satisfy constraint: Member must have length {bound}"
        )
    };
    check(&db, "", &length("greater than or equal to 1"));
    check(
        &db,
        &format!("SELECT * FROM hash{}", " ".repeat(8192 - 17)),
        &length("less than or equal to 8192"),
    );
    db.statement(&format!("SELECT * FROM hash{}", " ".repeat(8192 - 18))).execute().unwrap();
}

#[test]
fn conditions_on_keys_must_fit_and_not_meet() {
    let db = tables();
    let overlap = "Overlapping conditions with range keys are not supported in where clause";
    for condition in [
        "pk IN ['r','r']",
        "pk='r' OR pk='r'",
        "pk='r' AND (sk > '0' OR sk < '5')",
        "pk='r' AND (sk='1' OR flag='two')",
        "(pk='r' AND flag='one') OR (pk='r' AND flag='two')",
        "pk = 'a' AND x = '1' OR pk = 'a' AND sk = '2'",
        "pk = 'a' AND x <> '1' OR pk = 'a' AND sk = '2'",
    ] {
        check(&db, &format!("SELECT sk FROM pair WHERE {condition}"), overlap);
    }
    let kind =
        |name| format!("Key attribute's data type should match its data type in table's schema: Key {name}");
    check(&db, "SELECT sk FROM pair WHERE pk = 1 OR pk = 'r'", &kind("pk"));
    check(&db, "SELECT sk FROM pair WHERE pk = 'r' AND sk IN ['1', 2]", &kind("sk"));
    check(&db, "UPDATE pair SET a = 1 WHERE pk = 'r' AND sk = 1", &kind("sk"));
    for accepted in ["pk='r' OR sk='1'", "pk > 1", "pk = 'a' AND pk = 'b'"] {
        assert!(
            db.statement(&format!("SELECT sk FROM pair WHERE {accepted}"))
                .execute()
                .unwrap()
                .items
                .is_empty()
        );
    }
}

#[test]
fn an_order_must_be_one_that_a_query_can_give() {
    let db = tables();
    for (rest, expected) in [
        ("ORDER BY sk", "Must have WHERE clause in the statement when using ORDER BY clause."),
        (
            "WHERE pk = 'o' ORDER BY Total DESC",
            "Attribute Total in ORDER BY clause must be part of the primary key",
        ),
        (
            "WHERE pk > 'a' ORDER BY sk",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE pk IN ['o', 'p'] ORDER BY sk DESC",
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ),
    ] {
        check(&db, &format!("SELECT sk FROM pair {rest}"), expected);
    }
}

#[test]
fn a_read_of_an_index_by_its_key_asks_for_what_the_index_holds() {
    let db = tables();
    let refused = |index: &str, names: &str| {
        format!(
            "One or more parameter values were invalid: Secondary index {index} does not project one or more filter \
             attributes: [{names}]"
        )
    };
    for (rest, expected) in [
        ("inc WHERE g = 'y' AND np = 'np1'", refused("inc", "np")),
        ("near WHERE pk = 'p' AND np = 'np1'", refused("near", "np")),
        ("inc WHERE g = 'y' AND np IS MISSING", refused("inc", "np")),
        ("inc WHERE g = 'y' AND NOT np = 'np1'", refused("inc", "np")),
        ("inc WHERE g IN ['y', 'z'] AND np = 'np1'", refused("inc", "np")),
        ("near WHERE pk = 'p' AND l BETWEEN 'k1' AND 'k4' AND np = 'np1'", refused("near", "np")),
        ("inc WHERE g='y' AND NOT (np='np1' OR held='x')", refused("inc", "np")),
        ("inc WHERE g='y' AND b='1' AND (a='2' OR held='3')", refused("inc", "a, b")),
        ("inc WHERE g='y' AND (zz='1' OR aa='2' OR mm='3')", refused("inc", "zz, aa, mm")),
        ("inc WHERE (g='y' OR g='z') AND zz='1'", refused("inc", "zz")),
        ("inc WHERE (g='b' AND u1='1') OR (g='q' AND u2='1')", refused("inc", "u2")),
        ("inc WHERE (g='q' AND u1='1') OR (g='b' AND u2='1')", refused("inc", "u1")),
        (
            "inc WHERE (g='y' AND zz='1') OR (g='y' AND aa='1')",
            "Overlapping conditions with range keys are not supported in where clause".to_owned(),
        ),
    ] {
        let error = db.statement(&format!("SELECT pk FROM pair.{rest}")).execute().expect_err(rest);
        assert_eq!(error.to_string(), expected, "{rest}");
    }
    for accepted in [
        "inc WHERE np = 'np1'",
        "near WHERE np = 'np1'",
        "inc WHERE np = 'np1' AND np = 'np2'",
        "inc WHERE g = 'y' AND held IS NOT MISSING",
        "inc WHERE (g = 'y' AND np = 'np1') OR (g = 'y2')",
        "inc WHERE (g='y' AND held='1') OR (g='z' AND aa='1')",
        "inc WHERE g > 'a' AND zz='1'",
        "inc WHERE g='y' AND (g='z' OR zz='1')",
        "inc WHERE (g='y' AND zz='1') OR aa='1'",
    ] {
        db.statement(&format!("SELECT pk FROM pair.{accepted}")).execute().expect(accepted);
    }
    check(
        &db,
        "SELECT np FROM pair.inc WHERE g = 'y'",
        "One or more parameter values were invalid: Global secondary index inc does not project [np]",
    );
    let consistent = db.statement("SELECT * FROM pair.inc WHERE g = 'x'").consistent(true).execute();
    assert_eq!(
        consistent.unwrap_err().to_string(),
        "Strongly consistent read is not supported on Global Secondary Indexes"
    );
}
