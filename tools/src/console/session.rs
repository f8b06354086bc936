//! A conversation with a database: statements, one after the other, and what is remembered between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dynamite_core::api::{Consumed, IndexKind, ReturnValues, TableDescription};
use dynamite_core::partiql;
use serde_json::{Map, Value, json};

use crate::console::answer::Answer;
use crate::console::describe::{self, Cost};
use crate::console::error::{ConsoleError, Result};
use crate::console::help;
use crate::console::pages::Pages;
use crate::console::parser;
use crate::console::reading::Reading;
use crate::console::selecting::Selecting;
use crate::console::statement::{Explained, Get, Keys, Limit, Read, Statement, Way};
use crate::console::target::Target;
use crate::console::transaction::{Action, Transaction, Write};

/// Items in a page, if nothing else is said.
pub(crate) const DEFAULT_PAGE_SIZE: usize = 50;

/// What is remembered between statements.
pub(crate) struct Session {
    pub(crate) target: Target,
    /// Says that the user has had enough of what is being done.
    interrupt: Arc<AtomicBool>,
    page_size: usize,
    /// The table that is meant where none is named.
    table: Option<String>,
    /// What was said since `BEGIN`.
    pending: Option<Transaction>,
    /// The last query, scan or SELECT, and the size of its pages.
    last: Option<(Pages, usize)>,
    /// Whether the user has said so.
    is_over: bool,
}

impl Session {
    pub(crate) fn new(target: Target, interrupt: Arc<AtomicBool>, page_size: usize) -> Session {
        Session { target, interrupt, page_size, table: None, pending: None, last: None, is_over: false }
    }

    /// The table that is meant where none is named.
    pub(crate) fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// Whether the user has ended the conversation.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a transaction is being collected.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.pending.is_some()
    }

    /// Does a statement, and hands each of its answers to `answer`: one, or one for each page.
    pub(crate) fn execute(
        &mut self,
        text: &str,
        answer: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<(), (ConsoleError, Option<usize>)> {
        self.interrupt.store(false, Ordering::Relaxed);
        let statement = parser::parse(text).map_err(|error| {
            let position = error.position;
            (error.into(), Some(position))
        })?;
        let places = statement.places();
        self.run(statement, answer).map_err(|error| {
            let position = places.of(&error);
            (error, position)
        })
    }

    fn run(&mut self, statement: Statement, answer: &mut dyn FnMut(Answer) -> Result<()>) -> Result<()> {
        let one = match statement {
            Statement::Help(None) => Answer::Help(help::list()),
            Statement::Help(Some(asked)) => {
                Answer::Help(help::find(&asked).map_or_else(help::list, |topic| topic.text.to_owned()))
            }
            Statement::Use(table) => {
                self.target.describe_table(&table)?;
                self.table = Some(table.clone());
                Answer::table("using", &table)
            }
            Statement::ListTables => {
                let tables = self.target.list_tables()?.into_iter().map(Value::from);
                Answer::List { name: "tables", values: tables.collect() }
            }
            Statement::ListKeys { table, prefix, limit } => {
                let table = self.named(table)?;
                Answer::List { name: "keys", values: self.target.list_keys(&table, &prefix, limit)? }
            }
            Statement::Describe(table) => {
                let table = self.named(table)?;
                describe::table(&self.target.describe_table(&table)?)
            }
            Statement::CreateTable(table) => {
                self.target.create_table(&table)?;
                Answer::table("created", &table.name)
            }
            Statement::AlterTable(change) => {
                self.target.alter_table(&change)?;
                Answer::table("changed", &change.name)
            }
            Statement::DropTable(table) => {
                self.target.drop_table(&table)?;
                self.table = self.table.take().filter(|used| *used != table);
                Answer::table("dropped", &table)
            }
            Statement::Get(get) => self.get(&get)?,
            Statement::Read(read) => return self.read(*read, answer),
            Statement::More(None) => return self.more(answer),
            Statement::More(Some((cursor, partiql))) => {
                return self.select(partiql.text, Some(cursor), answer);
            }
            Statement::PartiQl(partiql) if reads(&partiql.text)? => {
                return self.select(partiql.text, None, answer);
            }
            Statement::PartiQl(partiql) => self.write_partiql(partiql.text)?,
            Statement::Explain(explained) => self.explain(explained)?,
            Statement::Put(put) => self.write(put.table.clone(), Write::Put(put))?,
            Statement::Update(update) => self.write(update.key.table.clone(), Write::Update(update))?,
            Statement::Delete(delete) => self.write(delete.key.table.clone(), Write::Delete(delete))?,
            Statement::Check(check) => self.write(check.key.table.clone(), Write::Check(check))?,
            Statement::History { of, limit } => {
                let table = self.named(of.table.clone())?;
                Answer::Versions(self.target.history(&table, &of, limit)?)
            }
            Statement::Restore { of, version } => {
                self.outside_transaction("RESTORE")?;
                let table = self.named(of.table.clone())?;
                Answer::version("restored", self.target.restore(&table, &of, version)?)
            }
            Statement::Begin => self.begin()?,
            Statement::Commit => self.commit()?,
            Statement::Rollback => self.roll_back()?,
            Statement::Stats => self.stats()?,
            Statement::Exit => {
                self.is_over = true;
                return Ok(());
            }
        };
        answer(one)
    }

    /// The table that a statement means.
    fn named(&self, table: Option<String>) -> Result<String> {
        let none = || ConsoleError::Misplaced("no table is named; name one, or USE it".to_owned());
        table.or_else(|| self.table.clone()).ok_or_else(none)
    }

    fn get(&mut self, get: &Get) -> Result<Answer> {
        let table = self.named(get.key.table.clone())?;
        let found = self.target.get(&table, get, None)?;
        let keys = self.target.describe_table(&table)?.keys;
        let keys = keys.attributes().map(|attribute| attribute.name().to_owned()).collect();
        let (item, version) = found.map_or((None, None), |found| (Some(found.item), Some(found.version)));
        Ok(Answer::Found { item, version, keys })
    }

    fn read(&mut self, read: Read, answer: &mut dyn FnMut(Answer) -> Result<()>) -> Result<()> {
        let table = self.named(read.table.clone())?;
        let limit = read.limit;
        let reading = Reading::new(&self.target.describe_table(&table)?, read);
        let size = match limit {
            Limit::Items(count) => count,
            Limit::Page | Limit::All => self.page_size,
        };
        self.last = None;
        self.pages(Pages::Reading(Box::new(reading)), size, limit, answer)
    }

    /// Shows a page of a SELECT, from its beginning or from where a cursor leads.
    fn select(
        &mut self,
        text: String,
        cursor: Option<String>,
        answer: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let selecting = Selecting::new(&self.target, text, cursor);
        self.last = None;
        self.pages(Pages::Selecting(selecting), self.page_size, Limit::Page, answer)
    }

    fn more(&mut self, answer: &mut dyn FnMut(Answer) -> Result<()>) -> Result<()> {
        let nothing = || ConsoleError::Misplaced("there is no more; QUERY, SCAN or SELECT begins".to_owned());
        let (pages, size) = self.last.take().ok_or_else(nothing)?;
        self.pages(pages, size, Limit::Items(size), answer)
    }

    /// Shows a page, or all, and remembers where to go on.
    fn pages(
        &mut self,
        mut pages: Pages,
        size: usize,
        limit: Limit,
        answer: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        loop {
            let counted = if let Limit::Items(count) = limit { Some(count) } else { None };
            let page = pages.next(&self.target, size, counted, &self.interrupt, None)?;
            let goes_on = limit == Limit::All && !pages.is_done();
            answer(pages.answer(page, goes_on))?;
            if pages.is_done() {
                return Ok(());
            }
            if limit != Limit::All {
                self.last = Some((pages, size));
                return Ok(());
            }
        }
    }

    fn explain(&mut self, explained: Explained) -> Result<Answer> {
        let consumed = Consumed::default();
        let named = match &explained {
            Explained::Get(get) => get.key.table.clone(),
            Explained::Read(read) => read.table.clone(),
            Explained::Select(partiql) => {
                reads(&partiql.text)?;
                partiql::table_of(&partiql.text)
            }
        };
        let table = self.named(named)?;
        // What this asks the database for is not what is to be explained.
        let described = self.target.describe_table(&table)?;
        let (index, access) = plan(&described, &explained);
        let before = self.target.pages_touched()?;
        let (shown, examined, more) = match explained {
            Explained::Get(get) => {
                let found = usize::from(self.target.get(&table, &get, Some(&consumed))?.is_some());
                (found, found, false)
            }
            Explained::Read(read) => {
                let size = if let Limit::Items(count) = read.limit { count } else { self.page_size };
                let mut reading = Reading::new(&described, *read);
                let read = if reading.counts() {
                    reading.count(&self.target, None, &self.interrupt, Some(&consumed))?
                } else {
                    reading.page(&self.target, size, &self.interrupt, Some(&consumed))?
                };
                (read.count, read.scanned_count, !reading.is_done())
            }
            Explained::Select(partiql) => {
                let mut selecting = Selecting::new(&self.target, partiql.text, None);
                let read = selecting.page(&self.target, self.page_size, &self.interrupt, Some(&consumed))?;
                (read.count, read.scanned_count, !selecting.is_done())
            }
        };
        let index = index.or_else(|| index_of(&consumed));
        let after = self.target.pages_touched()?;
        let is_shared = self.target.is_shared();
        let cost = Cost {
            access,
            index,
            shown,
            examined,
            more,
            consumed,
            pages: after.0.saturating_sub(before.0),
            pages_read: after.1.saturating_sub(before.1),
            is_shared,
        };
        Ok(describe::cost(&table, &cost))
    }

    /// Writes at once, or keeps for later what is said in a transaction.
    fn write(&mut self, table: Option<String>, write: Write) -> Result<Answer> {
        let table = self.named(table)?;
        if let Some(pending) = &mut self.pending {
            let returns = match &write {
                Write::Put(put) => put.return_old,
                Write::Update(update) => update.return_values != ReturnValues::None,
                Write::Delete(delete) => delete.return_old,
                Write::Check(_) => false,
            };
            if returns {
                let message = "a transaction returns nothing; leave RETURN out";
                return Err(ConsoleError::Misplaced(message.to_owned()));
            }
            pending.add_action(Action { table, write })?;
            return Ok(so_far(pending));
        }
        match write {
            Write::Put(put) => {
                let replaced = self.target.put(&table, &put)?;
                let answer = Answer::version("put", replaced.version);
                Ok(if put.return_old { with_item(answer, "old", replaced.old) } else { answer })
            }
            Write::Update(update) => {
                let updated = self.target.update(&table, &update)?;
                let answer = match updated.version {
                    0 => Answer::nothing_to_remove(),
                    version => Answer::version("updated", version),
                };
                let returns = update.return_values != ReturnValues::None;
                Ok(if returns { with_item(answer, "attributes", updated.attributes) } else { answer })
            }
            Write::Delete(delete) => {
                let old = self.target.delete(&table, &delete)?;
                let text = if old.is_some() { "deleted" } else { "there was no such item" };
                let answer = Answer::Done { text: text.to_owned(), json: json!({"deleted": old.is_some()}) };
                Ok(if delete.return_old { with_item(answer, "old", old) } else { answer })
            }
            Write::Check(_) => {
                let message = "a CHECK belongs into a transaction; BEGIN one first";
                Err(ConsoleError::Misplaced(message.to_owned()))
            }
        }
    }

    /// Does a statement of PartiQL that writes, or keeps it for later.
    fn write_partiql(&mut self, text: String) -> Result<Answer> {
        if let Some(pending) = &mut self.pending {
            pending.add_statement(text)?;
            return Ok(so_far(pending));
        }
        let page = self.target.statement(&text, None, None, None)?;
        let answer = Answer::Done { text: "done".to_owned(), json: json!({"done": true}) };
        let returned = page.items.into_iter().next();
        Ok(if returned.is_some() { with_item(answer, "returned", returned) } else { answer })
    }

    fn outside_transaction(&self, what: &str) -> Result<()> {
        if self.is_in_transaction() {
            let message = format!("{what} cannot be part of a transaction; COMMIT or ROLLBACK first");
            return Err(ConsoleError::Misplaced(message));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Answer> {
        self.outside_transaction("BEGIN")?;
        self.pending = Some(Transaction::default());
        let text = "a transaction begins; COMMIT does it, ROLLBACK forgets it".to_owned();
        Ok(Answer::Done { text, json: json!({"pending": 0}) })
    }

    fn pending(&mut self) -> Result<Transaction> {
        let none = || ConsoleError::Misplaced("there is no transaction; BEGIN begins one".to_owned());
        self.pending.take().ok_or_else(none)
    }

    fn commit(&mut self) -> Result<Answer> {
        let Transaction { actions, statements } = self.pending()?;
        let without_version =
            |text: &str| Answer::Done { text: text.to_owned(), json: json!({"version": null}) };
        if !statements.is_empty() {
            self.target.transact_statements(&statements)?;
            return Ok(without_version("committed"));
        }
        if actions.is_empty() {
            return Ok(without_version("nothing to do"));
        }
        Ok(Answer::version("committed", self.target.transact(&actions)?))
    }

    fn roll_back(&mut self) -> Result<Answer> {
        let forgotten = self.pending()?.len();
        let noun = if forgotten == 1 { "statement" } else { "statements" };
        Ok(Answer::Done { text: format!("{forgotten} {noun} forgotten"), json: json!({"pending": 0}) })
    }

    fn stats(&mut self) -> Result<Answer> {
        let stats = self.target.stats()?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fields = stats.iter().map(|(name, value)| (name.replace('_', " "), text(value))).collect();
        let json = stats.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>();
        Ok(Answer::Record { fields, json: Value::Object(json) })
    }
}

/// What is said of a transaction that goes on.
fn so_far(pending: &Transaction) -> Answer {
    let count = pending.len();
    let noun = if count == 1 { "statement" } else { "statements" };
    let text = format!("{count} {noun} so far; COMMIT does them");
    Answer::Done { text, json: json!({"pending": count}) }
}

/// Whether a statement of PartiQL only reads.
fn reads(text: &str) -> Result<bool> {
    Ok(partiql::reads(text).map_err(dynamite_core::Error::Statement)?)
}

/// The index that was read, by what is told of what was consumed.
fn index_of(consumed: &Consumed) -> Option<String> {
    let (name, kind) = consumed.entries().into_iter().find_map(|entry| entry.index)?;
    Some(described_index(&name, Some(kind)))
}

fn described_index(name: &str, kind: Option<IndexKind>) -> String {
    let kind = match kind {
        Some(IndexKind::Global) => " (global)",
        Some(IndexKind::Local) => " (local)",
        None => "",
    };
    format!("{name}{kind}")
}

fn with_item(answer: Answer, name: &'static str, item: Option<dynamite_core::Item>) -> Answer {
    match answer {
        Answer::Done { text, json } => Answer::DoneWithItem { text, json, name, item },
        answer => answer,
    }
}

/// Which index a read uses, and how it finds its items, if it says so.
fn plan(table: &TableDescription, explained: &Explained) -> (Option<String>, Option<String>) {
    let read = match explained {
        Explained::Get(_) => return (None, Some("one item by its key".to_owned())),
        Explained::Read(read) => read,
        Explained::Select(_) => return (None, None),
    };
    let index = read.index.as_ref().map(|name| {
        let kind = table.indexes.iter().find(|index| index.name == *name).map(|index| index.kind);
        described_index(name, kind)
    });
    let filter = if read.filter.is_some() { ", and a filter on each item" } else { "" };
    let access = match &read.way {
        Way::Query { keys: Keys::Partition(_), .. } => "all items of one partition".to_owned(),
        Way::Query { keys: Keys::Condition(condition), .. } => {
            format!("one partition, by the key condition {}", condition.text)
        }
        Way::Scan { segment: None } => "all items".to_owned(),
        Way::Scan { segment: Some((nth, of)) } => format!("segment {nth} of {of}"),
    };
    (index, Some(access + filter))
}
