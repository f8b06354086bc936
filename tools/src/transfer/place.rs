//! The database that a transfer is from or to: in a file, or at a server's socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use dynamite_core::api::{Durability, DynaMite, EncodedItem, Snapshot};
use dynamite_core::key_codec::KeyValue;
use dynamite_core::types::{KeyAttribute, KeySchema, KeyType};
use dynamite_core::{Error, Item};
use dynamite_server::client::{self as remote, BlockingClient};
use dynamite_server::{ClientError, default_socket};

use crate::console::error::ConsoleError;
use crate::console::target::Target;
use crate::transfer::error::Result;

/// Which database.
#[derive(Debug, Args)]
pub struct PlaceArguments {
    /// The database file. Without it, and without --socket, the database is that of the server of your user.
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,

    /// The socket of the server that shares the database.
    #[arg(long, short, value_name = "PATH", conflicts_with = "db")]
    pub socket: Option<PathBuf>,

    /// MiB of memory to use, about: half of it for pages of the database file.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=1 << 20))]
    pub memory: u32,
}

/// What is to be done with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// Writes, and makes the file if it is not there.
    Create,
}

impl PlaceArguments {
    pub(crate) fn memory_bytes(&self) -> usize {
        (self.memory as usize) << 20
    }

    pub(crate) fn open(&self, access: Access, interrupt: &Arc<AtomicBool>) -> Result<Target> {
        let Some(file) = &self.db else {
            let socket = self.socket.clone().unwrap_or_else(default_socket);
            let client = BlockingClient::connect(socket).map_err(ConsoleError::from)?;
            return Ok(Target::Server { client, interrupt: interrupt.clone() });
        };
        // What is written is durable when it is said to be, which is in larger steps than batches.
        let builder = DynaMite::builder()
            .cache_size(self.memory_bytes() / 2)
            .durability(Durability::Eventual)
            .read_only(access == Access::Read);
        Ok(Target::File(if access == Access::Create {
            builder.open_or_create(file)?
        } else {
            builder.open(file)?
        }))
    }
}

/// Why a batch was not written, so that its writer knows what to do.
pub(crate) enum BatchError {
    /// The item at this place in it cannot be put.
    Item(usize, Box<Error>),
    /// Something else, which does not lie in the items.
    Other(ConsoleError),
}

impl Target {
    /// Puts items, all or none.
    pub(crate) fn put_all<'i>(
        &self,
        table: &str,
        items: impl Iterator<Item = &'i EncodedItem<'static>>,
    ) -> Result<(), BatchError> {
        macro_rules! told {
            ($builder:expr) => {
                items.fold($builder, |batch, item| batch.put(table, item)).execute()
            };
        }
        let written = match self {
            Target::File(db) => told!(db.batch_write()).map_err(ConsoleError::from),
            Target::Server { client, .. } => {
                client.wait(told!(client.client().batch_write())).map_err(ConsoleError::from)
            }
        };
        match written {
            Ok(_) => Ok(()),
            Err(ConsoleError::Database(error)) => Err(match *error {
                Error::Operation { operation, source } => BatchError::Item(operation, source),
                error => BatchError::Other(error.into()),
            }),
            Err(error) => Err(BatchError::Other(error)),
        }
    }

    /// Makes all that was written durable. What a server has acknowledged is.
    pub(crate) fn flush(&self) -> Result<()> {
        match self {
            Target::File(db) => Ok(db.flush()?),
            Target::Server { .. } => Ok(()),
        }
    }

    /// All tables as they are now.
    pub(crate) fn state(&self) -> Result<State<'_>> {
        Ok(match self {
            Target::File(db) => State::File(db.snapshot()?),
            Target::Server { client, .. } => {
                let snapshot = client.wait(client.client().snapshot()).map_err(ConsoleError::from)?;
                State::Server { client, snapshot }
            }
        })
    }

    /// Visits all items of a table, as they are now; see [`State::visit_items`].
    pub(crate) fn visit_items(
        &self,
        table: &str,
        after: Option<&Item>,
        visit: impl FnMut(EncodedItem<'static>) -> bool,
    ) -> Result<()> {
        self.state()?.visit_items(table, after, visit)
    }

    /// Sixteen bytes that no other database has, as text.
    pub(crate) fn database_id(&self) -> String {
        let id = match self {
            Target::File(db) => db.database_id(),
            Target::Server { client, .. } => client.client().server().database,
        };
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// All tables as they were at one moment.
pub(crate) enum State<'t> {
    File(Snapshot),
    Server { client: &'t BlockingClient, snapshot: remote::Snapshot },
}

impl State<'_> {
    /// Hands all items of a table to `visit`, in the order of their keys, from behind a key on. Stops when it says so.
    pub(crate) fn visit_items(
        &self,
        table: &str,
        after: Option<&Item>,
        mut visit: impl FnMut(EncodedItem<'static>) -> bool,
    ) -> Result<()> {
        match self {
            State::File(snapshot) => {
                let mut scan = snapshot.scan(table);
                if let Some(after) = after {
                    scan = scan.exclusive_start_key(after);
                }
                for item in scan.iter_encoded()? {
                    if !visit(item?) {
                        return Ok(());
                    }
                }
                Ok(())
            }
            State::Server { client, snapshot } => {
                let mut scan = snapshot.scan(table);
                if let Some(after) = after {
                    scan = scan.exclusive_start_key(after);
                }
                let items = client.stream(scan.stream_items()).map_err(ConsoleError::from)?;
                for item in items {
                    let item = item.map_err(|error: ClientError| ConsoleError::from(error))?;
                    if !visit(EncodedItem::of(item)?) {
                        return Ok(());
                    }
                }
                Ok(())
            }
        }
    }
}

/// The key of an item, of those attributes that it has.
pub(crate) fn key_of(keys: &KeySchema, item: &EncodedItem<'_>) -> Result<Item> {
    let damaged = |damage: dynamite_core::item_codec::ItemDamage| Error::Decode(damage.to_string());
    let view = item.view().map_err(damaged)?;
    let mut key = Item::new();
    for name in keys.attributes().map(KeyAttribute::name) {
        if let Some(value) = view.get(name).map_err(damaged)? {
            key.insert(name.to_owned(), value.to_value().map_err(damaged)?);
        }
    }
    Ok(key)
}

/// Where an item stands among those of its table: the bytes of its key, in the order of the values. What has no whole key stands first.
pub(crate) fn order_of(keys: &KeySchema, item: &EncodedItem<'_>) -> Vec<u8> {
    let mut order = Vec::new();
    let encode = |order: &mut Vec<u8>| -> Option<()> {
        let view = item.view().ok()?;
        for attribute in keys.attributes() {
            let value = view.get(attribute.name()).ok()??;
            let key = match attribute.key_type() {
                KeyType::String => KeyValue::S(value.as_str().ok()??),
                KeyType::Number => KeyValue::N(value.as_number().ok()??),
                KeyType::Binary => KeyValue::B(value.as_bytes()?),
            };
            key.encode_into(order);
        }
        Some(())
    };
    if encode(&mut order).is_none() {
        order.clear();
    }
    order
}
