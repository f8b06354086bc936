//! Expressions: reading them, and a filter, a projection and an update on an encoded document of about 400 bytes.
//!
//! ```sh
//! cargo bench -p dynamite-core --bench expression
//! ```

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dynamite_core::expression::Expressions;
use dynamite_core::item_codec::{ItemView, decode, encode_json};
use dynamite_core::{AttributeValue, Item};
use serde_json::json;

fn document() -> Vec<u8> {
    encode_json(&json!({
        "order_id": "2024-06-01-000017", "customer": "Alice Example", "created_at": 1_717_243_200, "amount": 149.95,
        "paid": true, "note": "Please leave the parcel with the neighbours on the second floor, they are at home all day. \
                               The bell does not work, so knock loudly.",
        "tags": ["books", "gift", "express", "fragile"],
        "address": {"street": "Bundesplatz 3", "city": "Bern", "zip": 3005, "country": "Switzerland"},
        "status": "shipped",
    }))
    .expect("an item")
}

fn values() -> Item {
    let values = [
        (":s", AttributeValue::from("shipped")),
        (":min", AttributeValue::from(100)),
        (":one", AttributeValue::from(1)),
        (":city", AttributeValue::from("Bern")),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn filters(c: &mut Criterion) {
    let bytes = document();
    let mut group = c.benchmark_group("filter");
    group.throughput(Throughput::Elements(1));
    for (name, text, names) in [
        ("first_attribute_string", "address.city = :city", &[":city"][..]),
        ("last_attribute_number", "amount > :min", &[":min"]),
        ("missing_attribute", "attribute_exists(zzz)", &[]),
        (
            "four_tests",
            "amount > :min AND address.city = :city AND paid <> :one AND size(tags) > :one",
            &[":min", ":city", ":one"],
        ),
    ] {
        let values: Item = values().into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
        let values = (!values.is_empty()).then_some(values);
        let built = Expressions::builder().filter(text).values(values.as_ref()).build();
        let filter = built.expect("an expression").filter.expect("a filter");
        group.bench_function(name, |b| {
            b.iter(|| {
                filter.matches(ItemView::new(black_box(&bytes)).expect("an item")).expect("a sound item")
            });
        });
    }
    group.bench_function("decoding_it_all_instead", |b| {
        b.iter(|| decode(black_box(&bytes)).expect("a sound item"));
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    let long = vec!["a1=:s"; 150].join(" AND ");
    let mut values = values();
    values.retain(|name, _| name == ":s");
    group.bench_function("one_comparison", |b| {
        b.iter(|| {
            Expressions::builder()
                .filter(black_box("a1 = :s"))
                .values(&values)
                .build()
                .expect("an expression")
        });
    });
    group.bench_function("299_operators", |b| {
        b.iter(|| {
            Expressions::builder().filter(black_box(&*long)).values(&values).build().expect("an expression")
        });
    });
    let sets = format!("SET {}", (0..300).map(|i| format!("a{i}=b+:s")).collect::<Vec<_>>().join(","));
    let one = Item::from([(":s".to_owned(), AttributeValue::from(1))]);
    group.bench_function("300_sets", |b| {
        b.iter(|| {
            Expressions::builder().update(black_box(&*sets)).values(&one).build().expect("an expression")
        });
    });
    group.finish();
}

fn changes(c: &mut Criterion) {
    let bytes = document();
    let item = ItemView::new(&bytes).expect("an item");
    let key = Item::new();
    let mut group = c.benchmark_group("change");
    let projection = Expressions::builder().projection("order_id, address.city, tags[1]").build();
    let projection = projection.expect("an expression").projection.expect("a projection");
    group.bench_function("project_three_paths", |b| {
        b.iter(|| projection.project(black_box(item)).expect("a sound item"))
    });
    for (name, text) in [("count", "ADD created_at :one"), ("set_nested", "SET address.zip = :one")] {
        let one = Item::from([(":one".to_owned(), AttributeValue::from(1))]);
        let built = Expressions::builder().update(text).values(&one).build();
        let update = built.expect("an expression").update.expect("an update");
        group.bench_function(name, |b| {
            b.iter(|| update.apply(black_box(Some(item)), &key).expect("an update"))
        });
    }
    group.finish();
}

criterion_group!(benches, filters, reading, changes);
criterion_main!(benches);
