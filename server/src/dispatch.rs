//! From a request to its answer: every operation is one of the embedded database's, told what the request says.
//!
//! [`read`] and its like append the frame of the answer, or of the error, to a buffer; what it cannot decode is an error that ends the
//! connection.

mod backup;
mod build;
mod follow;
mod reads;
mod rows;
mod statements;
mod tables;
mod writes;

use std::sync::Arc;

use dynamite_core::api::{Consumed, Deferred};
use dynamite_core::error::Error;
use serde::Deserialize;

use crate::engine::Engine;
use crate::flow::{Flow, Source};
use crate::frame::{self, FrameError, Kind};
use crate::link::{Link, put_failure};
use crate::protocol::fault::{Failure, Refusal};
use crate::protocol::{self, Asked, Code, Operation, backup as bk, operation, statement as st};

/// Where a request is worked on.
#[derive(Clone, Copy)]
pub(crate) struct Context<'c> {
    pub(crate) engine: &'c Arc<Engine>,
    pub(crate) link: &'c Arc<Link>,
    /// Collects what is consumed, if that is asked for.
    consumed: Option<&'c Consumed>,
}

impl<'c> Context<'c> {
    pub(crate) fn new(engine: &'c Arc<Engine>, link: &'c Arc<Link>) -> Context<'c> {
        Context { engine, link, consumed: None }
    }
}

/// Does what is no write of items.
pub(crate) fn read(
    context: Context<'_>,
    asked: Asked,
    id: u64,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    use operation as op;
    let consumed = asked.counted.then(Consumed::default);
    let context = Context { consumed: consumed.as_ref(), ..context };
    let call = Call { id, body, out, consumed: context.consumed };
    let db = &context.engine.db;
    match asked.code {
        Code::Ping => call.answer(|_: op::Ping| Ok(())),
        Code::Stats => call.answer(|_: op::Stats| Ok(context.engine.stats())),
        Code::Get => call.answer(|get| reads::get(context, &get)),
        Code::BatchGet => call.answer(|get| reads::batch_get(context, &get)),
        Code::TransactGet => call.answer(|get| reads::transact_get(context, &get)),
        Code::ItemHistory => call.answer(|history| reads::item_history(db, &history)),
        Code::ListPartitionKeys => call.answer(|list| reads::list_partition_keys(context, &list)),
        Code::OpenSnapshot => call.answer(|_: op::OpenSnapshot| reads::open_snapshot(context)),
        Code::OpenPast => call.answer(|open| reads::open_past(context, &open)),
        Code::Release => call.answer(|op::Release { handle }| {
            context.link.release(handle);
            Ok(())
        }),
        Code::Query => call.answer(|op::Query(terms)| rows::query(context, &terms)),
        Code::Scan => call.answer(|op::Scan(terms)| rows::scan(context, &terms)),
        Code::CountQuery => call.answer(|op::CountQuery(terms)| rows::count_query(context, &terms)),
        Code::CountScan => call.answer(|op::CountScan(terms)| rows::count_scan(context, &terms)),
        Code::CountWholeQuery => {
            call.answer(|op::CountWholeQuery(terms)| rows::count_whole_query(context, &terms))
        }
        Code::CountWholeScan => {
            call.answer(|op::CountWholeScan(terms)| rows::count_whole_scan(context, &terms))
        }
        Code::StreamQuery => {
            call.stream(context, |op::StreamQuery(terms)| rows::stream_query(context, &terms))
        }
        Code::StreamScan => call.stream(context, |op::StreamScan(terms)| rows::stream_scan(context, &terms)),
        Code::Poll => call.answer(|poll| follow::poll(db, &poll)),
        Code::Follow => call.stream(context, |follow| follow::follow(context.engine, &follow)),
        Code::CreateTable => call.answer(|create| tables::create(db, create)),
        Code::DropTable => call.answer(|drop: op::DropTable<'_>| Ok(db.drop_table(&drop.table)?)),
        Code::UpdateTable => call.answer(|update| tables::update(db, update)),
        Code::ListTables => call.answer(|list| tables::list(context, list)),
        Code::DescribeTable => call.answer(|describe| tables::describe(context, &describe)),
        Code::WaitForIndex => {
            call.answer(|wait: op::WaitForIndex<'_>| Ok(db.wait_for_index(&wait.table, &wait.index)?))
        }
        Code::WatchedBackup => call.stream(context, |backup| backup::watched(context, id, &backup)),
        Code::CreateTableBackup => call.answer(|create: bk::CreateTableBackup<'_>| {
            Ok(db.create_table_backup(&create.table, &create.name)?)
        }),
        Code::ListTableBackups => call.answer(|_: bk::ListTableBackups| Ok(db.list_table_backups()?)),
        Code::DescribeTableBackup => {
            call.answer(|describe: bk::DescribeTableBackup<'_>| Ok(db.describe_table_backup(&describe.id)?))
        }
        Code::DeleteTableBackup => {
            call.answer(|delete: bk::DeleteTableBackup<'_>| Ok(db.delete_table_backup(&delete.id)?))
        }
        Code::RestoreTable => call.answer(|restore| backup::restore_table(db, &restore)),
        Code::ReadStatement => {
            call.answer(|st::ReadStatement(terms)| statements::read(db, &terms, context.consumed))
        }
        Code::ReadStatementBatch => {
            call.answer(|st::ReadStatementBatch(terms)| statements::read_batch(db, &terms, context.consumed))
        }
        Code::ReadStatementTransaction => call.answer(|st::ReadStatementTransaction(terms)| {
            statements::read_transaction(db, &terms, context.consumed)
        }),
        Code::Maintain => call.answer(|_: op::Maintain| Ok(db.maintain()?)),
        Code::ExtendedRead => call
            .answer(|op::ExtendedRead { request }| Ok(context.engine.extension()?.read(db, &request).into())),
        Code::Put
        | Code::Update
        | Code::Delete
        | Code::BatchWrite
        | Code::TransactWrite
        | Code::Commit
        | Code::RestoreVersion
        | Code::WriteStatement
        | Code::WriteStatementBatch
        | Code::WriteStatementTransaction
        | Code::ExtendedWrite => unreachable!("{:?} is a write", asked.code),
    }
}

/// Does a write of items. Nobody may be told of it before what is pending is settled.
pub(crate) fn write(
    engine: &Engine,
    target: &Deferred<'_>,
    asked: Asked,
    id: u64,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let consumed = asked.counted.then(Consumed::default);
    let consumed = consumed.as_ref();
    let call = Call { id, body, out, consumed };
    match asked.code {
        Code::Put => call.answer(|put| writes::put(target, &put, consumed)),
        Code::Update => call.answer(|update| writes::update(target, &update, consumed)),
        Code::Delete => call.answer(|delete| writes::delete(target, &delete, consumed)),
        Code::BatchWrite => call.answer(|batch| writes::batch_write(target, &batch, consumed)),
        Code::TransactWrite => call.answer(|transact| writes::transact_write(target, &transact, consumed)),
        Code::Commit => call.answer(|commit| writes::commit(target, &commit)),
        Code::RestoreVersion => call.answer(|restore| writes::restore_version(target, &restore)),
        Code::WriteStatement => {
            call.answer(|st::WriteStatement(terms)| statements::write(target, &terms, consumed))
        }
        Code::WriteStatementBatch => {
            call.answer(|st::WriteStatementBatch(terms)| statements::write_batch(target, &terms, consumed))
        }
        Code::WriteStatementTransaction => call.answer(|st::WriteStatementTransaction(terms)| {
            statements::write_transaction(target, &terms, consumed)
        }),
        Code::ExtendedWrite => call.answer(|operation::ExtendedWrite { request }| {
            Ok(engine.extension()?.write(target, &request).into())
        }),
        other => unreachable!("{other:?} is no write"),
    }
}

/// A request, and where its answer goes.
struct Call<'c> {
    id: u64,
    body: &'c [u8],
    out: &'c mut Vec<u8>,
    consumed: Option<&'c Consumed>,
}

impl<'c> Call<'c> {
    /// Decodes the request, and answers it.
    fn answer<O: Operation + Deserialize<'c>>(
        self,
        run: impl FnOnce(O) -> Result<O::Answer<'static>, Failure>,
    ) -> Result<(), FrameError> {
        let Call { id, body, out, consumed } = self;
        let operation = protocol::decode(body)?;
        let answer = crate::link::guarded(|| run(operation));
        let put = answer.map(|answer| {
            frame::put(out, Kind::Answer, id, |buffer| match consumed {
                Some(consumed) => protocol::encode(&(consumed.take(), answer), buffer),
                None => protocol::encode(&answer, buffer),
            })
        });
        match put {
            Ok(Ok(())) => {}
            Ok(Err(_)) => put_failure(out, id, Refusal::AnswerTooLarge.into()),
            Err(failure) => put_failure(out, id, failure),
        }
        Ok(())
    }

    /// Decodes the request, and takes its stream up. There is no answer before that has ended, or is known not to be wanted any more.
    fn stream<O: Operation + Deserialize<'c>>(
        self,
        context: Context<'_>,
        open: impl FnOnce(O) -> Result<Box<dyn Source>, Failure>,
    ) -> Result<(), FrameError> {
        let Call { id, body, out, .. } = self;
        let operation = protocol::decode(body)?;
        let link = context.link;
        let opened = crate::link::guarded(|| match link.expects_flow(id) {
            true => open(operation),
            false => Err(Error::Cancelled.into()),
        });
        let begun = opened.and_then(|source| {
            let flow = Flow::new(id, link.clone(), source);
            // It may have been cancelled meanwhile.
            let is_wanted = link.add_flow(flow.clone())?;
            is_wanted.then_some(flow).ok_or(Error::Cancelled.into())
        });
        match begun {
            Ok(flow) => Flow::grant(&flow, context.engine, FIRST_CREDIT),
            Err(failure) => {
                link.give_up_flow(id);
                put_failure(out, id, failure);
            }
        }
        Ok(())
    }
}

/// Pages that a stream sends before the client grants more.
pub(crate) const FIRST_CREDIT: u32 = 2;
