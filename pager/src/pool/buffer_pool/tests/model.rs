//! The pool against an oracle: a map from page id to the birth that is current.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::disk::{Disk, PageWrite};
use crate::pool::dirty_frame::{OwnedFrame, PinnedFrame};

const PAGES: u32 = 40;

#[derive(Clone, Debug)]
enum Step {
    Read(u32, Access),
    ReadMany(Vec<u32>),
    Own,
    Disown,
    /// Publishes a newer version of a page.
    Publish(u32),
    /// Writes a pinned page to disk and unpins it.
    Unpin(u32),
    /// Forgets a pinned page.
    ForgetPinned(u32),
    /// Forgets a page that is on disk.
    Forget(u32),
    Begin,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 2..PAGES;
    prop_oneof![
        8 => (id(), prop_oneof![Just(Access::Point), Just(Access::Scan)]).prop_map(|(id, access)| Step::Read(id, access)),
        3 => prop::collection::vec(id(), 0..30).prop_map(Step::ReadMany),
        1 => Just(Step::Own),
        1 => Just(Step::Disown),
        3 => id().prop_map(Step::Publish),
        2 => id().prop_map(Step::Unpin),
        1 => id().prop_map(Step::ForgetPinned),
        2 => id().prop_map(Step::Forget),
        1 => Just(Step::Begin),
        1 => Just(Step::End),
    ]
}

/// What the pool is expected to hold.
struct Oracle {
    /// The pointers that can be read.
    current: HashMap<u32, PagePtr>,
    pinned: HashMap<u32, PinnedFrame>,
    owned: Vec<OwnedFrame>,
    last_birth: u64,
}

impl Oracle {
    fn dirty(&self) -> usize {
        self.pinned.len() + self.owned.len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn the_pool_agrees_with_a_map(frames in 6..40_usize, steps in prop::collection::vec(step(), 1..150)) {
        let disk = TestDisk::with_pages(PAGES);
        let pool = pool(&disk, frames);
        let mut oracle = Oracle {
            current: (2..PAGES).map(|id| (id, ptr(id))).collect(),
            pinned: HashMap::new(),
            owned: Vec::new(),
            last_birth: 1,
        };
        let mut operation = pool.enter().expect("not forked");
        for step in steps {
            check_step(&pool, &disk, &mut operation, &mut oracle, step);
            prop_assert_eq!(pool.dirty(), oracle.dirty());
            let resident = (2..PAGES).filter(|id| is_resident(&pool, *id)).count();
            prop_assert!(resident + oracle.owned.len() <= frames);
        }
        drop(operation);
        oracle.pinned.into_values().for_each(PinnedFrame::unpin);
        drop(oracle.owned);
        assert_no_frame_is_lost(&pool);
    }
}

fn check_step<'p>(
    pool: &'p BufferPool,
    disk: &TestDisk,
    operation: &mut Operation<'p>,
    oracle: &mut Oracle,
    step: Step,
) {
    // Half of the frames may be dirty, so there is always room.
    let room = oracle.dirty() < pool.frames() / 2;
    match step {
        Step::Read(id, access) => {
            if let Some(ptr) = oracle.current.get(&id) {
                check_read(operation, *ptr, access);
            }
        }
        Step::ReadMany(ids) => {
            let ptrs: Vec<_> = ids.iter().filter_map(|id| oracle.current.get(id).copied()).collect();
            let mut visited = vec![0; ptrs.len()];
            let result = operation.read_many(&ptrs, Access::Scan, |index, page| -> Result<()> {
                assert_page(page, ptrs[index]);
                visited[index] += 1;
                Ok(())
            });
            result.expect("good pages");
            assert!(visited.iter().all(|visits| *visits == 1), "{visited:?}");
        }
        Step::Own if room => {
            // The writer is another thread, in effect: its waits must not be held up by our frame epoch.
            operation.renew_frames();
            oracle.owned.push(operation.outside_frames(|| pool.take_frame()).expect("room"));
        }
        Step::Disown => {
            oracle.owned.pop();
        }
        Step::Publish(id) if room => {
            oracle.last_birth += 1;
            let ptr = PagePtr { id: PageId(id), birth: Birth(oracle.last_birth) };
            let mut frame = operation.outside_frames(|| pool.take_frame()).expect("room");
            fill(&mut frame, ptr);
            let replaced = oracle.pinned.insert(id, frame.publish(ptr));
            oracle.current.insert(id, ptr);
            if let Some(replaced) = replaced {
                replaced.forget();
            }
        }
        Step::Unpin(id) => {
            if let Some(pinned) = oracle.pinned.remove(&id) {
                assert_page(&pinned, pinned.ptr());
                disk.write_batch(&[PageWrite { id: PageId(id), page: &pinned }])
                    .expect("this disk takes all");
                pinned.unpin();
            }
        }
        Step::ForgetPinned(id) => {
            if let Some(pinned) = oracle.pinned.remove(&id) {
                oracle.current.remove(&id);
                pinned.forget();
                assert!(!is_resident(pool, id));
            }
        }
        Step::Forget(id) if !oracle.pinned.contains_key(&id) => {
            pool.forget(PageId(id));
            assert!(!is_resident(pool, id));
        }
        Step::Begin => *operation = pool.enter().expect("not forked"),
        Step::End | Step::Own | Step::Publish(_) | Step::Forget(_) => {
            let tag = pool.epochs().advance();
            *operation = pool.enter().expect("not forked");
            assert!(pool.epochs().operations_passed(tag));
        }
    }
}
