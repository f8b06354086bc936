//! Changing a table: what belongs to its items, and for how long. Its items and its keys stay what they are.

use dynamite_txn::WriteTxn;

use crate::api::database::DynaMite;
use crate::api::schema::Schema;
use crate::api::tables;
use crate::api::ttl::{self, Ttl};
use crate::error::{Invalid, Result};

/// A table that is about to be changed; [`DynaMite::update_table`] begins, [`execute`](UpdateTable::execute) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is changed before execute"]
pub struct UpdateTable<'a> {
    db: &'a DynaMite,
    name: &'a str,
    /// The attribute, or none for no TTL any more.
    ttl: Option<Option<String>>,
}

impl DynaMite {
    /// Begins to change a table. All that is said is done in one commit, while others read and write.
    ///
    /// ```
    /// # use dynamite_core::api::DynaMite;
    /// # use dynamite_core::types::KeyType;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("sessions").partition_key("id", KeyType::String).execute()?;
    /// db.update_table("sessions").ttl("expires_at").execute()?;
    /// assert_eq!(db.describe_table("sessions")?.ttl.as_deref(), Some("expires_at"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_table<'a>(&'a self, name: &'a str) -> UpdateTable<'a> {
        UpdateTable { db: self, name, ttl: None }
    }
}

impl UpdateTable<'_> {
    /// Lets items expire by this attribute; see [`CreateTable::ttl`](crate::api::CreateTable::ttl). Holds at once for all
    /// items, also for those that are there; these are gone through in the background before they are deleted.
    pub fn ttl(mut self, attribute: impl Into<String>) -> Self {
        self.ttl = Some(Some(attribute.into()));
        self
    }

    /// Lets items expire no longer. What had expired and was not deleted yet is seen again.
    pub fn no_ttl(mut self) -> Self {
        self.ttl = Some(None);
        self
    }

    /// Changes the table. It is so, durably, when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound); [`Error::Validation`](crate::Error::Validation) for what is so already,
    /// or cannot be.
    pub fn execute(self) -> Result<()> {
        let UpdateTable { db, name, ttl } = self;
        if let Some(Some(attribute)) = &ttl {
            ttl::check_attribute(attribute)?;
        }
        if ttl.is_none() {
            return Err(Invalid::NoUpdate.into());
        }
        db.shared.write(|txn| {
            let (_, mut schema) = tables::described(txn, name)?;
            if let Some(attribute) = ttl {
                set_ttl(txn, name, &mut schema, attribute)?;
            }
            txn.set_table_meta(name.as_bytes(), &schema.encode()?)?;
            Ok(())
        })?;
        // There may be a queue to fill.
        db.shared.bell.expect(0);
        Ok(())
    }
}

fn set_ttl(txn: &mut WriteTxn<'_>, table: &str, schema: &mut Schema, to: Option<String>) -> Result<()> {
    match (&schema.ttl, to) {
        (None, None) => Err(Invalid::TtlDisabled.into()),
        (Some(ttl), Some(attribute)) if ttl.attribute == attribute => Err(Invalid::TtlEnabled.into()),
        (Some(ttl), Some(_)) => Err(Invalid::TtlAttributeDiffers { current: ttl.attribute.clone() }.into()),
        (None, Some(attribute)) => {
            schema.ttl = Some(Ttl { attribute, queue: ttl::create_queue(txn, table, true)? });
            Ok(())
        }
        (Some(_), None) => {
            txn.drop_table(&ttl::queue_name(table))?;
            schema.ttl = None;
            Ok(())
        }
    }
}
