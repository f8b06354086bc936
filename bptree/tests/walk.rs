//! A check's walk sees every entry with all of its bytes, and every page once, whatever was read ahead of it; and of a damaged tree all
//! that is outside the damage, and says which keys are lost.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use common::*;
use dynamite_bptree::{EntryCheck, Tree, Value, Visit, verify, verify_entries};
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Extent, Malformation, Page, PageId, Pager, Problem};

/// Rows of all kinds: short ones, values of a few pages and of many, keys with runs of their own.
fn fill(pager: &Pager, rows: usize, longest: usize) -> Model {
    let mut model = Model::new();
    let mut random = Random(17);
    while model.len() < rows {
        commit(pager, |batch, trees| {
            for _ in 0..200 {
                let mut key = vec![b'k'; [0, 0, 0, 900][random.below(4)]];
                key.extend(format!("{:08}", random.below(50_000_000)).bytes());
                let len = [20, 200, 900, 5_000, longest][random.below(5)];
                let value: Vec<u8> = (0..len).map(|at| (at + key.len()) as u8).collect();
                put(batch, &mut trees[0], &key, &value, 7);
                model.insert(key, value);
            }
        });
    }
    model
}

/// Keys from one up to another, `None` standing for the ends.
type Range = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What a walk over the first tree has seen.
#[derive(Default)]
struct Seen {
    entries: Model,
    pages: BTreeSet<PageId>,
    lost: Vec<Range>,
    findings: usize,
}

fn walk(pager: &Pager) -> Seen {
    let tree = published(pager)[0];
    let mut census = pager.census().unwrap();
    let mut seen = Seen::default();
    let before = census.finding_count();
    verify(&mut census, &tree, &mut |_, visit| match visit {
        Visit::Page { page, used } => {
            assert!((32..=4096).contains(&used));
            assert!(seen.pages.insert(page.id()), "{:?} is shown twice", page.id());
        }
        Visit::Entry { key, value, body: Some(body), .. } => {
            let whole = match value {
                Value::Inline(bytes) => bytes.to_vec(),
                Value::Spilled { head, .. } => [head, body].concat(),
            };
            let last = seen.entries.last_key_value();
            assert!(last.is_none_or(|(last, _)| **last < *key), "out of order");
            seen.entries.insert(key.to_vec(), whole);
        }
        Visit::Entry { key, body: None, .. } => {
            seen.lost.push((Some(key.to_vec()), Some([key, &[0]].concat())));
        }
        Visit::Lost { from, to } => {
            seen.lost.push((from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec)));
        }
    });
    seen.findings = census.finding_count() - before;
    seen
}

#[test]
fn a_walk_sees_every_entry_whole_and_every_page_once() {
    for (rows, longest) in [(0, 0), (30, 100), (3_000, 30_000), (600, 400_000)] {
        let pager = in_memory();
        let model = fill(&pager, rows, longest);
        let seen = walk(&pager);
        assert!(seen.entries == model, "{rows} rows: {} of {} seen", seen.entries.len(), model.len());
        assert_eq!((seen.lost.len(), seen.findings), (0, 0));
        // The root, the catalog of the test, free space: all else are the tree's.
        let stats = pager.stats();
        assert!(seen.pages.len() as u64 <= stats.page_count);
        assert_sound(&pager, &format!("{rows} rows"));
    }
}

/// Something is wrong with every third entry, wherever its bytes are. Who looks at them does so on several threads.
#[test]
fn every_entry_is_looked_at_whole_and_what_is_wrong_is_reported_in_order() {
    for (rows, longest) in [(30, 100), (3_000, 30_000), (600, 400_000)] {
        let pager = in_memory();
        let model = fill(&pager, rows, longest);
        let looked_at = Arc::new(Mutex::new(Model::new()));
        let seen = looked_at.clone();
        let is_wrong = |key: &[u8]| key.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 3 == 0;
        let check: EntryCheck = Arc::new(move |key, value, body| {
            seen.lock().unwrap().insert(key.to_vec(), [value.head(), body].concat());
            is_wrong(key).then(|| Malformation::from(Arc::from(Box::from(key.escape_ascii().to_string()))))
        });
        let mut census = pager.census().unwrap();
        let mut leaves = Vec::new();
        verify_entries(&mut census, &published(&pager)[0], Some(check), &mut |census, visit| {
            if let Visit::Entry { leaf, key, .. } = visit {
                assert_eq!(leaves.len(), census.finding_count(), "what is wrong comes behind the visit");
                leaves.extend(is_wrong(key).then_some(leaf));
            }
        });
        assert!(*looked_at.lock().unwrap() == model, "{rows} rows");
        let wrong = model.keys().filter(|key| is_wrong(key)).map(|key| key.escape_ascii().to_string());
        let expected: Vec<String> =
            wrong.zip(leaves).map(|(key, PageId(leaf))| format!("page {leaf}: {key}")).collect();
        let found: Vec<String> = census.findings().iter().map(ToString::to_string).collect();
        assert!(found.len() > rows / 5 && found == expected, "{rows} rows");
    }
}

/// Whether a key is in one of the ranges.
fn is_lost(lost: &[Range], key: &[u8]) -> bool {
    lost.iter().any(|(from, to)| {
        from.as_ref().is_none_or(|from| key >= &from[..]) && to.as_ref().is_none_or(|to| key < &to[..])
    })
}

/// Each page of the tree in turn, now and then several, is damaged.
#[test]
fn what_is_outside_the_damage_is_seen_and_what_is_not_is_named() {
    let disk = DiskSim::new(5);
    let pager = create_on(&disk).unwrap();
    let model = fill(&pager, 1_500, 20_000);
    pager.close().unwrap();
    let pages: Vec<PageId> = {
        let pager = quiet().open_on(Arc::new(disk.clone()), false).unwrap();
        walk(&pager).pages.into_iter().collect()
    };
    let mut random = Random(3);
    for round in 0..120 {
        let damaged = disk.after_kill();
        let count = 1 + random.below(3);
        let victims: BTreeSet<PageId> = (0..count).map(|_| pages[random.below(pages.len())]).collect();
        for page in &victims {
            damaged.flip_bit(*page, random.below(4096 * 8));
        }
        let pager = quiet().open_on(Arc::new(damaged), false).unwrap();
        let seen = walk(&pager);
        assert!(seen.findings >= victims.len().min(1), "round {round}: {victims:?} not noticed");
        for (key, value) in &model {
            match seen.entries.get(key) {
                Some(found) => assert!(found == value, "round {round}: a value differs"),
                None => assert!(is_lost(&seen.lost, key), "round {round}: {victims:?}: a key is missing"),
            }
        }
        for key in seen.entries.keys() {
            assert!(model.contains_key(key), "round {round}: a key that was never stored");
        }
    }
}

/// A page that leads to itself, or to one that was seen, ends nothing and blocks nobody.
#[test]
fn a_tree_that_goes_in_circles_is_walked_to_its_end() {
    let pager = in_memory();
    fill(&pager, 2_000, 5_000);
    let root = published(&pager)[0].root().expect("it has rows");
    let level = published(&pager)[0].level();
    commit(&pager, |_, trees| {
        // The same root, said to be higher: its children are then no nodes of the level below.
        trees[0] = Tree::from_parts(Some(root), level + 1, 7);
    });
    let mut census = pager.census().unwrap();
    let mut lost = 0;
    verify(&mut census, &published(&pager)[0], &mut |_, visit| {
        lost += usize::from(matches!(visit, Visit::Lost { .. }));
    });
    assert_eq!(lost, 1);
    let mut page = Page::boxed();
    assert!(census.mark(Extent::single(PageId(8))) || census.read(root, &mut page));
    assert!(census.findings().iter().any(|finding| matches!(finding.problem, Problem::Malformed(_))));
}
