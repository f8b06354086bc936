//! The program, and the endpoint as others see it.

use std::path::Path;
use std::process::{Command, Stdio};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use dynamite_core::Item;
use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::common::things::things;

pub(crate) const COPY: &str = env!("CARGO_BIN_EXE_dynamite-copy");

/// What a run of the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The address of the endpoint.
pub(crate) fn endpoint() -> String {
    std::env::var("DYNAMODB_ENDPOINT").expect("DYNAMODB_ENDPOINT names the endpoint")
}

/// The program, as it stands for `from`, `to` or `verify`: between a table of a file and the table of the same name at an endpoint. Nothing of
/// the environment is for it but what is said here.
pub(crate) fn command(action: &str, url: &str, path: &Path, table: &str) -> Command {
    let mut command = Command::new(COPY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .current_dir(path.parent().expect("it is in a directory"))
        .arg(action)
        .args(["--endpoint-url", url, "--table", table, "--db"])
        .arg(path)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().expect("the program runs");
    Run {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A run that ends with this code. Returns its report.
#[track_caller]
pub(crate) fn report(command: &mut Command, code: i32) -> Value {
    let run = run(command.arg("--json"));
    assert_eq!(run.code, Some(code), "{run:?}");
    serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("it is JSON: {run:?}"))
}

/// The endpoint, as the SDK sees it.
pub(crate) struct Sdk {
    pub(crate) client: Client,
    runtime: Runtime,
}

impl Sdk {
    pub(crate) fn new() -> Sdk {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "static"));
        let runtime = Builder::new_current_thread().enable_all().build().expect("there are threads");
        Sdk { client: Client::from_conf(config.build()), runtime }
    }

    #[track_caller]
    pub(crate) fn wait<T, E: std::fmt::Debug>(&self, answer: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(answer).expect("the endpoint does it")
    }

    /// How many items a table has.
    pub(crate) fn count(&self, table: &str) -> usize {
        let pages = self.client.scan().table_name(table).into_paginator().items().send();
        self.wait(pages.collect::<Result<Vec<_>, _>>()).len()
    }

    pub(crate) fn put(&self, table: &str, attributes: &[(&str, SdkValue)]) {
        let mut put = self.client.put_item().table_name(table);
        for (name, value) in attributes {
            put = put.item(*name, value.clone());
        }
        self.wait(put.send());
    }
}

/// A table of all kinds of values in a new file.
pub(crate) fn fill(path: &Path, table: &str) {
    let db = DynaMite::create(path).expect("the file is created");
    let creation = db.create_table(table).partition_key("id", KeyType::String).sort_key("n", KeyType::Number);
    creation.execute().expect("there is room");
    for item in things() {
        db.put_item(table, item).expect("there is room");
    }
    db.close().expect("the file is sealed");
}

/// All items of a table, in order.
pub(crate) fn items(path: &Path, table: &str) -> Vec<Item> {
    let db = DynaMite::builder().read_only(true).open(path).expect("it can be read");
    let items = db.scan(table).iter_items().expect("it can be read");
    items.map(|item| item.expect("it can be read")).collect()
}
