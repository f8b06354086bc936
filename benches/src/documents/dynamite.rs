//! DynaMite's document API, as its own documentation tells: one handle for all threads, one table for each way to find
//! documents, commits that are durable when they return.

use std::path::Path;

use dynamite_core::Error;
use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::Value;

use super::{DocumentSession, Documents, FoundBy, Person};
use crate::peers::{Config, Database, Outcome};

const PEOPLE: &str = "people";
const GROUPS: &str = "groups";

pub(super) fn open(directory: &Path, config: &Config) -> Outcome<Box<dyn Documents>> {
    std::fs::create_dir_all(directory)?;
    let builder = DynaMite::builder().cache_size(config.cache_bytes);
    let db = builder.open_or_create(directory.join("documents.dynamite"))?;
    if matches!(db.describe_table(PEOPLE), Err(Error::TableNotFound { .. })) {
        db.create_table(PEOPLE).partition_key("id", KeyType::String).execute()?;
        db.create_table(GROUPS)
            .partition_key("id", KeyType::String)
            .sort_key("email", KeyType::String)
            .execute()?;
    }
    Ok(Box::new(DynamiteDocuments(db)))
}

struct DynamiteDocuments(DynaMite);

impl Database for DynamiteDocuments {
    fn close(self: Box<Self>) -> Outcome<()> {
        Ok(self.0.close()?)
    }
}

impl Documents for DynamiteDocuments {
    fn session(&self) -> Outcome<Box<dyn DocumentSession + '_>> {
        Ok(Box::new(DynamiteSession(&self.0)))
    }
}

struct DynamiteSession<'a>(&'a DynaMite);

impl DocumentSession for DynamiteSession<'_> {
    fn get(&mut self, id: &str) -> Outcome<Option<Value>> {
        Ok(self.0.get_item(PEOPLE).partition_key(id).execute()?)
    }

    fn email(&mut self, id: &str) -> Outcome<Option<String>> {
        let found = self.0.get_item(PEOPLE).partition_key(id).attributes(["email"]).execute()?;
        Ok(match found.map(|mut document| document["email"].take()) {
            Some(Value::String(email)) => Some(email),
            _ => None,
        })
    }

    fn person(&mut self, id: &str) -> Outcome<Option<Person>> {
        Ok(self.0.get_item(PEOPLE).partition_key(id).execute_as()?)
    }

    fn put(&mut self, document: &Value) -> Outcome<()> {
        self.0.put_item(PEOPLE, document)?;
        Ok(())
    }

    fn put_many(&mut self, found_by: FoundBy, documents: &[Value]) -> Outcome<()> {
        let table = match found_by {
            FoundBy::Id => PEOPLE,
            FoundBy::IdAndEmail => GROUPS,
        };
        documents
            .iter()
            .fold(self.0.batch_write(), |batch, document| batch.put(table, document))
            .execute()?;
        Ok(())
    }

    fn query(&mut self, id: &str) -> Outcome<Vec<Value>> {
        let page = self.0.query(GROUPS).partition_key(id).execute()?;
        match page.last_evaluated_key {
            None => Ok(page.items),
            Some(_) => Err("a group is more than a page".into()),
        }
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&Value)) -> Outcome<()> {
        for document in self.0.scan(PEOPLE).iter()? {
            visit(&document?);
        }
        Ok(())
    }

    fn count(&mut self) -> Outcome<u64> {
        Ok(self.0.scan(PEOPLE).count()?)
    }
}
