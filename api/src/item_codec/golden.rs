//! The format is a promise. If a test here fails, either the change was not meant, or the version must be raised and the
//! old form still be read.

use serde_json::{Value, json};

use super::{check, decode_json, encode_json};

/// An item with one attribute `v` has these bytes behind its version and name.
#[track_caller]
fn check_bytes(json: Value, value: &[u8]) {
    let document = json!({ "v": json });
    let bytes = [b"\x01\x01v", value].concat();
    assert_eq!(
        encode_json(&document).as_ref(),
        Ok(&bytes),
        "{bytes:02x?} is the documented form of {document}"
    );
    assert_eq!(decode_json(&bytes).unwrap(), document);
    check(&bytes).unwrap();
}

#[test]
fn values_have_the_documented_bytes() {
    check_bytes(json!(null), b"\x00");
    check_bytes(json!(false), b"\x10");
    check_bytes(json!(true), b"\x20");
    check_bytes(json!(""), b"\x30");
    check_bytes(json!("abc"), b"\x33abc");
    check_bytes(json!("é"), b"\x32\xc3\xa9");
    check_bytes(json!({"$binary": "AP8="}), b"\x52\x00\xff");
    check_bytes(json!({}), b"\x60");
    check_bytes(json!({"b": 1, "a": null}), b"\x68\x01a\x00\x01b\x42\x00\x01");
    check_bytes(json!([]), b"\x70");
    check_bytes(json!([null, "a", [true]]), b"\x75\x00\x31a\x71\x20");
    check_bytes(json!({"$ss": ["", "a", "b"]}), b"\x85\x00\x01a\x01b");
    check_bytes(json!({"$ns": [-1, 0, 2]}), b"\x97\x02\x01\x01\x00\x02\x00\x02");
    check_bytes(json!({"$bs": ["", "AQI="]}), b"\xa4\x00\x02\x01\x02");
}

#[test]
fn numbers_have_the_documented_bytes() {
    check_bytes(json!(0), b"\x40");
    check_bytes(json!(1), b"\x42\x00\x01");
    check_bytes(json!(-1), b"\x42\x01\x01");
    check_bytes(json!(30), b"\x42\x04\x03");
    check_bytes(json!(-2.5), b"\x42\x03\x19");
    check_bytes(json!(0.01), b"\x42\x06\x01");
    check_bytes(json!(256), b"\x43\x00\x00\x01");
    check_bytes(json!(1_718_031_245_123_u64), b"\x47\x00\x43\x5f\xa4\x02\x90\x01");
    check_bytes(json!(u64::MAX), b"\x49\x00\xff\xff\xff\xff\xff\xff\xff\xff");
    check_bytes(json!(1e-32), b"\x42\x7e\x01");
    check_bytes(json!(1e32), b"\x43\x80\x01\x01");
    check_bytes(json!(1e-33), b"\x43\x82\x01\x01");
    check_bytes(json!(1e125), b"\x43\xf4\x03\x01");
    let longest = format!("-0.{}{}", "0".repeat(129), "9".repeat(38));
    check_bytes(
        json!({"$number": longest}),
        b"\x4c\x12\x9b\x05\xff\xff\xff\xff\x3f\x22\x8a\x09\x7a\xc4\x86\x5a\xa8\x4c\x3b\x4b",
    );
}

#[test]
fn lengths_have_the_documented_bytes() {
    for (len, header) in [
        (11, &b"\x3b"[..]),
        (12, b"\x3c\x0c"),
        (255, b"\x3c\xff"),
        (256, b"\x3d\x00\x01"),
        (65_535, b"\x3d\xff\xff"),
        (65_536, b"\x3e\x00\x00\x01"),
        (400_000, b"\x3e\x80\x1a\x06"),
    ] {
        let text = "x".repeat(len);
        check_bytes(json!(text), &[header, text.as_bytes()].concat());
        // The headers of bodies whose length is not known before they are written.
        let list = [&[header[0] | 0x40], &header[1..], &vec![0; len][..]].concat();
        check_bytes(
            json!(vec![Value::Null; len.min(200_000)]),
            &if len > 200_000 { [&b"\x7e\x40\x0d\x03"[..], &vec![0; 200_000]].concat() } else { list },
        );
    }
    for (len, varint) in
        [(127, &b"\x7f"[..]), (128, b"\x80\x01"), (16_383, b"\xff\x7f"), (16_384, b"\x80\x80\x01")]
    {
        let name = "n".repeat(len);
        let bytes = [b"\x01", varint, name.as_bytes(), b"\x00"].concat();
        assert_eq!(encode_json(&json!({ name: null })).as_ref(), Ok(&bytes));
    }
}

#[test]
fn an_item_has_the_documented_bytes() {
    let user = json!({"user_id": "alice", "age": 30, "address": {"city": "Bern", "zip": 3000}});
    let bytes = b"\x01\
        \x07address\x6c\x11\x04city\x34Bern\x03zip\x42\x0c\x03\
        \x03age\x42\x04\x03\
        \x07user_id\x35alice";
    assert_eq!(encode_json(&user).as_deref(), Ok(&bytes[..]));
    assert_eq!(encode_json(&json!({})).as_deref(), Ok(&b"\x01"[..]));
}
