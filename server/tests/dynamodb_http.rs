//! What is said over HTTP before any operation is: methods, content types, targets, signatures, broken and hostile requests.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_server::dynamodb::{Config, Limits};
use serde_json::{Value, json};
use support::{Endpoint, read_answer, request};

const SERIALIZATION: &str = "com.amazon.coral.service#SerializationException";
const UNKNOWN: &str = "com.amazon.coral.service#UnknownOperationException";

#[track_caller]
fn check(answer: &support::Answer, status: u16, body: &str) {
    assert_eq!((answer.status, std::str::from_utf8(&answer.body).unwrap()), (status, body));
    let crc = crc32fast::hash(&answer.body).to_string();
    assert_eq!(answer.header("x-amz-crc32"), Some(crc.as_str()));
    let id = answer.header("x-amzn-requestid").unwrap();
    assert!(
        id.len() == 52 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
        "{id}"
    );
}

#[test]
fn what_is_no_request_for_an_operation_is_answered_as_by_the_service() {
    let endpoint = Endpoint::start();
    let send = |head: &str, body: &str| {
        endpoint
            .send(format!("{head}Host: there:1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
    };
    check(&send("GET / HTTP/1.1\r\n", ""), 200, "healthy: dynamodb.us-east-1.amazonaws.com ");
    let not_found = "<UnknownOperationException/>\n";
    for head in ["PUT / HTTP/1.1\r\n", "DELETE / HTTP/1.1\r\n", "OPTIONS / HTTP/1.1\r\n"] {
        check(&send(head, ""), 404, not_found);
    }
    for content_type in ["whatever", "application/x-amz-json-1.1", "application/jsonasdf"] {
        check(&send(&format!("POST / HTTP/1.1\r\nContent-Type: {content_type}\r\n"), "hi"), 404, not_found);
    }
    let of_type = |content_type: &str, target: &str, body: &str| {
        send(&format!("POST / HTTP/1.1\r\nContent-Type: {content_type}\r\nX-Amz-Target: {target}\r\n"), body)
    };
    for content_type in ["application/json", "application/x-amz-json-1.0;charset=x", "  application/json ; a"]
    {
        let answer = of_type(content_type, "", "hi");
        check(&answer, 400, &format!("{{\"__type\":\"{SERIALIZATION}\"}}"));
        let expected =
            if content_type.contains("amz") { "application/x-amz-json-1.0" } else { "application/json" };
        assert_eq!(answer.header("content-type"), Some(expected));
    }
    for target in ["", "whatever", "DynamoDB_20120810.ListTable", "DynamoDB_20111205.ListTables", "a.b.c"] {
        check(&of_type("application/json", target, "{}"), 400, &format!("{{\"__type\":\"{UNKNOWN}\"}}"));
    }
    let missing = "{\"__type\":\"com.amazon.coral.service#MissingAuthenticationTokenException\",\"message\":\"Request is missing \
                   Authentication Token\"}";
    check(&of_type("application/json", "DynamoDB_20120810.ListTables", "{}"), 400, missing);
}

#[test]
fn the_endpoint_that_there_is_is_the_one_that_was_asked() {
    let endpoint = Endpoint::start();
    let told = endpoint.done("DescribeEndpoints", json!({}));
    assert_eq!(told, json!({"Endpoints": [{"Address": "localhost", "CachePeriodInMinutes": 1440}]}));
}

#[test]
fn browsers_are_told_that_they_may_ask() {
    let endpoint = Endpoint::start();
    let answer = endpoint.send(
        b"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nAccess-Control-Request-Headers: c, d\r\n\
          Access-Control-Request-Method: POST\r\n\r\n",
    );
    let headers = ["origin", "headers", "methods"]
        .map(|name| answer.header(&format!("access-control-allow-{name}")).unwrap_or_default().to_owned());
    assert_eq!((answer.status, headers), (200, ["*", "c, d", "POST"].map(str::to_owned)));
    assert_eq!(answer.header("access-control-max-age"), Some("172800"));
}

#[test]
fn one_connection_carries_many_requests_without_waiting() {
    let endpoint = Endpoint::start();
    let mut connection = endpoint.connect();
    let all: Vec<u8> = (0..20).flat_map(|_| request("DynamoDB_20120810.ListTables", b"{}")).collect();
    connection.get_mut().write_all(&all).unwrap();
    for _ in 0..20 {
        let answer = read_answer(&mut connection);
        assert_eq!((answer.status, answer.body), (200, b"{\"TableNames\":[]}".to_vec()));
    }
}

#[test]
fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let endpoint = Endpoint::start();
    let mut connection = endpoint.connect();
    connection.get_mut().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let one = request("DynamoDB_20120810.ListTables", b"{}");
    connection.get_mut().write_all(&[&one[..], &one[..40]].concat()).unwrap();
    assert_eq!(read_answer(&mut connection).status, 200);
    connection.get_mut().write_all(&one[40..]).unwrap();
    assert_eq!(read_answer(&mut connection).status, 200);
}

#[test]
fn bodies_may_come_in_chunks() {
    let endpoint = Endpoint::start();
    let answer = endpoint.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-amz-json-1.0\r\n\
          X-Amz-Target: DynamoDB_20120810.ListTables\r\nDate: a\r\n\
          Authorization: AWS4- Credential=a,SignedHeaders=b,Signature=c\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_next_is_served() {
    let limits = Limits { body_bytes: 1 << 20, ..Limits::default() };
    let endpoint = Endpoint::with(DynaMite::in_memory().unwrap(), Config { limits, ..Config::default() });
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(endpoint.ask("DynamoDB_20120810.ListTables", &large).status, 413);
    let mut fits = vec![b' '; (1 << 20) - 2];
    fits.extend_from_slice(b"{}");
    assert_eq!(endpoint.ask("DynamoDB_20120810.ListTables", &fits).status, 200);
}

/// What all bodies take is bounded. Small ones are served meanwhile, and the others when there is room.
#[test]
fn large_bodies_wait_for_room() {
    let limits = Limits {
        body_bytes: 1 << 20,
        bodies_bytes: 1 << 20,
        body_time: Duration::from_secs(3600),
        ..Limits::default()
    };
    let endpoint = Endpoint::with(DynaMite::in_memory().unwrap(), Config { limits, ..Config::default() });
    let request =
        |len: usize| request("DynamoDB_20120810.ListTables", &[vec![b' '; len - 2], b"{}".to_vec()].concat());
    let large = request((1 << 20) - 10_000);
    // It takes most of what there is, and is not whole yet.
    let mut slow = endpoint.connect();
    slow.get_mut().write_all(&large[..100_000]).unwrap();
    let compressed = with_header("Content-Encoding: gzip", "ListTables", &gzip(b"{}"));
    let mut waiting = Vec::new();
    for request in [compressed, request(20_000), chunked(20_000)] {
        // As long as the head of the slow one is not read, there is room.
        let mut all = (0..50).filter_map(|_| {
            let mut connection = endpoint.connect();
            connection.get_mut().write_all(&request).unwrap();
            connection.get_mut().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            connection.read(&mut [0]).is_err().then_some(connection)
        });
        let mut connection = all.next().expect("it waits");
        connection.get_mut().set_read_timeout(None).unwrap();
        waiting.push(connection);
    }
    for small in [request(1000), chunked(1000)] {
        assert_eq!(endpoint.send(&small).status, 200);
    }
    slow.get_mut().write_all(&large[100_000..]).unwrap();
    assert_eq!(read_answer(&mut slow).status, 200);
    waiting.iter_mut().for_each(|connection| assert_eq!(read_answer(connection).status, 200));
    // One that is larger than all may be takes all.
    let limits = Limits { body_bytes: 1 << 20, bodies_bytes: 1 << 16, ..Limits::default() };
    let endpoint = Endpoint::with(DynaMite::in_memory().unwrap(), Config { limits, ..Config::default() });
    assert_eq!(endpoint.send(&large).status, 200);
}

/// A body of which nobody says how long it is.
fn chunked(len: usize) -> Vec<u8> {
    let plain = String::from_utf8(request("DynamoDB_20120810.ListTables", b"")).unwrap();
    let head = plain.replace("Content-Length: 0", "Transfer-Encoding: chunked");
    format!("{head}{len:x}\r\n{{{}}}\r\n0\r\n\r\n", " ".repeat(len - 2)).into_bytes()
}

/// Places for two connections, and little time.
fn with_two_places() -> Endpoint {
    let short = Duration::from_millis(200);
    let limits = Limits { connections: 2, head_time: short, write_time: short, ..Limits::default() };
    Endpoint::with(DynaMite::in_memory().unwrap(), Config { limits, ..Config::default() })
}

/// A request that is answered, although it may have to wait for a place.
#[track_caller]
fn check_served(endpoint: &Endpoint, case: &str) {
    let mut connection = endpoint.connect();
    connection.get_mut().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection.get_mut().write_all(&request("DynamoDB_20120810.ListTables", b"{}")).unwrap();
    let mut begin = [0; 12];
    let read = connection.read_exact(&mut begin);
    assert!(read.is_ok() && &begin == b"HTTP/1.1 200", "{case}: {read:?}");
}

#[test]
fn who_asks_for_nothing_does_not_keep_a_place() {
    let endpoint = with_two_places();
    let settings = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let beginnings: [&[u8]; 6] =
        [b"", b"P", b"PRI * HT", b"POST / HTTP/1.1\r\nHost: a\r\n", &settings[..24], &settings];
    for beginning in beginnings {
        let silent = [endpoint.connect(), endpoint.connect()];
        silent.iter().for_each(|connection| connection.get_ref().write_all(beginning).unwrap());
        check_served(&endpoint, &String::from_utf8_lossy(beginning));
    }
    let request = request("DynamoDB_20120810.ListTables", b"{}");
    // Nor does who has asked for something before.
    for next in [0, 20] {
        let mut silent = [endpoint.connect(), endpoint.connect()];
        for connection in &mut silent {
            connection.get_mut().write_all(&[&request[..], &request[..next]].concat()).unwrap();
            assert_eq!(read_answer(connection).status, 200);
        }
        check_served(&endpoint, "two who are silent after their first request");
    }
    // Over HTTP/2, one of them takes nothing of its answer: it asks with a window of no bytes.
    let ask = b"\0\0\x06\x01\x05\0\0\0\x01\x83\x86\x84\x41\x01a";
    let no_window = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for settings in [&no_window[..], b"\0\0\0\x04\0\0\0\0\0"] {
        let silent = [endpoint.connect(), endpoint.connect()];
        for connection in &silent {
            connection.get_ref().write_all(&[greeting, settings, &ask[..]].concat()).unwrap();
        }
        check_served(&endpoint, "two who are silent after their first request over HTTP/2");
    }
    // Who goes on to ask is not cut off when that time is over.
    let mut connection = endpoint.connect();
    for _ in 0..5 {
        connection.get_mut().write_all(&request).unwrap();
        assert_eq!(read_answer(&mut connection).status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn who_sends_or_takes_for_longer_than_one_may_be_silent_is_not_cut_off() {
    let endpoint = with_two_places();
    let mut connection = endpoint.connect();
    let list = request("DynamoDB_20120810.ListTables", b"{}");
    let (begun, end) = list.split_at(list.len() - 1);
    connection.get_mut().write_all(begun).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    connection.get_mut().write_all(end).unwrap();
    assert_eq!(read_answer(&mut connection).status, 200);
    drop(connection);
    endpoint.create_hash_table();
    let item = json!({"p": {"S": "a"}, "x": {"S": "x".repeat(390_000)}});
    endpoint.done("PutItem", json!({"TableName": "hhh", "Item": item}));
    let get = json!({"TableName": "hhh", "Key": {"p": {"S": "a"}}}).to_string();
    let mut connection = endpoint.connect();
    connection.get_mut().write_all(&request("DynamoDB_20120810.GetItem", get.as_bytes()).repeat(50)).unwrap();
    for _ in 0..50 {
        assert_eq!(read_answer(&mut connection).status, 200);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_does_not_read_does_not_keep_a_place() {
    let endpoint = with_two_places();
    endpoint.create_hash_table();
    let item = json!({"p": {"S": "a"}, "x": {"S": "x".repeat(390_000)}});
    endpoint.done("PutItem", json!({"TableName": "hhh", "Item": item}));
    let get = json!({"TableName": "hhh", "Key": {"p": {"S": "a"}}}).to_string();
    let many = request("DynamoDB_20120810.GetItem", get.as_bytes()).repeat(200);
    let deaf = [endpoint.connect(), endpoint.connect()];
    deaf.iter().for_each(|connection| connection.get_ref().write_all(&many).unwrap());
    check_served(&endpoint, "two who do not read");
}

/// A request with one more header.
fn with_header(header: &str, operation: &str, body: &[u8]) -> Vec<u8> {
    let request = request(&format!("DynamoDB_20120810.{operation}"), body);
    let line_end = request.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    [&request[..line_end], header.as_bytes(), b"\r\n", &request[line_end..]].concat()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut decoded).unwrap();
    decoded
}

#[test]
fn large_answers_are_compressed_for_those_who_accept_it() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let get = |name: &str| json!({"TableName": "hhh", "Key": {"p": {"S": name}}}).to_string();
    for (name, len) in [("a", 4095 - 37), ("b", 4096 - 37), ("c", 300_000)] {
        let item = json!({"p": {"S": name}, "x": {"S": "x".repeat(len)}});
        endpoint.done("PutItem", json!({"TableName": "hhh", "Item": item}));
        let plain = endpoint.ask("DynamoDB_20120810.GetItem", get(name).as_bytes());
        assert_eq!(plain.header("content-encoding"), None);
        check(&plain, 200, &json!({"Item": item}).to_string());
        let answer =
            endpoint.send(&with_header("Accept-Encoding: gzip, deflate", "GetItem", get(name).as_bytes()));
        // Beside the attribute are 37 bytes.
        assert_eq!(plain.body.len(), len + 37);
        let is_compressed = plain.body.len() >= 4096;
        assert_eq!(answer.header("content-encoding"), is_compressed.then_some("gzip"), "{name}");
        // What clients check first is what was sent.
        assert_eq!(answer.header("x-amz-crc32"), Some(&*crc32fast::hash(&answer.body).to_string()));
        assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.0"));
        match is_compressed {
            true => assert!(gunzip(&answer.body) == plain.body && answer.body.len() * 20 < plain.body.len()),
            false => assert!(answer.body == plain.body),
        }
    }
    let answer = endpoint.send(&with_header("accept-encoding: deflate", "GetItem", get("c").as_bytes()));
    assert_eq!(answer.header("content-encoding"), Some("deflate"));
    let mut decoded = String::new();
    flate2::read::ZlibDecoder::new(&*answer.body).read_to_string(&mut decoded).unwrap();
    assert!(decoded.len() > 300_000 && decoded.ends_with("xxx\"}}}"));
}

#[test]
fn requests_may_be_compressed() {
    let limits = Limits { body_bytes: 1 << 20, ..Limits::default() };
    let endpoint = Endpoint::with(DynaMite::in_memory().unwrap(), Config { limits, ..Config::default() });
    endpoint.create_hash_table();
    let put = |name: &str| {
        let item = json!({"p": {"S": name}, "x": {"S": "x".repeat(20_000)}});
        json!({"TableName": "hhh", "Item": item}).to_string().into_bytes()
    };
    let sent = gzip(&put("a"));
    assert!(sent.len() < 1000);
    check(&endpoint.send(&with_header("Content-Encoding: gzip", "PutItem", &sent)), 200, "{}");
    let two = [gzip(&put("b")[..10]), gzip(&put("b")[10..])].concat();
    check(&endpoint.send(&with_header("content-encoding: GZIP", "PutItem", &two)), 200, "{}");
    let broken = [
        ("gzip", put("c")),
        ("gzip", Vec::new()),
        ("gzip", gzip(&put("c"))[..sent.len() - 1].to_vec()),
        ("garbage", put("c")),
    ];
    for (encoding, body) in broken {
        let answer = endpoint.send(&with_header(&format!("Content-Encoding: {encoding}"), "PutItem", &body));
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (answer.status, &json["__type"]),
            (500, &json!("com.amazonaws.dynamodb.v20120810#InternalServerError"))
        );
    }
    // What is small may hold much; it is not unpacked further than a plain body may be.
    let mut bomb = put("c");
    bomb.extend(vec![b' '; 200 << 20]);
    assert_eq!(endpoint.send(&with_header("Content-Encoding: gzip", "PutItem", &gzip(&bomb))).status, 413);
    let scanned = endpoint.done("Scan", json!({"TableName": "hhh", "Select": "COUNT"}));
    assert_eq!(scanned["Count"], 2);
}

/// Whatever is sent, the answer is a refusal, or the connection ends; and others are served as before.
#[test]
fn hostile_requests_harm_nobody() {
    let endpoint = Endpoint::start();
    endpoint.create_hash_table();
    let deep = |open: &str, close: &str, count: usize| {
        format!(
            "{{\"TableName\":\"hhh\",\"Item\":{{\"p\":{}{{\"S\":\"a\"}}{}}}}}",
            open.repeat(count),
            close.repeat(count)
        )
    };
    let bodies = [
        deep("{\"L\":[", "]}", 100_000),
        deep("{\"M\":{\"a\":", "}}", 100_000),
        deep("[", "]", 1_000_000),
        "{\"TableName\":\"hhh\",\"Key\":{\"p\":{\"N\":\"1e100000000\"}}}".to_owned(),
        format!("{{\"TableName\":\"hhh\",\"Key\":{{\"p\":{{\"N\":\"{}\"}}}}}}", "9".repeat(100_000)),
        "{\"TableName\":\"\\ud800\",\"Key\":{}}".to_owned(),
        "{\"TableName\":1e999,\"Key\":{}}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\"\"".to_owned(),
        "{\"TableName\":null,\"Item\":null,\"Key\":[null]}".to_owned(),
        "{\"TableName\":\"hhh\",\"Item\":{\"p\":null}}".to_owned(),
        "{\"TableName\":\"hhh\",\"Item\":{\"\":{\"S\":\"\"},\"p\":{\"S\":\"a\"}}}".to_owned(),
        "{\"TableName\":\"hhh\",\"Key\":{\"p\":{\"L\":[null]}},\"Item\":{\"p\":{\"S\":\"a\"},\"x\":{\"SS\":[null]}}}".to_owned(),
        format!("{{\"TableName\":\"hhh\",\"FilterExpression\":\"{}\"}}", "(".repeat(4000)),
        format!("{{\"TableName\":\"hhh\",\"FilterExpression\":\"{}a\"}}", "NOT ".repeat(1000)),
        format!("{{\"TableName\":\"hhh\",\"Key\":{{\"p\":{{\"S\":\"a\"}}}},\"ProjectionExpression\":\"a{}\"}}", "[0]".repeat(1300)),
    ];
    let operations = [
        "PutItem",
        "GetItem",
        "UpdateItem",
        "Scan",
        "Query",
        "BatchWriteItem",
        "TransactWriteItems",
        "CreateTable",
    ];
    for body in &bodies {
        for operation in operations {
            let answer = endpoint.ask(&format!("DynamoDB_20120810.{operation}"), body.as_bytes());
            let text = String::from_utf8_lossy(&answer.body);
            let shown = &body[..body.len().min(200)];
            assert!(
                answer.status == 400 || answer.status == 200,
                "{operation} {shown}: {} {text}",
                answer.status
            );
        }
    }
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff",
    ] {
        let mut connection = endpoint.connect();
        connection.get_mut().write_all(bytes).unwrap();
        connection.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest);
    }
    endpoint.done("PutItem", json!({"TableName": "hhh", "Item": {"p": {"S": "a"}}}));
}

/// Every operation, given what is not for it.
#[test]
fn no_operation_answers_a_wrong_body_with_an_error_of_ours() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let operations = [
        "BatchGetItem",
        "BatchWriteItem",
        "CreateTable",
        "DeleteItem",
        "DeleteTable",
        "DescribeEndpoints",
        "DescribeLimits",
        "DescribeTable",
        "DescribeTimeToLive",
        "GetItem",
        "ListTables",
        "ListTagsOfResource",
        "PutItem",
        "Query",
        "Scan",
        "TagResource",
        "TransactGetItems",
        "TransactWriteItems",
        "UntagResource",
        "UpdateItem",
        "UpdateTable",
        "UpdateTimeToLive",
        "PutResourcePolicy",
        "GetResourcePolicy",
        "DeleteResourcePolicy",
        "ListStreams",
        "DescribeStream",
        "GetShardIterator",
        "GetRecords",
    ];
    let fields = [
        "TableName",
        "Key",
        "Item",
        "RequestItems",
        "TransactItems",
        "AttributeDefinitions",
        "KeySchema",
        "ResourceArn",
        "Tags",
        "StreamArn",
        "ShardIterator",
        "Limit",
        "KeyConditions",
        "ExclusiveStartKey",
        "ScanFilter",
        "AttributeUpdates",
        "Expected",
        "ProjectionExpression",
        "KeyConditionExpression",
        "IndexName",
        "GlobalSecondaryIndexUpdates",
        "Segment",
        "TotalSegments",
        "ExpressionAttributeValues",
        "ExpressionAttributeNames",
        "TimeToLiveSpecification",
        "Policy",
        "StreamSpecification",
    ];
    let values = [
        json!("ttt"),
        json!(""),
        json!(1),
        json!(-1),
        json!(1e300),
        json!(true),
        json!([]),
        json!({}),
        json!([{}]),
        json!({"a": {}}),
        json!({"ttt": [{}]}),
        json!({"ttt": {}}),
        json!([[]]),
        json!({"p": {"S": ""}}),
        json!("arn:aws:dynamodb:a:1:table/ttt"),
        json!("arn:aws:dynamodb:us-east-1:000000000000:table/ttt/stream/x"),
        Value::Null,
    ];
    for operation in operations {
        for field in fields {
            for value in &values {
                let mut body = json!({"TableName": "ttt"});
                body[field] = value.clone();
                let (status, answer) = endpoint.call(operation, body.clone());
                assert!(status == 200 || status == 400, "{operation} {body}: {status} {answer}");
            }
        }
        // It may have been dropped.
        if endpoint.call("DescribeTable", json!({"TableName": "ttt"})).0 == 400 {
            endpoint.create_table();
        }
    }
}
