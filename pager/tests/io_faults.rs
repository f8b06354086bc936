//! Every operation of a workload fails in turn: reads, writes, flushes, growth; with an I/O error, cut short, for want of
//! space. Nothing panics, no answer is wrong, a failed write or flush ends writing and nothing else (INV-4), and what
//! the next open shows is the last acknowledged state or the one in flight, whole (INV-3), with every page accounted
//! for (INV-7).

mod toy;

use std::sync::Arc;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::{DiskSim, Fault, Operation, OperationKind};
use dynamite_pager::{Durability, IoOperation, Options, Pager, PagerError, Result};
use toy::*;

/// A pool that holds a two-flush commit, and not the largest batch of the workload.
fn options() -> Options {
    quiet().cache_bytes(4 << 20)
}

fn open(disk: &DiskSim) -> Result<Pager> {
    options().open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, true)
}

/// One thing that a client does.
#[derive(Clone, Debug)]
enum Step {
    Fill(Cells),
    /// Batches that join a group, and its commit.
    Group(Vec<(Vec<(usize, Cell)>, Durability)>),
    /// A batch that is dropped half-way.
    Abort(Vec<(usize, Cell)>),
    Read,
    Seal,
    Maintain,
    Reopen,
}

fn commit_of(changes: &[(usize, Cell)]) -> Step {
    Step::Group(vec![(changes.to_vec(), Durability::Immediate)])
}

fn workload() -> Vec<Step> {
    use Durability::{Eventual, Immediate};
    let single = |index, value| (index, Cell::of(value));
    let run = |index, value, pages| (index, Cell { value, pages });
    vec![
        Step::Fill((0..12).map(Cell::of).collect()),
        commit_of(&[single(3, 103), single(7, 107)]),
        commit_of(&[run(3, 203, 5)]),
        Step::Reopen,
        Step::Read,
        Step::Group(vec![
            (vec![single(0, 300)], Eventual),
            (vec![single(0, 301), run(1, 302, 3)], Eventual),
            (vec![single(2, 303)], Immediate),
            (vec![single(2, 304)], Eventual),
        ]),
        Step::Seal,
        commit_of(&[single(4, 404)]),
        // More than a manifest names: two flushes.
        commit_of(&[run(5, 500, 245)]),
        Step::Maintain,
        Step::Abort(vec![single(6, 600), run(7, 601, 20)]),
        // More than a batch keeps in memory.
        commit_of(&[run(8, 700, 300), single(9, 701)]),
        commit_of(&[single(8, 800)]),
        commit_of(&[single(5, 801)]),
        commit_of(&[single(5, 802)]),
        Step::Maintain,
        Step::Reopen,
        Step::Read,
        commit_of(&[single(10, 900), run(11, 901, 2)]),
        Step::Reopen,
        Step::Read,
    ]
}

/// A client, and what it knows.
struct Client {
    disk: DiskSim,
    pager: Option<Pager>,
    /// The last state that was acknowledged as durable.
    durable: Cells,
    /// What new readers see.
    visible: Cells,
    /// The state after the last batch that was finished, or may have been.
    newest: Cells,
    /// Finished batches that readers do not see yet, and whether they may be seen early.
    unpublished: Vec<(Cells, bool)>,
}

impl Client {
    fn create(disk: &DiskSim) -> Result<Client> {
        let pager = options().create_on(Arc::new(disk.clone()) as Arc<dyn Disk>, DATABASE_ID)?;
        Ok(Client::of(disk, pager, Cells::new()))
    }

    fn of(disk: &DiskSim, pager: Pager, state: Cells) -> Client {
        Client {
            disk: disk.clone(),
            pager: Some(pager),
            durable: state.clone(),
            visible: state.clone(),
            newest: state,
            unpublished: Vec::new(),
        }
    }

    fn pager(&self) -> &Pager {
        self.pager.as_ref().expect("the database is open")
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Fill(cells) => {
                let pager = self.pager.take().expect("the database is open");
                self.newest.clone_from(cells);
                let filled = fill(&pager, cells).map(drop);
                self.pager = Some(pager);
                filled?;
                self.published_all();
            }
            Step::Group(batches) => {
                for (changes, durability) in batches {
                    self.finish(changes, *durability)?;
                    self.check_reads()?;
                }
                self.pager().commit_group()?;
                self.published_all();
            }
            Step::Abort(changes) => {
                let mut batch = self.pager().begin()?;
                change(&mut batch, changes)?;
            }
            Step::Read => self.check_reads()?,
            Step::Seal => {
                self.pager().seal()?;
                self.published_all();
            }
            Step::Maintain => self.pager().maintain()?,
            Step::Reopen => {
                if let Some(pager) = self.pager.take() {
                    pager.close()?;
                    self.published_all();
                }
                self.pager = Some(open(&self.disk)?);
            }
        }
        Ok(())
    }

    fn finish(&mut self, changes: &[(usize, Cell)], durability: Durability) -> Result<()> {
        let mut batch = self.pager.as_ref().expect("the database is open").begin()?;
        change(&mut batch, changes)?;
        for (index, cell) in changes {
            self.newest[*index] = *cell;
        }
        batch.finish(durability)?;
        self.unpublished.push((self.newest.clone(), durability == Durability::Eventual));
        while let Some((_, true)) = self.unpublished.first() {
            self.visible = self.unpublished.remove(0).0;
        }
        Ok(())
    }

    fn published_all(&mut self) {
        self.durable = self.newest.clone();
        self.visible = self.newest.clone();
        self.unpublished.clear();
    }

    /// Readers see what they should, unless a read fails.
    fn check_reads(&self) -> Result<()> {
        let found = read_all(self.pager())?;
        // A large batch makes its group durable as it finishes.
        let large = self.newest.iter().map(|cell| cell.pages).sum::<u32>() > 240;
        assert!(found == self.visible || large && found == self.newest, "readers see {found:?}");
        Ok(())
    }

    /// What may be found after a crash.
    fn allowed(&self) -> [&Cells; 2] {
        [&self.durable, &self.newest]
    }
}

/// The operations of the workload, undisturbed.
fn log_of_workload() -> Vec<Operation> {
    let disk = DiskSim::new(3);
    let mut client = Client::create(&disk).expect("nothing fails");
    for step in workload() {
        client.take(&step).expect("nothing fails");
    }
    let log = disk.take_log();
    assert_sound(client.pager(), "undisturbed");
    assert!(client.pager().stats().rejected_header.is_none());
    log
}

/// Of each long row of writes or reads only some: they are of one batch and equal.
fn worth_failing(log: &[Operation]) -> Vec<Operation> {
    let rows = log.chunk_by(|a, b| a.kind == b.kind);
    let some = rows.flat_map(|row| {
        row.iter().enumerate().filter(|(at, _)| *at < 8 || at % 97 == 0 || at + 1 == row.len())
    });
    some.map(|(_, operation)| *operation).collect()
}

/// Runs the workload with one failing operation, and checks everything that is promised.
fn check_one_fault(failing: Operation, fault: Fault) {
    let context = &format!("{failing:?} fails with {fault:?}");
    let disk = DiskSim::new(3);
    disk.fail_operation(failing.number, fault);
    let mut client = match Client::create(&disk) {
        Ok(client) => client,
        Err(error) => return check_failed_create(&disk, &error, context),
    };
    for step in workload() {
        let Err(error) = client.take(&step) else { continue };
        check_named(&error, failing, fault, context);
        let writes = matches!(failing.kind, OperationKind::Write | OperationKind::Flush);
        match &client.pager {
            Some(_) if writes => return check_poisoned(client, context),
            // Closing or opening failed, so there is no handle. Nothing acknowledged is lost.
            None if writes => {
                check_survivors(&client, context);
                client.pager = Some(open(&disk).unwrap_or_else(|error| panic!("{context}: {error}")));
                client.check_reads().unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            _ => {}
        }
        // The fault has passed, and nothing is left of it.
        client.take(&step).unwrap_or_else(|error| panic!("{context}: {step:?} again: {error}"));
    }
    client.check_reads().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_sound(client.pager(), context);
}

/// An error says what failed, on what file, and why.
fn check_named(error: &PagerError, failing: Operation, fault: Fault, context: &str) {
    let text = error.to_string();
    assert!(text.contains(":memory:"), "{context}: {text}");
    match (error, failing.kind) {
        (PagerError::DiskFull { .. }, OperationKind::Grow) => assert_eq!(fault, Fault::Enospc, "{context}"),
        (PagerError::Io { operation: IoOperation::Read(page), .. }, OperationKind::Read) => {
            assert_eq!(Some(*page), failing.page, "{context}: {text}");
            assert!(text.contains(&format!("page {page}")), "{context}: {text}");
        }
        (PagerError::Io { operation: IoOperation::Write(page), .. }, OperationKind::Write) => {
            assert_eq!(Some(*page), failing.page, "{context}: {text}");
        }
        (PagerError::Io { operation: IoOperation::WriteBatch, .. }, OperationKind::Write)
        | (PagerError::Io { operation: IoOperation::Flush, .. }, OperationKind::Flush)
        | (PagerError::Io { operation: IoOperation::Grow, .. }, OperationKind::Grow) => {}
        _ => panic!("{context}: {error:?}"),
    }
}

/// A failed creation leaves an unfinished file, or a whole and empty database.
fn check_failed_create(disk: &DiskSim, error: &PagerError, context: &str) {
    assert!(matches!(error, PagerError::Io { .. } | PagerError::DiskFull { .. }), "{context}: {error:?}");
    let survivors = (0..8).map(|seed| disk.after_power_loss(seed)).chain([disk.after_kill()]);
    for survivor in survivors {
        match open(&survivor) {
            Ok(pager) => {
                assert_eq!(read_all(&pager).expect("an empty database is readable"), [], "{context}");
                assert_sound(&pager, context);
            }
            Err(PagerError::UnfinishedCreate { .. }) => {
                let pager = options().create_on(Arc::new(survivor), DATABASE_ID);
                assert_sound(&pager.expect("nothing fails any more"), context);
            }
            Err(error) => panic!("{context}: {error}"),
        }
    }
}

/// After a failed write or flush: writes are refused, nothing is written or flushed any more, readers see what they saw.
fn check_poisoned(mut client: Client, context: &str) {
    client.disk.take_log();
    let pager = client.pager();
    let refused = [
        pager.begin().map(drop),
        pager.commit_group().map(drop),
        pager.seal(),
        fill(pager, &[Cell::of(1)]).map(drop),
    ];
    for result in refused {
        let error = result.expect_err(context);
        assert!(matches!(error, PagerError::Poisoned { .. }), "{context}: {error:?}");
        assert!(error.to_string().contains(":memory:"), "{context}: {error}");
    }
    pager.maintain().expect("there is nothing to maintain");
    client.check_reads().unwrap_or_else(|error| panic!("{context}: {error}"));
    check_survivors(&client, context);
    drop(client.pager.take());
    let log = client.disk.take_log();
    assert!(log.iter().all(|operation| operation.kind == OperationKind::Read), "{context}: {log:?}");
    check_survivors(&client, context);
}

/// Power loss or kill: the next open shows an allowed state, whole, and life goes on.
fn check_survivors(client: &Client, context: &str) {
    let survivors = (0..8).map(|seed| client.disk.after_power_loss(seed)).chain([client.disk.after_kill()]);
    for (which, survivor) in survivors.enumerate() {
        let context = &format!("{context}, survivor {which}");
        let pager = open(&survivor).unwrap_or_else(|error| panic!("{context}: {error}"));
        let mut found = read_all(&pager).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(
            client.allowed().contains(&&found),
            "{context}: found {found:?}, allowed {:?}",
            client.allowed()
        );
        assert_sound(&pager, context);
        if found.is_empty() {
            continue;
        }
        found[2] = Cell::of(7777);
        commit(&pager, &[(2, found[2])]).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(read_all(&pager).expect("nothing fails any more"), found, "{context}");
    }
}

fn check_every(kinds: &[OperationKind], faults: &[Fault]) {
    let log = log_of_workload();
    let failing = worth_failing(&log).into_iter().filter(|operation| kinds.contains(&operation.kind));
    let mut checked = 0;
    for operation in failing {
        for fault in faults {
            check_one_fault(operation, *fault);
            checked += 1;
        }
    }
    assert!(checked > 0, "the workload has none of {kinds:?}");
}

#[test]
fn a_failing_read_fails_what_needed_it_and_nothing_else() {
    check_every(&[OperationKind::Read], &[Fault::Eio, Fault::Short]);
}

#[test]
fn a_failed_write_ends_writing_and_loses_nothing_acknowledged() {
    check_every(&[OperationKind::Write], &[Fault::Eio, Fault::Short, Fault::Enospc]);
}

#[test]
fn a_failed_flush_is_never_retried_and_loses_nothing_acknowledged() {
    check_every(&[OperationKind::Flush], &[Fault::Eio]);
}

/// As a failed one does, whoever's fault it is.
#[test]
fn a_write_or_flush_that_panics_ends_writing_and_loses_nothing_acknowledged() {
    let log = log_of_workload();
    let is_write =
        |operation: &Operation| matches!(operation.kind, OperationKind::Write | OperationKind::Flush);
    let mut ended = 0;
    for failing in worth_failing(&log).into_iter().filter(is_write) {
        let context = &format!("{failing:?} panics");
        let disk = DiskSim::new(3);
        disk.fail_operation(failing.number, Fault::Panic);
        let Ok(mut client) = catch(|| Client::create(&disk).expect("nothing else fails")) else { continue };
        let panics = |step| catch(|| client.take(&step).expect("nothing else fails")).is_err();
        assert!(workload().into_iter().any(panics), "{context}");
        match &client.pager {
            Some(_) => check_poisoned(client, context),
            None => check_survivors(&client, context),
        }
        ended += 1;
    }
    assert!(ended > 100, "{ended}");
}

fn catch<R>(what: impl FnOnce() -> R) -> std::thread::Result<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(what))
}

#[test]
fn a_failed_change_of_the_files_size_fails_one_batch_at_most() {
    check_every(&[OperationKind::Grow], &[Fault::Eio, Fault::Enospc]);
    check_every(&[OperationKind::Truncate], &[Fault::Eio]);
    check_every(&[OperationKind::WriteZeros], &[Fault::Eio, Fault::Enospc, Fault::Short]);
}

/// One flush each for the pages and the header of a large commit, one for all of a small one: none more, whether
/// they succeed or not.
#[test]
fn commits_flush_as_often_as_they_say() {
    let disk = DiskSim::new(1);
    let pager = options().create_on(Arc::new(disk.clone()), DATABASE_ID).expect("nothing fails");
    let flushes =
        || disk.take_log().iter().filter(|operation| operation.kind == OperationKind::Flush).count();
    fill(&pager, &[Cell::of(1), Cell::of(2)]).expect("nothing fails");
    flushes();
    commit(&pager, &[(0, Cell::of(3))]).expect("nothing fails");
    assert_eq!(flushes(), 1);
    commit(&pager, &[(0, Cell { value: 4, pages: 245 })]).expect("nothing fails");
    assert_eq!(flushes(), 2);
    pager.seal().expect("nothing fails");
    assert_eq!(flushes(), 1);
    pager.seal().expect("it is sealed already");
    assert_eq!(flushes(), 0);
}

/// A database whose newest commit is neither sealed nor in doubt, on a disk that nobody uses; and the states before
/// and after that commit.
fn with_unsealed_commit() -> (DiskSim, Cells, Cells) {
    let disk = DiskSim::new(4);
    let pager = create_on(&disk).expect("nothing fails");
    let before: Cells = (0..6).map(Cell::of).collect();
    fill(&pager, &before).expect("nothing fails");
    let mut after = before.clone();
    after[2] = Cell { value: 22, pages: 4 };
    after[4] = Cell::of(44);
    commit(&pager, &[(2, after[2]), (4, after[4])]).expect("nothing fails");
    (disk.after_kill(), before, after)
}

/// Falling back to the older header because of a failing read would undo an acknowledged commit, for good.
#[test]
fn an_operation_that_fails_at_open_fails_the_open_and_never_chooses_the_older_header() {
    let operations = {
        let (disk, _, after) = with_unsealed_commit();
        let pager = open_on(&disk).expect("nothing fails");
        let operations = disk.operations();
        assert_eq!(read_all(&pager).expect("nothing fails"), after);
        operations
    };
    assert!(operations >= 10, "two headers, a manifest, a heal, the space root");
    for number in 0..operations {
        for fault in [Fault::Eio, Fault::Short] {
            for writable in [false, true] {
                let (disk, _, after) = with_unsealed_commit();
                disk.fail_operation(number, fault);
                let opened = quiet().open_on(Arc::new(disk.clone()), writable);
                let context = format!("operation {number} fails with {fault:?}, writable: {writable}");
                match opened {
                    Err(error) => {
                        assert!(matches!(error, PagerError::Io { .. }), "{context}: {error:?}");
                    }
                    // Reading only takes fewer operations.
                    Ok(_) => assert!(!writable, "{context}: it opened all the same"),
                }
                for survivor in [disk.after_power_loss(number), disk.after_kill()] {
                    let pager = open_on(&survivor).unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert_eq!(read_all(&pager).expect("nothing fails any more"), after, "{context}");
                    assert_sound(&pager, &context);
                }
            }
        }
    }
}

/// What is read after the failure comes from the pool or from disk as if nothing had been.
#[test]
fn a_failed_read_leaves_the_pool_as_it_was() {
    for fault in [Fault::Eio, Fault::Short] {
        let (disk, _, after) = with_unsealed_commit();
        let pager = open_on(&disk).expect("nothing fails");
        let mut failures = 0;
        let cells = loop {
            // The read that comes next fails, and each time there is one page more in the pool.
            disk.fail_operation(disk.operations(), fault);
            match read_all(&pager) {
                Err(PagerError::Io { operation: IoOperation::Read(_), .. }) => failures += 1,
                result => break result.expect("only reads fail"),
            }
            // Nothing else changed: the page that failed is the one that is read now, and the next one fails then.
            disk.take_log();
            disk.fail_operation(disk.operations() + 1, fault);
            let again = read_all(&pager);
            let reads = disk.take_log().len();
            assert!(reads == 2 && again.is_err() || reads == 1 && again.is_ok(), "{reads} reads: {again:?}");
            failures += usize::from(again.is_err());
        };
        assert_eq!(cells, after);
        // A root, five cells of a page and one of four.
        assert!(failures >= 5, "{failures}");
        assert_eq!(pager.stats().misses, pager.stats().pages_read);
    }
}

/// A database of many more pages than the pool holds, with a group that readers see and that is not written.
fn with_eventual_group() -> (DiskSim, Pager, Cells, Cells) {
    let disk = DiskSim::new(6);
    let durable: Cells = (0..100).map(|value| Cell { value, pages: 4 }).collect();
    let pager = create_on(&disk).expect("nothing fails");
    fill(&pager, &durable).expect("nothing fails");
    pager.close().expect("nothing fails");
    let pager = open_on(&disk).expect("nothing fails");
    let mut visible = durable.clone();
    for round in 0..3 {
        let changes: Vec<_> = (0..4).map(|cell| (cell, Cell::of(1000 + round * 10 + cell as u64))).collect();
        for (index, cell) in &changes {
            visible[*index] = *cell;
        }
        finish(&pager, &changes, Durability::Eventual).expect("nothing fails");
    }
    assert_eq!(pager.stats().pages_written, 0, "nothing of it is written yet");
    disk.take_log();
    (disk, pager, durable, visible)
}

/// Pages that were visible before they were durable, and never became so, have no place to be read from again: they
/// stay, whatever else goes through the pool (INV-4).
#[test]
fn what_was_published_early_stays_readable_after_its_commit_has_failed() {
    let operations = {
        let (disk, pager, ..) = with_eventual_group();
        pager.commit_group().expect("nothing fails");
        disk.take_log()
    };
    assert_eq!(operations.last().map(|last| last.kind), Some(OperationKind::Flush));
    for failing in operations {
        let (disk, pager, durable, visible) = with_eventual_group();
        disk.fail_operation(failing.number, Fault::Eio);
        let error = pager.commit_group().expect_err("the write or the flush fails");
        check_named(&error, failing, Fault::Eio, "the group");
        for _ in 0..3 {
            // The pool has 256 frames, the cells 400 pages: each round evicts whatever can be evicted.
            assert_eq!(read_all(&pager).expect("nothing fails any more"), visible, "{failing:?}");
        }
        assert!(pager.stats().evictions > 256, "{:?}", pager.stats());
        assert!(matches!(pager.begin().map(drop), Err(PagerError::Poisoned { .. })));
        drop(pager);
        let reopened = open_on(&disk.after_power_loss(0)).expect("nothing fails any more");
        assert_eq!(read_all(&reopened).expect("nothing fails any more"), durable);
    }
}
