//! The processor time of transactions of one put, and of many puts in one, without what a device costs.
//!
//! * `memory`: over a file in memory, whose writes copy pages and whose flush does nothing.
//! * `device`: writes to a file by io_uring, flushes that do nothing.
//!
//! Keys have 24 bytes and values 150; each put replaces a row of many, in random order. Transactions share a commit as a series, as those
//! that are asked for at the same time do, or each joins the group by itself.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::cpu_time::cpu_time;
use dynamite_benches::random::{Random, scattered_key};
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;
use dynamite_benches::unflushed_disk::UnflushedDisk;
use dynamite_pager::IoChoice;
use dynamite_pager::disk::{Disk, file};
use dynamite_txn::{Durability, ManualClock, Options, Retention, Store, TableId, WriteTxn};

type Outcome<T> = Result<T, Box<dyn Error>>;

type MakeDisk = fn(&Path) -> Outcome<Arc<dyn Disk>>;

const DISKS: [(&str, MakeDisk); 2] = [
    ("memory", |_| Ok(file::memory()?)),
    ("device", |path| Ok(Arc::new(UnflushedDisk(file::create(path, IoChoice::Uring)?)))),
];

/// What a commit is made of.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    puts: usize,
    transactions: usize,
    in_series: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "one", puts: 1, transactions: 1, in_series: false },
    Shape { name: "32 transactions in series", puts: 1, transactions: 32, in_series: true },
    Shape { name: "32 transactions in a group", puts: 1, transactions: 32, in_series: false },
    Shape { name: "32 puts in a transaction", puts: 32, transactions: 1, in_series: false },
];

/// Puts between two looks at the processor time.
const PUTS: usize = 320;

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    let rows = arguments.effort.pick(300_000, 100_000, 1_000);
    let mut table = Table::new(
        "Processor time of a put, microseconds",
        &["puts in a commit", "disk", "p10", "median", "p90"],
    );
    for (disk, make) in DISKS {
        let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
        let subject = Subject::new(make(&scratch.file(disk))?, rows)?;
        for shape in SHAPES {
            if !arguments.wants(&format!("put_cpu/{disk}/{}", shape.name)) {
                continue;
            }
            let mut times = Sample::default();
            let mut random = Random(7);
            for _ in 0..arguments.effort.pick(100, 20, 1) {
                let begun = cpu_time()?;
                for _ in 0..PUTS / (shape.puts * shape.transactions) {
                    subject.commit(shape, &mut random)?;
                }
                times.push((cpu_time()? - begun).as_secs_f64() * 1e6 / PUTS as f64);
            }
            let quantile = |q| format!("{:.1}", times.quantile(q));
            table.row([shape.name.into(), disk.into(), quantile(0.1), quantile(0.5), quantile(0.9)]);
        }
    }
    table.print();
    Ok(())
}

struct Subject {
    store: Store,
    table: TableId,
    rows: u64,
}

impl Subject {
    fn new(disk: Arc<dyn Disk>, rows: u64) -> Outcome<Subject> {
        let clock = Arc::new(ManualClock::at(1));
        let options = Options::new(clock).background(false).cache_bytes(256 << 20);
        let store = options.create_on(disk, *b"for benchmarking")?;
        let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None))?;
        for first in (0..rows).step_by(1_000) {
            store.write(|txn| {
                (first..first + 1_000).try_for_each(|n| txn.put(table, &scattered_key(n), &[7; 150]))
            })?;
        }
        store.maintain()?;
        Ok(Subject { store, table, rows })
    }

    /// One flush is for all of its transactions.
    #[inline(never)]
    fn commit(&self, shape: Shape, random: &mut Random) -> Outcome<()> {
        let mut put = |txn: &mut WriteTxn<'_>| {
            (0..shape.puts).try_for_each(|_| {
                let row = random.below(self.rows as usize) as u64;
                txn.put(self.table, &scattered_key(row), &[8; 150])
            })
        };
        let mut last = None;
        if shape.in_series {
            let mut series = self.store.series(Durability::Immediate);
            (0..shape.transactions).try_for_each(|_| series.run(&mut put))?;
            last = Some(series.finish()?);
        } else {
            for _ in 0..shape.transactions {
                let mut txn = self.store.begin()?;
                put(&mut txn)?;
                last = Some(txn.join()?);
            }
        }
        if let Some(last) = last {
            self.store.wait_durable(last)?;
        }
        Ok(())
    }
}
