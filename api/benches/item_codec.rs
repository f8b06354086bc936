//! The stored form of items beside JSON text: a document of about 400 bytes with 8 attributes, to and from a
//! `serde_json::Value`, a user's struct, and one attribute out of it.
//!
//! ```sh
//! cargo bench -p dynamite-core --bench item_codec
//! ```

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dynamite_core::Item;
use dynamite_core::item_codec::{
    ItemView, check, decode, decode_json, encode_into, encode_json_into, from_bytes, to_bytes_into,
};
use dynamite_core::json::item_from_json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    order_id: String,
    customer: String,
    created_at: u64,
    total: f64,
    paid: bool,
    note: Option<String>,
    tags: Vec<String>,
    address: Address,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
    zip: u32,
}

#[derive(Deserialize)]
struct OrderRef<'a> {
    order_id: &'a str,
    created_at: u64,
    total: f64,
}

fn document() -> Value {
    json!({
        "order_id": "2f6b9c1e-7d3a-4c55-9b0e-1f2d3c4b5a69",
        "customer": "customer-0000048213",
        "created_at": 1_718_031_245_123_u64,
        "total": 129.95,
        "paid": true,
        "note": "Please leave the parcel with the neighbours on the ground floor if nobody answers the door bell.",
        "tags": ["express", "gift", "europe", "repeat-customer"],
        "address": {"street": "Rue du Lac 118", "city": "Yverdon-les-Bains", "zip": 1400},
    })
}

fn whole_item(c: &mut Criterion) {
    let json = document();
    let text = serde_json::to_vec(&json).expect("JSON");
    let mut bytes = Vec::new();
    encode_json_into(&json, &mut bytes).expect("a sound item");
    assert_eq!(decode_json(&bytes).expect("a sound item"), json);
    assert!(bytes.len() < text.len(), "{} bytes for {} of JSON", bytes.len(), text.len());
    let item: Item = item_from_json(json.clone()).expect("a sound item");

    let mut group = c.benchmark_group("get whole item");
    group.bench_function("to Value from JSON text", |b| {
        b.iter(|| serde_json::from_slice::<Value>(black_box(&text)).expect("JSON"));
    });
    group.bench_function("to Value from stored form", |b| {
        b.iter(|| decode_json(black_box(&bytes)).expect("a sound item"));
    });
    group.bench_function("to Item from stored form", |b| {
        b.iter(|| decode(black_box(&bytes)).expect("a sound item"));
    });
    group.bench_function("clone of the Value", |b| b.iter(|| black_box(&json).clone()));
    group.bench_function("check", |b| b.iter(|| check(black_box(&bytes)).expect("a sound item")));
    group.finish();

    let mut group = c.benchmark_group("put whole item");
    let mut buffer = Vec::with_capacity(1024);
    group.bench_function("from Value to JSON text", |b| {
        b.iter(|| {
            buffer.clear();
            serde_json::to_writer(&mut buffer, black_box(&json)).expect("JSON");
        });
    });
    group.bench_function("from Value to stored form", |b| {
        b.iter(|| {
            buffer.clear();
            encode_json_into(black_box(&json), &mut buffer).expect("a sound item")
        });
    });
    group.bench_function("from Item to stored form", |b| {
        b.iter(|| {
            buffer.clear();
            encode_into(black_box(&item), &mut buffer).expect("a sound item")
        });
    });
    group.finish();
}

fn structs(c: &mut Criterion) {
    let json = document();
    let text = serde_json::to_vec(&json).expect("JSON");
    let order: Order = serde_json::from_slice(&text).expect("an order");
    let mut bytes = Vec::new();
    to_bytes_into(&order, &mut bytes).expect("a sound item");
    assert_eq!(from_bytes::<Order>(&bytes).expect("an order"), order);

    let mut group = c.benchmark_group("structs");
    group.bench_function("read from JSON text", |b| {
        b.iter(|| serde_json::from_slice::<Order>(black_box(&text)).expect("an order"));
    });
    group.bench_function("read from stored form", |b| {
        b.iter(|| from_bytes::<Order>(black_box(&bytes)).expect("an order"));
    });
    group.bench_function("read three borrowed fields from JSON text", |b| {
        b.iter(|| {
            let order: OrderRef<'_> = serde_json::from_slice(black_box(&text)).expect("an order");
            order.order_id.len() as f64 + order.created_at as f64 + order.total
        });
    });
    group.bench_function("read three borrowed fields from stored form", |b| {
        b.iter(|| {
            let order: OrderRef<'_> = from_bytes(black_box(&bytes)).expect("an order");
            order.order_id.len() as f64 + order.created_at as f64 + order.total
        });
    });
    let mut buffer = Vec::with_capacity(1024);
    group.bench_function("write as JSON text", |b| {
        b.iter(|| {
            buffer.clear();
            serde_json::to_writer(&mut buffer, black_box(&order)).expect("JSON");
        });
    });
    group.bench_function("write as stored form", |b| {
        b.iter(|| {
            buffer.clear();
            to_bytes_into(black_box(&order), &mut buffer).expect("a sound item")
        });
    });
    group.finish();
}

fn one_attribute(c: &mut Criterion) {
    let mut bytes = Vec::new();
    encode_json_into(&document(), &mut bytes).expect("a sound item");
    let mut group = c.benchmark_group("one attribute");
    for name in ["address", "paid", "total", "missing"] {
        group.bench_function(name, |b| {
            b.iter(|| ItemView::new(black_box(&bytes)).and_then(|item| item.get(black_box(name))).is_ok());
        });
    }
    group.bench_function("total as f64", |b| {
        b.iter(|| {
            let item = ItemView::new(black_box(&bytes)).expect("a sound item");
            let total = item.get("total").expect("a sound item").expect("it is there");
            total.as_number().expect("a sound number").expect("it is one").to_f64()
        });
    });
    group.bench_function("address.city", |b| {
        b.iter(|| {
            let item = ItemView::new(black_box(&bytes)).expect("a sound item");
            let address = item.get("address").expect("a sound item").expect("it is there");
            let city = address.get("city").expect("a sound item").expect("it is there");
            city.as_str().expect("UTF-8").expect("a string").len()
        });
    });
    group.finish();
}

criterion_group!(benches, whole_item, structs, one_attribute);
criterion_main!(benches);
