//! Memory stays within cache size + 10 % + 16 MiB, whatever is done to a file ten times as large as the cache (INV-5).

mod common;
mod toy;

use std::io::Write;
use std::process::Stdio;

use dynamite_pager::{Access, IoChoice, Options, Pager, PagerError};
use toy::*;

const MIB: u64 = 1 << 20;
const CACHE_BYTES: u64 = 16 * MIB;
const BOUND_BYTES: u64 = CACHE_BYTES + CACHE_BYTES / 10 + 16 * MIB;
/// A cell is 656 KiB, all of them are 163 MiB.
const CELL_PAGES: u32 = 164;

/// A line of what the kernel says of this process, in bytes.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("it tells this, too");
    let kib: u64 = line.trim_start_matches(':').trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

fn work(pager: &Pager) {
    let cell = |value| Cell { value, pages: CELL_PAGES };
    // Filled in a few batches.
    fill(pager, &vec![Cell::of(0); CELLS_MAX]).expect("nothing fails");
    let all: Vec<usize> = (0..CELLS_MAX).collect();
    for part in all.chunks(CELLS_MAX / 4) {
        let changes: Vec<_> = part.iter().map(|index| (*index, cell(1))).collect();
        commit(pager, &changes).expect("nothing fails");
    }
    assert!(pager.stats().page_count * 4096 > 10 * CACHE_BYTES);

    let mut random = Random(5);
    let (mut operation, state) = pager.enter().expect("not forked");
    let ptrs = cell_ptrs(&mut operation, state);
    for _ in 0..5_000 {
        let ptr = ptrs[random.below(ptrs.len() as u64) as usize];
        operation.read(ptr, Access::Point).expect("all can be read");
    }
    for (index, ptr) in ptrs.iter().enumerate() {
        if index % 64 == 0 {
            operation.prefetch(&ptrs[index..ptrs.len().min(index + 256)]);
        }
        operation.read(*ptr, Access::Scan).expect("all can be read");
    }
    for _ in 0..40 {
        let some: Vec<_> = (0..400).map(|_| ptrs[random.below(ptrs.len() as u64) as usize]).collect();
        operation.read_many(&some, Access::Point, |_, _| Ok::<(), PagerError>(())).expect("all can be read");
    }
    drop(operation);

    // Overwritten, in small commits and in one huge batch.
    for value in 0..40 {
        commit(pager, &[(random.below(CELLS_MAX as u64) as usize, cell(value))]).expect("nothing fails");
    }
    let changes: Vec<_> = (0..CELLS_MAX).step_by(2).map(|index| (index, cell(3))).collect();
    commit(pager, &changes).expect("nothing fails");
    let stats = pager.stats();
    assert!(stats.early_writes > 20_000 && stats.evictions > 40_000 && stats.prefetched > 0, "{stats:?}");
}

fn check_memory(name: &str, choice: IoChoice) {
    if !common::is_child(name) {
        // Its numbers are of interest even if all is well.
        let status = common::child_command(name).stdout(Stdio::null()).status();
        return assert!(status.expect("the test binary runs").success());
    }
    let (_directory, path) = common::scratch_file();
    let before = memory("VmRSS");
    let options = Options::new().cache_bytes(CACHE_BYTES as usize).io(choice);
    let pager = options.create(&path, DATABASE_ID).expect("the file is created");
    work(&pager);
    let used = memory("VmHWM").saturating_sub(before);
    let mut err = std::io::stderr();
    writeln!(err, "{name}: {} KiB used of {} KiB", used >> 10, BOUND_BYTES >> 10).expect("somebody listens");
    assert!(used <= BOUND_BYTES, "{used} bytes, where {BOUND_BYTES} are allowed");
    assert!(used > CACHE_BYTES / 2, "{used} bytes cannot be: the cache is in use");
}

#[test]
fn memory_stays_within_its_bound_with_io_uring() {
    check_memory("memory_stays_within_its_bound_with_io_uring", IoChoice::Auto);
}

#[test]
fn memory_stays_within_its_bound_with_system_calls() {
    check_memory("memory_stays_within_its_bound_with_system_calls", IoChoice::Syscall);
}
