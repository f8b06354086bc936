//! Items and tables are at the other side what they were at the one.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use dynamite_core::api::{DynaMite, GlobalIndex, LocalIndex, Projection, StreamView, TableDescription};
use dynamite_core::types::KeyType;
use dynamite_server::Server;
use serde_json::json;

use crate::common::scratch_file;
use crate::common::things::things;
use crate::support::*;

#[test]
fn every_kind_of_value_comes_back_as_it_was() {
    let (_directory, path) = scratch_file();
    let table = "every_kind_of_value";
    fill(&path, table);
    let copied = report(&mut command("to", &endpoint(), &path, table), 0);
    assert_eq!((&copied["items"], &copied["created"]), (&things().len().into(), &true.into()), "{copied}");
    assert_eq!(Sdk::new().count(table), things().len());
    let (_other, back) = scratch_file();
    let returned = report(&mut command("from", &endpoint(), &back, table), 0);
    assert_eq!(
        (&returned["checksum"], &returned["created"]),
        (&copied["checksum"], &true.into()),
        "{returned}"
    );
    assert_eq!(items(&back, table), items(&path, table));
    let verified = report(&mut command("verify", &endpoint(), &back, table), 0);
    assert_eq!(verified["equal"], true, "{verified}");
    assert_eq!(verified["endpoint"]["checksum"], copied["checksum"], "{verified}");
    // Nothing that was remembered is left, and what is done twice changes nothing.
    assert!(!path.with_file_name(format!("{table}.copy")).exists());
    let again = report(&mut command("to", &endpoint(), &path, table), 0);
    assert_eq!((&again["checksum"], &again["created"]), (&copied["checksum"], &false.into()), "{again}");
    assert_eq!(report(&mut command("verify", &endpoint(), &path, table), 0)["equal"], true);
}

#[test]
fn a_table_comes_with_its_indexes_and_settings() {
    let (_directory, path) = scratch_file();
    let table = "indexes_and_settings";
    let db = DynaMite::create(&path).expect("the file is created");
    db.create_table(table)
        .partition_key("id", KeyType::String)
        .sort_key("n", KeyType::Number)
        .global_index(GlobalIndex::new("all").partition_key("n", KeyType::Number))
        .global_index(
            GlobalIndex::new("some")
                .partition_key("kind", KeyType::String)
                .sort_key("raw", KeyType::Binary)
                .projection(Projection::include(["x", "y"])),
        )
        .local_index(LocalIndex::new("keys").sort_key("at", KeyType::Number).projection(Projection::KeysOnly))
        .ttl("expires")
        .stream(StreamView::NewAndOldImages)
        .execute()
        .expect("there is room");
    for n in 0..60 {
        let item = json!({"id": format!("a{}", n % 7), "n": n, "kind": "k", "raw": {"$binary": "AAE="}, "at": n, "x": 1, "z": 2});
        db.put_item(table, item).expect("there is room");
    }
    let made = db.describe_table(table).expect("it is there");
    db.close().expect("the file is sealed");

    let copied = report(&mut command("to", &endpoint(), &path, table), 0);
    let (_other, back) = scratch_file();
    let returned = report(&mut command("from", &endpoint(), &back, table), 0);
    assert_eq!(returned["checksum"], copied["checksum"]);
    let db = DynaMite::open(&back).expect("it can be read");
    let found = db.describe_table(table).expect("it is there");
    let indexes = |table: &TableDescription| {
        let mut indexes: Vec<_> = table
            .indexes
            .iter()
            .map(|index| {
                (
                    index.name.clone(),
                    index.kind,
                    index.keys.clone(),
                    index.projection.clone(),
                    index.item_count,
                )
            })
            .collect();
        indexes.sort_by(|one, other| one.0.cmp(&other.0));
        indexes
    };
    assert_eq!(found.keys, made.keys);
    assert_eq!(indexes(&found), indexes(&made));
    // What the endpoint does not have is said.
    let warnings = copied["warnings"].as_array().expect("there are warnings, or none");
    let is_said = |words: &str| warnings.iter().any(|warning| warning.to_string().contains(words));
    assert_eq!(found.ttl.is_none(), is_said("expire by expires"), "{copied}");
    assert!(found.ttl.is_none_or(|attribute| attribute == "expires"));
    assert_eq!(found.stream.is_none(), is_said("no change stream"), "{copied}");
    assert!(found.stream.is_none_or(|stream| stream.view == StreamView::NewAndOldImages));
}

#[test]
fn a_server_is_copied_from_and_to() {
    let (directory, path) = scratch_file();
    let table = "a_server";
    fill(&path, table);
    let socket = directory.path().join("s");
    let db = DynaMite::open(&path).expect("it can be opened");
    let server = Server::share(&db, &socket).expect("the server starts");
    let at_socket = |action: &str, name: &str| {
        let mut command = std::process::Command::new(COPY);
        command
            .current_dir(directory.path())
            .args([
                action,
                "--endpoint-url",
                &endpoint(),
                "--table",
                name,
                "--endpoint-table",
                table,
                "--socket",
            ])
            .arg(&socket)
            .envs([
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ]);
        command
    };
    let copied = report(&mut at_socket("to", table), 0);
    let returned = report(&mut at_socket("from", "another"), 0);
    assert_eq!(returned["checksum"], copied["checksum"]);
    assert_eq!(report(&mut at_socket("verify", "another"), 0)["equal"], true);
    server.stop().expect("the server ends");
    db.close().expect("the file is sealed");
    assert_eq!(items(&path, "another"), items(&path, table));
}

#[test]
fn an_item_that_was_changed_is_noticed() {
    let (_directory, path) = scratch_file();
    let table = "a_changed_item";
    let db = DynaMite::create(&path).expect("the file is created");
    db.create_table(table)
        .partition_key("id", KeyType::String)
        .ttl("expires")
        .execute()
        .expect("there is room");
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs() + 3600;
    for n in 0..100 {
        db.put_item(table, json!({"id": format!("a{n}"), "n": n})).expect("there is room");
    }
    db.put_item(table, json!({"id": "goes", "expires": soon})).expect("there is room");
    db.close().expect("the file is sealed");
    report(&mut command("to", &endpoint(), &path, table), 0);

    let sdk = Sdk::new();
    let verify = |code: i32| report(&mut command("verify", &endpoint(), &path, table), code);
    let whole = verify(0);
    assert_eq!(
        (&whole["endpoint"]["items"], &whole["endpoint"]["left_out"]),
        (&100.into(), &1.into()),
        "{whole}"
    );
    // An item more, one less, another value, and the same number in another type.
    let s = |text: &str| SdkValue::S(text.to_owned());
    let restore = || sdk.put(table, &[("id", s("a7")), ("n", SdkValue::N("7".to_owned()))]);
    sdk.put(table, &[("id", s("more"))]);
    assert_eq!(verify(1)["endpoint"]["items"], 101);
    sdk.wait(sdk.client.delete_item().table_name(table).key("id", s("more")).send());
    sdk.wait(sdk.client.delete_item().table_name(table).key("id", s("a7")).send());
    assert_eq!(verify(1)["endpoint"]["items"], 99);
    for other in [SdkValue::N("8".to_owned()), s("7")] {
        sdk.put(table, &[("id", s("a7")), ("n", other)]);
        let found = verify(1);
        assert_eq!((&found["equal"], &found["endpoint"]["items"]), (&false.into(), &100.into()), "{found}");
    }
    let said = run(&mut command("verify", &endpoint(), &path, table));
    assert!(said.code == Some(1) && said.out.contains("NOT VERIFIED"), "{said:?}");
    restore();
    assert_eq!(verify(0)["equal"], true);
    // What expires within a day may be there or not.
    sdk.wait(sdk.client.delete_item().table_name(table).key("id", s("goes")).send());
    assert_eq!(verify(0)["equal"], true);
}
