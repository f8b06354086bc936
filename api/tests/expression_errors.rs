//! What DynamoDB answers to expressions that are wrong, text by text, and which of several mistakes it names.

mod expressions;

use dynamite_core::expression::{ExpressionError, ExpressionKind, Expressions, Problem};
use expressions::build;
use serde_json::{Value, json};

/// The request is refused with this text.
#[track_caller]
fn check(request: Value, expected: &str) {
    let error = build(&request).expect_err(&request.to_string());
    assert_eq!(error.to_string(), expected, "{request}");
}

#[track_caller]
fn check_accepted(request: Value) {
    if let Err(error) = build(&request) {
        panic!("{request}: {error}");
    }
}

/// A filter is refused with this problem, whatever its placeholders, of which these are defined.
#[track_caller]
fn check_filter(text: &str, expected: &str) {
    check(with_placeholders("filter", text), &format!("Invalid FilterExpression: {expected}"));
}

#[track_caller]
fn check_update(text: &str, expected: &str) {
    check(with_placeholders("update", text), &format!("Invalid UpdateExpression: {expected}"));
}

#[track_caller]
fn check_projection(text: &str, expected: &str) {
    check(with_placeholders("projection", text), &format!("Invalid ProjectionExpression: {expected}"));
}

fn with_placeholders(kind: &str, text: &str) -> Value {
    json!({
        kind: text,
        "names": {"#a": "a", "#b": "b", "#i": "[3]", "#c": "c"},
        "values": {
            ":s": "text", ":n": 1, ":b": {"$binary": "YQ=="}, ":bool": true, ":null": null,
            ":m": {}, ":l": [], ":ss": {"$ss": ["a"]}, ":ns": {"$ns": [1]}, ":bs": {"$bs": ["YQ=="]},
        },
    })
}

#[test]
fn a_syntax_error_shows_the_token_and_its_neighbours() {
    for (text, token, near) in [
        ("things are not gonna be ok", "are", "things are not"),
        ("a > 4", "4", "> 4"),
        ("a-b", "-", "a-b"),
        ("a > 4.5", "4", "> 4."),
        ("attribute_exists(a) AND NOT #b", "<EOF>", "#b"),
        ("a =  ", "<EOF>", "=  "),
        ("attribute_type()", ")", "()"),
        ("attribute_exists(\"a\")", "\"", "(\"a"),
        ("attribute_exists(a..b)", ".", "..b"),
        ("tenant:abc123-x", ":abc123", "tenant:abc123-"),
        ("a in b, c", "b", "in b,"),
        ("a > between", "between", "> between"),
        ("a in (b,c,)", ")", ",)"),
        ("(a)between(b.(c.d))and(c)", "(", ".(c"),
        ("(a)between(b.c.d)and((c)", "<EOF>", ")"),
        ("#$.b > a", "#", "#$"),
        ("a > :s.stuff", ".", ":s.stuff"),
        ("b[:s] > a", ":s", "[:s]"),
        ("b[#a] > a", "#a", "[#a]"),
        ("b[] > a", "]", "[] >"),
        ("b[01] > a", "1", "01]"),
        ("b[-1] > a", "-", "[-1"),
        ("ü > a", "ü", "ü >"),
        ("a > €", "€", "> €"),
        ("size(a).b > a", ".", ").b"),
        ("(size(a))[0] > a", "[", ")[0"),
        ("(a = b) = c", "=", ") = c"),
        ("a = b = c", "=", "b = c"),
        ("a AND b", "AND", "a AND b"),
        ("a = b OR c AND d = e", "AND", "c AND d"),
        ("a = b)", ")", "b)"),
        (")", ")", ")"),
        ("a BETWEEN b OR c", "OR", "b OR c"),
        ("a BETWEEN b", "<EOF>", "b"),
        ("a = (NOT b)", "NOT", "(NOT b"),
        ("a = (b = c)", "=", "b = c"),
        ("contains(a, b = c)", "=", "b = c"),
        ("NOT", "<EOF>", "NOT"),
        ("   ", "<EOF>", ""),
        ("a,b", ",", "a,b"),
        ("a + b = c", "+", "a + b"),
    ] {
        check_filter(text, &format!("Syntax error; token: \"{token}\", near: \"{near}\""));
    }
    for (text, token, near) in [
        ("INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        ("SET", "<EOF>", "SET"),
        ("SET a", "<EOF>", "a"),
        ("ADD a", "<EOF>", "a"),
        ("ADD a 1", "1", "a 1"),
        ("ADD a b", "b", "a b"),
        ("DELETE a = :s", "=", "a = :s"),
        ("set a=set", "set", "=set"),
        ("remove a = b", "=", "a = b"),
        ("remove a b", "b", "a b"),
        ("set :s = b", ":s", "set :s ="),
        ("set a = b * c", "*", "b * c"),
        ("SET a = if_not_exists(a, 0) + :n", "0", ", 0)"),
        ("SET if_not_exists(a, b) = a", "(", "if_not_exists(a"),
        ("set (a = (b + c))", "(", "set (a"),
        ("set a = (b.c).d + e", ".", ").d"),
        ("set a = (b.c)[0] + e", "[", ")[0"),
        ("set a = b + c + d", "+", "c + d"),
        ("set a = (b + c) + d", "+", ") + d"),
        ("set a = b + (c + d)", "+", "c + d"),
        ("set a = list_append(b + c, d)", "+", "b + c"),
        ("set a = b,", "<EOF>", ","),
        ("set a = (b", "<EOF>", "b"),
        ("set a = b)", ")", "b)"),
        ("set a = b, c", "<EOF>", "c"),
    ] {
        check_update(text, &format!("Syntax error; token: \"{token}\", near: \"{near}\""));
    }
    for (text, token, near) in [
        ("whatever(stuff)", "(", "whatever(stuff"),
        (":s", ":s", ":s"),
        ("a,,b", ",", ",,b"),
        ("a,", "<EOF>", ","),
        ("a b", "b", "a b"),
        ("a..b", ".", "..b"),
        ("l[a]", "a", "[a]"),
        ("(a)", "(", "(a"),
        ("!!!", "!", "!!"),
        ("a-b", "-", "a-b"),
        ("l[0", "<EOF>", "0"),
    ] {
        check_projection(text, &format!("Syntax error; token: \"{token}\", near: \"{near}\""));
    }
}

#[test]
fn limits_are_dynamodbs() {
    for kind in ["condition", "filter", "key", "projection", "update"] {
        let name = match kind {
            "key" => "KeyConditionExpression".to_owned(),
            _ => format!("{}{}Expression", kind[..1].to_uppercase(), &kind[1..]),
        };
        check(json!({kind: ""}), &format!("Invalid {name}: The expression can not be empty;"));
        check(
            json!({kind: "a".repeat(4097)}),
            &format!(
                "Invalid {name}: Expression size has exceeded the maximum allowed size; expression size: 4097"
            ),
        );
    }
    check_accepted(json!({"projection": "a".repeat(4096)}));

    // 150 comparisons and 149 ANDs are 299 operators.
    let chain = |count: usize| vec!["a=b"; count].join(" AND ");
    check_accepted(json!({"filter": format!("{} OR a=b", chain(149))}));
    check_accepted(json!({"filter": format!("NOT {}", chain(150))}));
    let too_many =
        "Invalid FilterExpression: The expression contains too many operators; operator count: 301";
    check(json!({"filter": chain(151)}), too_many);
    check(json!({"filter": chain(250)}), too_many);
    check_accepted(
        json!({"update": format!("SET {}", (0..300).map(|i| format!("a{i}=b-c")).collect::<Vec<_>>().join(","))}),
    );
    check(
        json!({"update": format!("SET {}", (0..301).map(|i| format!("a{i}=b-c")).collect::<Vec<_>>().join(","))}),
        "Invalid UpdateExpression: The expression contains too many operators; operator count: 301",
    );

    check_accepted(json!({"filter": format!("a IN ({})", vec!["b"; 100].join(","))}));
    check(
        json!({"filter": format!("a IN ({})", vec!["b"; 101].join(","))}),
        "Invalid FilterExpression: The IN operator is provided with too many operands; number of operands: 101",
    );

    check_accepted(json!({"projection": format!("a{}", ".b".repeat(31))}));
    check(
        json!({"projection": format!("a{}", "[0]".repeat(32))}),
        "Invalid ProjectionExpression: The document path has too many nesting levels; nesting levels: 33",
    );
    check_accepted(json!({"projection": "a[2147483647]"}));
    for index in ["2147483648", "99999999999999999999999"] {
        check(
            json!({"projection": format!("a[{index}]")}),
            &format!(
                "Invalid ProjectionExpression: List index is not within the allowable range; index: [{index}]"
            ),
        );
    }
}

#[test]
fn two_pairs_of_parentheses_around_one_thing_are_redundant() {
    for text in [
        "((a = :s))",
        "a=b and a > ((c))",
        "(a)between(((b.c)).d)and(c)",
        "a > whatever((:things), ((a)))",
        "a=a AND ((a=a AND a=a)) AND a=a",
        "a=a OR ((a=a OR (a=a OR a=a)))",
        "((#undefined = a)) AND",
    ] {
        check_filter(text, "The expression has redundant parentheses;");
    }
    check_update("SET a = ((b))", "The expression has redundant parentheses;");
    for text in
        ["(a = b)", "((a = b) AND (c = d))", "(a) = (b)", "((a) = (b))", "(size(a)) > b", "(a.b).c = d"]
    {
        check_accepted(json!({"filter": text}));
    }
}

#[test]
fn functions_exist_and_stand_where_they_may() {
    for (text, function) in [
        ("a=a and whatever((:things)) > a", "whatever"),
        ("attRIbute_exIsts((views), #a)", "attRIbute_exIsts"),
        ("SIZE(a) > b", "SIZE"),
    ] {
        check_filter(text, &format!("Invalid function name; function: {function}"));
    }
    check_filter(
        "list_append(a, b) = c",
        "The function is not allowed in a condition expression; function: list_append",
    );
    check_update("set #q = if_not_exist(:c) set c = d", "Invalid function name; function: if_not_exist");
    check_update("set a = size(b)", "The function is not allowed in an update expression; function: size");
    for (text, function) in [
        ("a=a and attribute_exists((views), (#a)) > b", "attribute_exists"),
        ("attribute_type(things, :s) > b", "attribute_type"),
        ("begins_with(things, a) > b", "begins_with"),
        ("size(contains(a, b)) > a", "contains"),
        ("size(things)", "size"),
        ("(size(things))", "size"),
        ("NOT size(things)", "size"),
        ("a = b AND size(things)", "size"),
        ("a between b and attribute_exists(things)", "attribute_exists"),
        ("a in (b, attribute_exists(things))", "attribute_exists"),
        ("attribute_exists(a) in (b)", "attribute_exists"),
    ] {
        check_filter(
            text,
            &format!(
                "The function is not allowed to be used this way in an expression; function: {function}"
            ),
        );
    }
    for (text, function, count) in [
        ("attribute_exists(things, a) and a=a", "attribute_exists", 2),
        ("attribute_type(things)", "attribute_type", 1),
        ("begins_with(things, size(a), b)", "begins_with", 3),
        ("contains(things)", "contains", 1),
        ("size(things, a) > b", "size", 2),
    ] {
        check_filter(
            text,
            &format!(
                "Incorrect number of operands for operator or function; operator or function: {function}, \
                 number of operands: {count}"
            ),
        );
    }
    for (text, function, count) in
        [("set a = if_not_exists(c)", "if_not_exists", 1), ("set a = list_append(c, d, e)", "list_append", 3)]
    {
        check_update(
            text,
            &format!(
                "Incorrect number of operands for operator or function; operator or function: {function}, \
                 number of operands: {count}"
            ),
        );
    }
}

#[test]
fn reserved_words_need_a_placeholder() {
    for (text, word) in [
        ("attribute_exists(views, #a)", "views"),
        (":a < abOrT", "abOrT"),
        ("a.b[1].Size = a", "Size"),
        ("(name).a = b", "name"),
    ] {
        check_filter(text, &format!("Attribute name is a reserved keyword; reserved keyword: {word}"));
    }
    check_update(
        " set #q = :c set abOrt = true ",
        "Attribute name is a reserved keyword; reserved keyword: abOrt",
    );
    check_projection("#q,ABSoLUTE", "Attribute name is a reserved keyword; reserved keyword: ABSoLUTE");
    check_projection("a.zone", "Attribute name is a reserved keyword; reserved keyword: zone");
}

#[test]
fn placeholders_must_be_defined() {
    for (text, name) in [
        ("attribute_exists(#Pictures.RearView, :q) and a=a", "#Pictures"),
        ("begins_with(Pictures.#RearView)", "#RearView"),
        ("(#P between :lo and :hi) and (#PC in (:cat1, :cat2))", "#P"),
        ("#4g > a", "#4g"),
        ("#_ > a", "#_"),
        ("(a)between(b.c[45].#d)and(:a)", "#d"),
    ] {
        check_filter(
            text,
            &format!(
                "An expression attribute name used in the document path is not defined; attribute name: {name}"
            ),
        );
    }
    for (text, value) in [("begins_with(:hello, #q, #b)", ":hello"), (":a < :z", ":a"), (":_ > a", ":_")] {
        check_filter(
            text,
            &format!(
                "An expression attribute value used in expression is not defined; attribute value: {value}"
            ),
        );
    }
    // Conditions are looked at one after the other, each as a whole.
    check_filter(
        "size(a, b) > c AND #q = a",
        "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
    );
    check_update(
        "SET #q = if_not_exists(:c)",
        "An expression attribute name used in the document path is not defined; attribute name: #q",
    );
    check_update(
        "SET #a = if_not_exists(:c)",
        "An expression attribute value used in expression is not defined; attribute value: :c",
    );
    check_projection(
        "a,b,a,#q",
        "An expression attribute name used in the document path is not defined; attribute name: #q",
    );
}

#[test]
fn placeholders_must_be_used_by_one_expression_of_the_request() {
    let values = "Value provided in ExpressionAttributeValues unused in expressions: keys:";
    let names = "Value provided in ExpressionAttributeNames unused in expressions: keys:";
    check(json!({"condition": "a = :b", "values": {":b": 1, ":v": 2}}), &format!("{values} {{:v}}"));
    check(
        json!({"condition": "a = :b", "values": {":b": 1, ":c": 1, ":a": 1}}),
        &format!("{values} {{:a, :c}}"),
    );
    check(json!({"projection": "a", "names": {"#b": "b", "#a": "a"}}), &format!("{names} {{#a, #b}}"));
    check(
        json!({"update": "remove a", "condition": "a = :b", "names": {"#x": "x"}, "values": {":b": 1, ":c": 1}}),
        &format!("{names} {{#x}}"),
    );
    check_accepted(json!({
        "update": "SET a = :a", "condition": "#b = :b", "projection": "#p", "filter": "c = :a",
        "names": {"#b": "b", "#p": "p"}, "values": {":a": 1, ":b": 1},
    }));
}

#[test]
fn maps_of_placeholders_hold_placeholders() {
    check(json!({"condition": "a = b", "names": {}}), "ExpressionAttributeNames must not be empty");
    check(json!({"condition": "a = b", "values": {}}), "ExpressionAttributeValues must not be empty");
    for key in ["a", "#", "#a-b", ":a", "#é"] {
        check(
            json!({"condition": "", "names": {key: "a"}}),
            &format!("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{key}\""),
        );
    }
    check(
        json!({"condition": "", "values": {"b": 1}}),
        "ExpressionAttributeValues contains invalid key: Syntax error; key: \"b\"",
    );
    check(
        json!({"condition": "", "names": {"#a": ""}}),
        "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a",
    );
    check_accepted(json!({"projection": "#a", "names": {"#a": "x".repeat(65_535)}}));
    check(
        json!({"projection": "#a", "names": {"#a": "x".repeat(65_536)}}),
        "ExpressionAttributeNames contains invalid value: Attribute name is too large, must be less than 65536 bytes for \
         key #a",
    );
    check(
        json!({"condition": "", "names": {format!("#{}", "a".repeat(255)): "a"}}),
        "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; \
         size of key: 256",
    );

    let values =
        dynamite_core::Item::from([(":b".to_owned(), dynamite_core::AttributeValue::string_set([""; 0]))]);
    let error = Expressions::builder().condition("a = :b").values(&values).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: \
         An string set  may not be empty for key :b"
    );
}

#[test]
fn operands_have_the_types_that_operators_take() {
    let types = [
        (":s", "S"),
        (":n", "N"),
        (":b", "B"),
        (":bool", "BOOL"),
        (":null", "NULL"),
        (":m", "M"),
        (":l", "L"),
        (":ss", "SS"),
        (":ns", "NS"),
        (":bs", "BS"),
    ];
    let check_all = |check: fn(&str, &str), text: &str, operator: &str, fits: &[&str]| {
        for (value, kind) in types.iter().filter(|(_, kind)| !fits.contains(kind)) {
            check(
                &text.replace('?', value),
                &format!(
                    "Incorrect operand type for operator or function; operator or function: {operator}, \
                     operand type: {kind}"
                ),
            );
        }
    };
    for operator in ["<", "<=", ">", ">="] {
        check_all(check_filter, &format!("a {operator} ?"), operator, &["S", "N", "B"]);
        check_all(check_filter, &format!("? {operator} a"), operator, &["S", "N", "B"]);
    }
    check_all(check_filter, "a between ? and b", "BETWEEN", &["S", "N", "B"]);
    check_all(check_filter, "begins_with(a, ?)", "begins_with", &["S", "B"]);
    check_all(check_filter, "begins_with(?, a)", "begins_with", &["S", "B"]);
    check_all(check_filter, "attribute_type(a, ?)", "attribute_type", &["S"]);
    check_all(check_filter, "size(?) > a", "size", &["S", "B", "M", "L", "SS", "NS", "BS"]);
    check_all(check_update, "set a = list_append(?, a)", "list_append", &["L"]);
    check_all(check_update, "set a = list_append(a, ?)", "list_append", &["L"]);
    check_all(check_update, "set a = a + ?", "+", &["N"]);
    check_all(check_update, "set a = ? - a", "-", &["N"]);
    for (text, operator, kind) in [
        ("begins_with(a, size(a)) and a=:n", "begins_with", "N"),
        ("attribute_type(a, size(a)) and a=a and a=:n", "attribute_type", "N"),
        ("attribute_type(a, b)", "attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"),
        ("size(size(a)) > :n", "size", "N"),
        ("attribute_not_exists(size(:n))", "size", "N"),
    ] {
        check_filter(
            text,
            &format!(
                "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
            ),
        );
    }
    check_update(
        "set a = list_append(a, b) + :n",
        "Incorrect operand type for operator or function; operator or function: +, operand type: L",
    );

    for (value, name, added) in [
        (":s", "STRING", false),
        (":n", "NUMBER", true),
        (":b", "BINARY", false),
        (":bool", "BOOLEAN", false),
        (":null", "NULL", false),
        (":m", "MAP", false),
        (":l", "LIST", false),
    ] {
        let text = |action| {
            format!(
                "Incorrect operand type for operator or function; operator: {action}, operand type: {name}, \
                 typeSet: ALLOWED_FOR_{action}_OPERAND"
            )
        };
        check_update(&format!("delete a.b {value}"), &text("DELETE"));
        if !added {
            check_update(
                &format!("set b = list_append(:s, a), c = if_not_exists(a) add a.b {value}"),
                &text("ADD"),
            );
        }
    }
}

#[test]
fn operands_are_what_functions_take() {
    for (text, function) in [
        ("attribute_exists(:s) and a=a", "attribute_exists"),
        ("attribute_not_exists(size(:s))", "attribute_not_exists"),
    ] {
        check_filter(
            text,
            &format!("Operator or function requires a document path; operator or function: {function}"),
        );
    }
    for text in
        ["set a = list_append(list_append(a, :l), :l)", "set a = list_append(:l, (list_append(#q, :l)))"]
    {
        let expected =
            "The function is not allowed to be used this way in an expression; function: list_append";
        check_update(text, expected);
    }
    check_accepted(json!({
        "update": "SET a = list_append(if_not_exists(a, :l), :l), b = if_not_exists(b, list_append(c, :l))",
        "values": {":l": []},
    }));
    for text in ["set a = if_not_exists(:s, c)", "set a = if_not_exists(if_not_exists(a, b), c)"] {
        check_update(
            text,
            "Operator or function requires a document path; operator or function: if_not_exists",
        );
    }
    check_filter(
        "attribute_type(a, :s)",
        "Invalid attribute type name found; type: text, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
    );
    for (text, operator, path) in [
        ("a = a AND #a = b AND :undefined > a", "=", "[a]"),
        ("#a <> a", "<>", "[a]"),
        ("a > #a", ">", "[a]"),
        ("((a=a) OR (a=a))", "=", "[a]"),
        ("contains(ab.bc[1].a, ab.bc[1].#a)", "contains", "[ab, bc, [1], a]"),
        ("attribute_type(ab.bc[1].#a, ab.bc[1].a)", "attribute_type", "[ab, bc, [1], a]"),
        ("begins_with(a.#i, a.#i)", "begins_with", "[a, [3]]"),
        ("a between b and #a", "BETWEEN", "[a]"),
        ("a in (b, (a))", "IN", "[a]"),
    ] {
        check_filter(
            text,
            &format!(
                "The first operand must be distinct from the remaining operands for this operator or function; \
                 operator: {operator}, first operand: {path}"
            ),
        );
    }
    check_accepted(json!({"filter": ":a > :a AND size(a) = size(a)", "values": {":a": 1}}));
    check_filter(
        "a between :n and :s",
        "The BETWEEN operator requires same data type for lower and upper bounds; \
         lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:text}",
    );
    check_accepted(json!({"filter": "a between :s and :s", "values": {":s": "s"}}));
    check(
        json!({"key": "a between :b and :a", "values": {":a": "a", ":b": "b"}}),
        "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower \
         bound; lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}",
    );
}

#[test]
fn paths_neither_overlap_nor_conflict() {
    let overlap = |first: &str, second: &str| {
        format!(
            "Two document paths overlap with each other; must remove or rewrite one of these paths; \
             path one: {first}, path two: {second}"
        )
    };
    let conflict = |first: &str, second: &str| overlap(first, second).replace("overlap", "conflict");
    for (text, problem) in [
        ("b[1], b.a, #a.b, a", overlap("[a, b]", "[a]")),
        ("a, #a[1]", overlap("[a]", "[a, [1]]")),
        ("a, b, a", overlap("[a]", "[a]")),
        ("a.b, #a[1], #i", conflict("[a, b]", "[a, [1]]")),
        ("a.b[1], #a[1], #i", conflict("[a, b, [1]]", "[a, [1]]")),
        ("a[3].b, #a.#i.b", conflict("[a, [3], b]", "[a, [3], b]")),
    ] {
        check_projection(text, &problem);
    }
    for (text, problem) in [
        ("set d[1] = a, d.b = a, c[1].a = a, #c = if_not_exists(a)", overlap("[c, [1], a]", "[c]")),
        ("set #c[3].#i = a, #c[3] = a", overlap("[c, [3], [3]]", "[c, [3]]")),
        ("set a = :s remove a", overlap("[a]", "[a]")),
        ("set #c[3].#i = a, #c.#i[3] = if_not_exists(a)", conflict("[c, [3], [3]]", "[c, [3], [3]]")),
        ("remove a.#c set a[1] = #i", conflict("[a, c]", "[a, [1]]")),
    ] {
        check_update(text, &problem);
    }
    check_accepted(json!({"update": "SET a.b = c, a.c = d, l[0] = e, l[1].x = f REMOVE l[2], a.d.e"}));
}

#[test]
fn a_clause_stands_once() {
    for (text, clause) in [
        ("set a = #q set c = :d", "SET"),
        ("remove #q set a = b remove e", "REMOVE"),
        ("add #q :e set a = b add e :f", "ADD"),
        ("delete #q :e set a = b delete #e :f", "DELETE"),
    ] {
        check_update(
            text,
            &format!("The \"{clause}\" section can only be used once in an update expression;"),
        );
    }
}

#[test]
fn errors_say_which_expression_and_where() {
    let error = build(&json!({"filter": "a = b", "condition": "a = b AND size(a, c) > d"})).unwrap_err();
    assert_eq!((error.kind(), error.position()), (Some(ExpressionKind::Condition), Some(10)));
    match error {
        ExpressionError::Invalid { token, problem, .. } => {
            assert_eq!(token, "size");
            assert_eq!(problem, Problem::OperandCount { function: "size".to_owned(), count: 2 });
        }
        other => panic!("{other}"),
    }
    // The order in which DynamoDB looks at the expressions of a request.
    for (request, kind) in [
        (
            json!({"update": "", "condition": "", "key": "", "filter": "", "projection": ""}),
            ExpressionKind::Update,
        ),
        (json!({"condition": "", "key": "", "filter": "", "projection": ""}), ExpressionKind::Condition),
        (json!({"key": "", "filter": "", "projection": ""}), ExpressionKind::KeyCondition),
        (json!({"filter": "", "projection": ""}), ExpressionKind::Filter),
        (json!({"projection": ""}), ExpressionKind::Projection),
    ] {
        assert_eq!(build(&request).unwrap_err().kind(), Some(kind), "{request}");
    }
}
