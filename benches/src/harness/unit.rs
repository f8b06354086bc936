//! F, the unit of durable work: one write of 4 KiB and one flush, nothing of any engine in it.

use std::path::Path;
use std::time::{Duration, Instant};

use dynamite_pager::disk::reference::WriteAndFlush;

use crate::peers::Outcome;
use crate::sample::Sample;

/// So many at a time tell whether the device is quiet.
const ROUND: usize = 20;

/// How long to wait for it at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file of its own to write to.
pub struct Unit(WriteAndFlush);

impl Unit {
    /// A file of its own, and a device that has done with what was written and removed before: what a workload begins
    /// with was copied just now, and the file system discards what the last one has left.
    pub fn settled(path: &Path) -> Outcome<Unit> {
        let mut unit = Unit(WriteAndFlush::open(path)?);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let round = unit.round()?;
            if round.quantile(0.9) <= 1.3 * round.median() {
                break;
            }
        }
        Ok(unit)
    }

    /// One F.
    pub fn run(&mut self) -> Outcome<()> {
        Ok(self.0.run()?)
    }

    /// Some, each in microseconds.
    pub fn round(&mut self) -> Outcome<Sample> {
        let mut sample = Sample::default();
        for _ in 0..ROUND {
            let started = Instant::now();
            self.run()?;
            sample.push_us(started.elapsed());
        }
        Ok(sample)
    }
}
