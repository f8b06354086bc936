//! The published state under all orders of its steps.

#![cfg(loom)]

use std::sync::Arc;

use dynamite_loom_tests::explore;
use dynamite_pager::loom_models::PublishedState;
use dynamite_pager::{Birth, PageId, PagePtr, Roots, State};
use loom::thread;

fn state(n: u64) -> State {
    let catalog = Some(PagePtr { id: PageId(n as u32 + 2), birth: Birth(n) });
    State { birth: Birth(n), roots: Roots { catalog, catalog_shape: n, horizon: n, commit_time: n } }
}

/// A reader sees the old state or the new one, never half of each, and never goes back.
#[test]
fn a_reader_never_sees_half_of_a_state() {
    explore(3, || {
        let published = Arc::new(PublishedState::new(state(0)));
        let writer = {
            let published = published.clone();
            thread::spawn(move || published.store(state(1)))
        };
        let first = published.load();
        assert_eq!(first, state(first.birth.0));
        writer.join().expect("the writer ends");
        assert_eq!(published.load(), state(1));
    });
}
