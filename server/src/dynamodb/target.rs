//! The operations by their names: what requests for them look like, and who does them.

use dynamite_core::api::Deferred;
use hyper::HeaderMap;
use hyper::header::HeaderName;

use crate::dynamodb::Endpoint;
use crate::dynamodb::errors::Answer;
use crate::dynamodb::json::Json;
use crate::dynamodb::model::Field;
use crate::dynamodb::operations;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// An operation.
pub(crate) struct Target {
    name: &'static str,
    /// What its requests are made of.
    pub(crate) fields: &'static [Field],
    pub(crate) run: Run,
}

/// How an operation is done.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// At once, if what it reads is in the cache.
    Quick(fn(&Endpoint, &Json<'_>) -> Answer),
    /// In its time.
    Slow(fn(&Endpoint, &Json<'_>) -> Answer),
    /// What is to be written is read of the request at once, and then written in its turn.
    Write(fn(&Endpoint, &Json<'_>) -> Answer<Write>),
    /// What the statements of the request say decides whether it is read in its time, or written in its turn.
    Statements(fn(&Endpoint, &Json<'_>) -> Answer<Statements>),
    /// By the name of the host that was asked, and nothing else.
    Host(fn(&Endpoint, &str) -> Answer),
}

/// Statements that were read and checked.
pub(crate) struct Statements {
    pub(crate) are_reads: bool,
    pub(crate) run: Write,
}

/// What is to be written, of a request that was read and checked. What it returns is told when that is durable.
pub(crate) type Write = Box<dyn FnOnce(&Endpoint, &Deferred<'_>) -> Answer + Send>;

impl Target {
    const fn new(
        name: &'static str,
        fields: &'static [Field],
        run: fn(&Endpoint, &Json<'_>) -> Answer,
    ) -> Target {
        Target { name, fields, run: Run::Slow(run) }
    }

    const fn quick(
        name: &'static str,
        fields: &'static [Field],
        run: fn(&Endpoint, &Json<'_>) -> Answer,
    ) -> Target {
        Target { name, fields, run: Run::Quick(run) }
    }

    const fn write(
        name: &'static str,
        fields: &'static [Field],
        write: fn(&Endpoint, &Json<'_>) -> Answer<Write>,
    ) -> Target {
        Target { name, fields, run: Run::Write(write) }
    }

    const fn statements(
        name: &'static str,
        fields: &'static [Field],
        run: fn(&Endpoint, &Json<'_>) -> Answer<Statements>,
    ) -> Target {
        Target { name, fields, run: Run::Statements(run) }
    }

    /// The operation that a request is for.
    pub(crate) fn of(headers: &HeaderMap) -> Option<&'static Target> {
        let (version, name) = headers.get(TARGET)?.to_str().ok()?.split_once('.')?;
        let targets = match version {
            "DynamoDB_20120810" => DYNAMODB,
            "DynamoDBStreams_20120810" => STREAMS,
            _ => return None,
        };
        targets.iter().find(|target| target.name == name)
    }
}

/// The operations on tables and items.
const DYNAMODB: &[Target] = &[
    Target::quick("GetItem", operations::get_item::FIELDS, operations::get_item::run),
    Target::write("PutItem", operations::put_item::FIELDS, operations::put_item::write),
    Target::write("UpdateItem", operations::update_item::FIELDS, operations::update_item::write),
    Target::write("DeleteItem", operations::delete_item::FIELDS, operations::delete_item::write),
    Target::new("Query", operations::query::FIELDS, operations::query::run),
    Target::new("Scan", operations::scan::FIELDS, operations::scan::run),
    Target::new("BatchGetItem", operations::batch_get_item::FIELDS, operations::batch_get_item::run),
    Target::write(
        "BatchWriteItem",
        operations::batch_write_item::FIELDS,
        operations::batch_write_item::write,
    ),
    Target::new(
        "TransactGetItems",
        operations::transact_get_items::FIELDS,
        operations::transact_get_items::run,
    ),
    Target::write(
        "TransactWriteItems",
        operations::transact_write_items::FIELDS,
        operations::transact_write_items::write,
    ),
    Target::statements(
        "ExecuteStatement",
        operations::execute_statement::FIELDS,
        operations::execute_statement::statements,
    ),
    Target::statements(
        "BatchExecuteStatement",
        operations::batch_execute_statement::FIELDS,
        operations::batch_execute_statement::statements,
    ),
    Target::statements(
        "ExecuteTransaction",
        operations::execute_transaction::FIELDS,
        operations::execute_transaction::statements,
    ),
    Target::new("CreateTable", operations::create_table::FIELDS, operations::create_table::run),
    Target::new("DescribeTable", operations::tables::DESCRIBE_FIELDS, operations::tables::describe),
    Target::new("ListTables", operations::tables::LIST_FIELDS, operations::tables::list),
    Target::new("DeleteTable", operations::tables::DELETE_FIELDS, operations::tables::delete),
    Target::new("UpdateTable", operations::update_table::FIELDS, operations::update_table::run),
    Target::new(
        "DescribeTimeToLive",
        operations::time_to_live::DESCRIBE_FIELDS,
        operations::time_to_live::describe,
    ),
    Target::new(
        "UpdateTimeToLive",
        operations::time_to_live::UPDATE_FIELDS,
        operations::time_to_live::update,
    ),
    Target::new("TagResource", operations::tags::TAG_FIELDS, operations::tags::tag),
    Target::new("UntagResource", operations::tags::UNTAG_FIELDS, operations::tags::untag),
    Target::new("ListTagsOfResource", operations::tags::LIST_FIELDS, operations::tags::list),
    Target::new(
        "PutResourcePolicy",
        operations::resource_policy::PUT_FIELDS,
        operations::resource_policy::put,
    ),
    Target::new(
        "GetResourcePolicy",
        operations::resource_policy::GET_FIELDS,
        operations::resource_policy::get,
    ),
    Target::new(
        "DeleteResourcePolicy",
        operations::resource_policy::DELETE_FIELDS,
        operations::resource_policy::delete,
    ),
    Target::new(
        "DescribeContinuousBackups",
        operations::continuous_backups::DESCRIBE_FIELDS,
        operations::continuous_backups::describe,
    ),
    Target::new(
        "UpdateContinuousBackups",
        operations::continuous_backups::UPDATE_FIELDS,
        operations::continuous_backups::update,
    ),
    Target::new("CreateBackup", operations::backups::CREATE_FIELDS, operations::backups::create),
    Target::new("DescribeBackup", operations::backups::DESCRIBE_FIELDS, operations::backups::describe),
    Target::new("ListBackups", operations::backups::LIST_FIELDS, operations::backups::list),
    Target::new("DeleteBackup", operations::backups::DELETE_FIELDS, operations::backups::delete),
    Target::new(
        "RestoreTableFromBackup",
        operations::restores::BACKUP_FIELDS,
        operations::restores::from_backup,
    ),
    Target::new(
        "RestoreTableToPointInTime",
        operations::restores::TIME_FIELDS,
        operations::restores::to_point_in_time,
    ),
    Target::new("DescribeLimits", &[], operations::service::limits),
    Target { name: "DescribeEndpoints", fields: &[], run: Run::Host(operations::service::endpoints) },
];

/// The operations on streams.
const STREAMS: &[Target] = &[
    Target::new("ListStreams", operations::streams::LIST_FIELDS, operations::streams::list),
    Target::new("DescribeStream", operations::streams::DESCRIBE_FIELDS, operations::streams::describe),
    Target::new(
        "GetShardIterator",
        operations::stream_records::ITERATOR_FIELDS,
        operations::stream_records::iterator,
    ),
    Target::new(
        "GetRecords",
        operations::stream_records::RECORDS_FIELDS,
        operations::stream_records::records,
    ),
];
