//! The operations: what is asked, and what is answered.
//!
//! # Layout
//!
//! The first byte of a request's body is the operation's number in the table below; what follows is the struct of that name, field by field.
//! If its highest bit is set as well, the answer says first what was consumed, as a list of [`ConsumedEntry`], and so does each page of a
//! stream. Not every operation can be asked for that.
//! In `postcard`'s encoding, integers are varints, texts and bytes have their length before them, an option is a byte 0, or 1 and the
//! value, and an enum begins with the number of the variant, counted from 0. New operations take new numbers; whatever else changes
//! raises the [version](crate::frame::VERSION).

use std::time::Duration;

use dynamite_core::api::{
    ConsumedEntry, EncodedItem, GlobalIndex, ItemVersion, LocalIndex, ReturnValues, SequenceNumber,
    StreamPage, StreamView, TableBackup, TableDescription,
};
use dynamite_core::types::KeyType;
use serde::{Deserialize, Serialize, Serializer};

use crate::protocol::backup::{
    Copied, CreateTableBackup, DeleteTableBackup, DescribeTableBackup, ListTableBackups, RestoreTable,
    WatchedBackup,
};
use crate::protocol::statement::{
    Outcome, ReadStatement, ReadStatementBatch, ReadStatementTransaction, StatementPage, WriteStatement,
    WriteStatementBatch, WriteStatementTransaction,
};
use crate::protocol::terms::{At, Key, Selection, SortTest, Terms, Want, same_terms};
use crate::protocol::text::{Bytes, Text, WireValue};
use crate::stats::ServerStats;

/// An operation and what it returns.
pub(crate) trait Operation: Serialize {
    const CODE: Code;

    /// Whether the answer is to say what was consumed.
    const COUNTED: bool = false;

    type Answer<'b>: Serialize + Deserialize<'b>;

    /// The first byte of the request.
    fn first_byte() -> u8 {
        Self::CODE as u8 | if Self::COUNTED { COUNTED } else { 0 }
    }
}

/// The bit of the first byte which says that the answer is to say what was consumed.
const COUNTED: u8 = 0x80;

/// An operation whose answer says what was consumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'o, O>(pub(crate) &'o O);

impl<O: Serialize> Serialize for Counted<'_, O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<O: Operation> Operation for Counted<'_, O> {
    const CODE: Code = O::CODE;

    const COUNTED: bool = true;

    type Answer<'b> = (Vec<ConsumedEntry>, O::Answer<'b>);
}

/// What the first byte of a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) code: Code,
    /// Whether the answer is to say what was consumed.
    pub(crate) counted: bool,
}

impl Asked {
    /// `None` if there is no such operation, or it does not count.
    pub(crate) fn of(byte: u8) -> Option<Asked> {
        let (code, counted) = (Code::of(byte & !COUNTED)?, byte & COUNTED != 0);
        (!counted || code.counts()).then_some(Asked { code, counted })
    }
}

/// Where an operation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A read of one item or none, which may be done where its request arrives.
    Point,
    /// A read.
    Read,
    /// A write of items.
    Write,
    /// Whatever may take long, or waits for a flush of its own.
    Slow,
    /// A result that is streamed.
    Stream,
}

macro_rules! operations {
    ($($code:literal $class:ident $name:ident $(<$lifetime:lifetime>)? => $answer:ty;)*) => {
        /// The number of an operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum Code {
            $($name = $code,)*
        }

        impl Code {
            pub(crate) fn of(byte: u8) -> Option<Code> {
                match byte {
                    $($code => Some(Code::$name),)*
                    _ => None,
                }
            }

            /// Whether what is consumed can be asked for.
            fn counts(self) -> bool {
                use Code as C;
                matches!(
                    self,
                    C::Get | C::Put | C::Update | C::Delete | C::BatchGet | C::BatchWrite | C::TransactGet
                        | C::TransactWrite | C::Query | C::Scan | C::CountQuery | C::CountScan
                        | C::CountWholeQuery | C::CountWholeScan | C::StreamQuery | C::StreamScan
                        | C::ReadStatement | C::WriteStatement | C::ReadStatementBatch
                        | C::WriteStatementBatch | C::ReadStatementTransaction | C::WriteStatementTransaction
                )
            }

            /// Whether it opens what has to be given back.
            pub(crate) fn opens(self) -> bool {
                matches!(self, Code::OpenSnapshot | Code::OpenPast)
            }

            pub(crate) fn class(self) -> Class {
                match self {
                    $(Code::$name => Class::$class,)*
                }
            }
        }

        $(impl $(<$lifetime>)? Operation for $name $(<$lifetime>)? {
            const CODE: Code = Code::$name;

            type Answer<'b> = $answer;
        })*
    };
}

operations! {
     1 Point  Ping => ();
     2 Point  Stats => ServerStats;
     3 Point  Get<'a> => Option<(u64, Bytes<'b>)>;
     4 Write  Put<'a> => (u64, Option<Bytes<'b>>);
     5 Write  Update<'a> => (u64, Option<Bytes<'b>>);
     6 Write  Delete<'a> => (bool, Option<Bytes<'b>>);
     7 Read   BatchGet<'a> => Vec<Option<Bytes<'b>>>;
     8 Write  BatchWrite<'a> => u64;
     9 Read   TransactGet<'a> => Vec<Option<Bytes<'b>>>;
    10 Write  TransactWrite<'a> => u64;
    11 Write  Commit<'a> => u64;
    12 Read   Query<'a> => Page<'b>;
    13 Read   Scan<'a> => Page<'b>;
    14 Read   CountQuery<'a> => Count<'b>;
    15 Read   CountScan<'a> => Count<'b>;
    16 Slow   CountWholeQuery<'a> => u64;
    17 Slow   CountWholeScan<'a> => u64;
    18 Stream StreamQuery<'a> => ();
    19 Stream StreamScan<'a> => ();
    20 Read   ListPartitionKeys<'a> => Vec<WireValue<'b>>;
    21 Slow   CreateTable<'a> => ();
    22 Slow   DropTable<'a> => ();
    23 Slow   UpdateTable<'a> => ();
    24 Read   ListTables => Vec<Text<'b>>;
    25 Read   DescribeTable<'a> => TableDescription;
    26 Slow   WaitForIndex<'a> => ();
    27 Read   OpenSnapshot => Held;
    28 Read   OpenPast<'a> => Held;
    29 Read   Release => ();
    30 Read   ItemHistory<'a> => Vec<ItemVersion<EncodedItem<'b>>>;
    31 Write  RestoreVersion<'a> => u64;
    32 Read   Poll<'a> => StreamPage<EncodedItem<'b>>;
    33 Stream Follow<'a> => ();
    35 Slow   Maintain => ();
    36 Read   ExtendedRead<'a> => Bytes<'b>;
    37 Write  ExtendedWrite<'a> => Bytes<'b>;
    38 Read   ReadStatement<'a> => StatementPage<'b>;
    39 Write  WriteStatement<'a> => StatementPage<'b>;
    40 Read   ReadStatementBatch<'a> => Vec<Outcome<'b>>;
    41 Write  WriteStatementBatch<'a> => Vec<Outcome<'b>>;
    42 Read   ReadStatementTransaction<'a> => Vec<Option<Bytes<'b>>>;
    43 Write  WriteStatementTransaction<'a> => Vec<Option<Bytes<'b>>>;
    44 Slow   CreateTableBackup<'a> => TableBackup;
    45 Read   ListTableBackups => Vec<TableBackup>;
    46 Read   DescribeTableBackup<'a> => TableBackup;
    47 Slow   DeleteTableBackup<'a> => TableBackup;
    48 Slow   RestoreTable<'a> => ();
    49 Stream WatchedBackup<'a> => Copied;
}

/// Items of a streamed result; the stream ends with an empty answer.
pub(crate) type Portion<'b> = Vec<Bytes<'b>>;

/// Records of a change stream that is followed.
pub(crate) type Records<'b> = StreamPage<EncodedItem<'b>>;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ping;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Stats;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Get<'a> {
    pub(crate) at: At,
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) key: Key<'a>,
    #[serde(borrow)]
    pub(crate) want: Want<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Put<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) item: Option<EncodedItem<'a>>,
    pub(crate) expected: Option<u64>,
    #[serde(borrow)]
    pub(crate) terms: Option<Box<Terms<'a>>>,
    pub(crate) return_old: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Update<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) key: Key<'a>,
    pub(crate) expected: Option<u64>,
    #[serde(borrow)]
    pub(crate) terms: Option<Box<Terms<'a>>>,
    pub(crate) return_values: ReturnValues,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delete<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) key: Key<'a>,
    pub(crate) expected: Option<u64>,
    #[serde(borrow)]
    pub(crate) terms: Option<Box<Terms<'a>>>,
    pub(crate) return_old: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BatchGet<'a> {
    pub(crate) at: At,
    #[serde(borrow)]
    pub(crate) gets: Vec<(Text<'a>, Key<'a>)>,
    /// What is wanted of the items of a table, if not all of it.
    #[serde(borrow)]
    pub(crate) wanted: Vec<(Text<'a>, Want<'a>)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Write<'a> {
    Put(#[serde(borrow)] EncodedItem<'a>),
    Delete(#[serde(borrow)] Key<'a>),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BatchWrite<'a> {
    #[serde(borrow)]
    pub(crate) writes: Vec<(Text<'a>, Write<'a>)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TransactGet<'a> {
    pub(crate) at: At,
    #[serde(borrow)]
    pub(crate) gets: Vec<(Text<'a>, Key<'a>, Want<'a>)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What<'a> {
    Put(#[serde(borrow)] Option<EncodedItem<'a>>),
    Update(#[serde(borrow)] Key<'a>),
    Delete(#[serde(borrow)] Key<'a>),
    Check(#[serde(borrow)] Key<'a>),
}

/// An action of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Action<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) what: What<'a>,
    pub(crate) expected: Option<u64>,
    #[serde(borrow)]
    pub(crate) terms: Option<Box<Terms<'a>>>,
    pub(crate) return_old: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TransactWrite<'a> {
    #[serde(borrow)]
    pub(crate) actions: Vec<Action<'a>>,
    #[serde(borrow)]
    pub(crate) token: Option<Text<'a>>,
}

/// What a transaction of a client has read, and what it is to write if nothing of that has changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Commit<'a> {
    /// Items and the versions that were read, 0 for none.
    #[serde(borrow)]
    pub(crate) reads: Vec<(Text<'a>, Key<'a>, u64)>,
    #[serde(borrow)]
    pub(crate) writes: Vec<(Text<'a>, Write<'a>)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct QueryTerms<'a> {
    #[serde(borrow)]
    pub(crate) selection: Selection<'a>,
    #[serde(borrow)]
    pub(crate) partition: Vec<WireValue<'a>>,
    #[serde(borrow)]
    pub(crate) sort: Vec<SortTest<'a>>,
    pub(crate) descending: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ScanTerms<'a> {
    #[serde(borrow)]
    pub(crate) selection: Selection<'a>,
    /// One of so many.
    pub(crate) segment: Option<(u32, u32)>,
}

same_terms! {
    Query of QueryTerms;
    CountQuery of QueryTerms;
    CountWholeQuery of QueryTerms;
    StreamQuery of QueryTerms;
    Scan of ScanTerms;
    CountScan of ScanTerms;
    CountWholeScan of ScanTerms;
    StreamScan of ScanTerms;
}

/// A page of a query or a scan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page<'b> {
    #[serde(borrow)]
    pub(crate) items: Vec<Bytes<'b>>,
    pub(crate) scanned_count: u64,
    /// The last key, as an item.
    #[serde(borrow)]
    pub(crate) last: Option<Bytes<'b>>,
}

/// The count of a page of a query or a scan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Count<'b> {
    pub(crate) count: u64,
    pub(crate) scanned_count: u64,
    /// The last key, as an item.
    #[serde(borrow)]
    pub(crate) last: Option<Bytes<'b>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListPartitionKeys<'a> {
    pub(crate) at: At,
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) prefix: Text<'a>,
    pub(crate) limit: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreateTable<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    pub(crate) partition_key: Option<(String, KeyType)>,
    pub(crate) sort_key: Option<(String, KeyType)>,
    pub(crate) ttl: Option<String>,
    pub(crate) global: Vec<GlobalIndex>,
    pub(crate) local: Vec<LocalIndex>,
    pub(crate) stream: Option<StreamView>,
    pub(crate) history: Option<Duration>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DropTable<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UpdateTable<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    pub(crate) ttl: Option<Option<String>>,
    pub(crate) added: Vec<GlobalIndex>,
    #[serde(borrow)]
    pub(crate) dropped: Vec<Text<'a>>,
    pub(crate) stream: Option<Option<StreamView>>,
    pub(crate) history: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ListTables {
    pub(crate) at: At,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DescribeTable<'a> {
    pub(crate) at: At,
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WaitForIndex<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) index: Text<'a>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct OpenSnapshot;

/// A moment of the past.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Moment {
    Version(u64),
    /// In milliseconds since 1970.
    TimeMs(u64),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenPast<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    pub(crate) moment: Moment,
}

/// A state that the connection holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) handle: u64,
    /// The newest version that it sees.
    pub(crate) version: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) handle: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ItemHistory<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) key: Key<'a>,
    pub(crate) limit: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RestoreVersion<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) key: Key<'a>,
    pub(crate) version: u64,
}

/// Where the reading of a change stream begins.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Begin {
    #[default]
    Start,
    Latest,
    At(SequenceNumber),
    After(SequenceNumber),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Poll<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) label: Option<Text<'a>>,
    pub(crate) begin: Begin,
    pub(crate) limit: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Follow<'a> {
    #[serde(borrow)]
    pub(crate) table: Text<'a>,
    #[serde(borrow)]
    pub(crate) label: Option<Text<'a>>,
    pub(crate) begin: Begin,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Maintain;

/// What only the server's extension and its clients understand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExtendedRead<'a> {
    #[serde(borrow)]
    pub(crate) request: Bytes<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExtendedWrite<'a> {
    #[serde(borrow)]
    pub(crate) request: Bytes<'a>,
}
