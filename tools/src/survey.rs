//! What a walk over a database file tells: whose each page is, how full, and what is lost. The walk itself is
//! [`dynamite_txn::verify::survey`]; here it is collected, and trees get the names that people know them by.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dynamite_core::api::inspect::{ItemCheck, TreeRole, key_text};
use dynamite_pager::{Extent, Options, PAGE_SIZE, Page, PageId, PageKind, Pager};
use dynamite_txn::verify::{Found, Owner, PayloadCheck, Progress, Scope, TreeShape, Watch, survey};
use dynamite_txn::{TableId, TableInfo};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::program::Failure;

/// Bytes of the buffer pool: a walk reads past it, and looks up old versions only.
const CACHE_BYTES: usize = 16 << 20;

/// Opens a file for reading only.
pub(crate) fn open(file: &Path) -> Result<Pager, Failure> {
    let options =
        Options::new().background(false).cache_bytes(CACHE_BYTES).page_check(dynamite_bptree::check_page);
    Ok(options.open_read_only(file)?)
}

/// What a walk has told.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Names of trees, and what is wrong with items.
    pub(crate) items: ItemCheck,
    /// The trees, as the catalog has them, in its order.
    pub(crate) trees: Vec<TreeShape>,
    /// The pages of each tree that was walked.
    pub(crate) pages: BTreeMap<Owner, TreePages>,
    pub(crate) free: Vec<Extent>,
    /// What cannot be read, as ranges of keys.
    pub(crate) lost: Vec<Loss>,
    pub(crate) found: Vec<Found>,
    pub(crate) page_count: u64,
    pub(crate) commit: u64,
}

/// Keys of a tree that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) owner: Owner,
    pub(crate) from: Option<Vec<u8>>,
    pub(crate) to: Option<Vec<u8>>,
}

/// The pages of a tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreePages {
    /// By level, the leaves first: pages, and bytes that are used in them.
    pub(crate) levels: BTreeMap<u8, (u64, u64)>,
    /// Pages of values and keys that have pages of their own, and bytes that are used in them.
    pub(crate) runs: (u64, u64),
    /// Leaves by how full they are, in tenths.
    pub(crate) fills: [u64; 10],
}

impl TreePages {
    pub(crate) fn count(&self) -> u64 {
        self.levels.values().map(|(pages, _)| pages).sum::<u64>() + self.runs.0
    }

    pub(crate) fn used(&self) -> u64 {
        self.levels.values().map(|(_, used)| used).sum::<u64>() + self.runs.1
    }

    fn add(&mut self, page: &Page, used: usize) {
        let kind = dynamite_bptree::kind_name(page.kind());
        let is_node = matches!(kind, Some("leaf" | "inner node"));
        let counted = if is_node { self.levels.entry(page.level()).or_default() } else { &mut self.runs };
        counted.0 += 1;
        counted.1 += used as u64;
        if is_node && page.level() == 0 {
            self.fills[(used * 10 / PAGE_SIZE).min(9)] += 1;
        }
    }
}

/// Part of so many, as a percentage with one digit behind the point.
pub(crate) fn percent(part: u64, of: u64) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / of as f64) }
}

/// Sees each page of a tree, beside what is collected anyway.
pub(crate) type EachPage<'a> = &'a mut dyn FnMut(Owner, &Page, usize);

/// What is to be seen of a file.
pub(crate) struct Wanted<'a> {
    pub(crate) scope: Scope,
    /// Whether each item is checked.
    pub(crate) checks_items: bool,
    pub(crate) each_page: Option<EachPage<'a>>,
    pub(crate) bar: ProgressBar,
}

impl Survey {
    /// Walks a database.
    pub(crate) fn of(pager: &Pager, wanted: Wanted<'_>) -> Result<Survey, Failure> {
        let survey_of = Survey {
            items: ItemCheck::new(),
            trees: Vec::new(),
            pages: BTreeMap::new(),
            free: Vec::new(),
            lost: Vec::new(),
            found: Vec::new(),
            page_count: pager.stats().page_count,
            commit: pager.published().birth.0,
        };
        let mut collecting = Collecting { survey: survey_of, wanted, wrong: Vec::new() };
        let found = survey(pager, collecting.wanted.scope, &mut collecting)?;
        collecting.wanted.bar.finish_and_clear();
        let Collecting { mut survey, wrong, .. } = collecting;
        survey.found = found;
        survey.found.extend(wrong);
        Ok(survey)
    }

    /// What people call a tree.
    pub(crate) fn name(&self, owner: Owner) -> String {
        let of_table = |table: TableId| match self.items.role(table) {
            Some(role) => role.to_string(),
            None => match dynamite_txn::describe::system_name(table) {
                Some(name) => format!("system table {name}"),
                None => format!("table {table}, which has no name"),
            },
        };
        match owner {
            Owner::Catalog => "catalog".to_owned(),
            Owner::Table(table) => of_table(table),
            Owner::HistoryOf(table) => format!("history of {}", of_table(table)),
        }
    }

    /// The table that a tree is of, if it is of one.
    pub(crate) fn table(&self, owner: Owner) -> Option<&str> {
        self.items.role(owner.table()?)?.table()
    }

    /// What cannot be read, on a line.
    pub(crate) fn loss_text(&self, Loss { owner, from, to }: &Loss) -> String {
        let from = from.as_ref().map_or("the first".to_owned(), |key| key_text(key));
        let to = to.as_ref().map_or("the last".to_owned(), |key| format!("before {}", key_text(key)));
        format!("lost: {}, keys from {from} to {to}", self.name(*owner))
    }

    /// What cannot be read, as a JSON object.
    pub(crate) fn loss_to_json(&self, Loss { owner, from, to }: &Loss) -> Value {
        json!({
            "tree": self.name(*owner),
            "table": self.table(*owner),
            "from": from.as_ref().map(|key| key_text(key)),
            "to": to.as_ref().map(|key| key_text(key)),
        })
    }

    /// The tree that people call so: a table, `TABLE/INDEX`, a name as [`name`](Survey::name) gives it, or a number.
    pub(crate) fn find(&self, name: &str) -> Option<Owner> {
        let is_it = |owner: Owner| {
            let role = owner.table().and_then(|table| self.items.role(table));
            match (owner, role) {
                (Owner::Table(_), Some(TreeRole::Table(table))) if table == name => true,
                (Owner::Table(_), Some(TreeRole::Index { table, index })) => {
                    name == format!("{table}/{index}")
                }
                (Owner::Table(table), _) if name == table.0.to_string() => true,
                (Owner::Table(table), None) => dynamite_txn::describe::system_name(table) == Some(name),
                _ => false,
            }
        };
        let owners = [Owner::Catalog].into_iter().chain(self.trees.iter().map(|tree| tree.owner));
        let mut owners = owners.collect::<Vec<_>>().into_iter();
        owners.clone().find(|owner| is_it(*owner)).or_else(|| owners.find(|owner| self.name(*owner) == name))
    }
}

struct Collecting<'a> {
    survey: Survey,
    wanted: Wanted<'a>,
    /// What is wrong with names, of whose pages nothing is known here.
    wrong: Vec<Found>,
}

impl Watch for Collecting<'_> {
    fn progress(&mut self, progress: Progress) {
        let bytes = |pages: u64| pages * PAGE_SIZE as u64;
        self.wanted.bar.set_length(bytes(progress.of_pages));
        self.wanted.bar.set_position(bytes(progress.pages));
    }

    fn free(&mut self, extents: &[Extent]) {
        self.survey.free = extents.to_vec();
    }

    fn page(&mut self, owner: Owner, page: &Page, used: usize) {
        self.survey.pages.entry(owner).or_default().add(page, used);
        if let Some(each) = &mut self.wanted.each_page {
            each(owner, page, used);
        }
    }

    fn tree(&mut self, tree: TreeShape) {
        self.survey.trees.push(tree);
    }

    fn name(&mut self, name: &[u8], info: &TableInfo) {
        if let Some(wrong) = self.survey.items.name(name, info) {
            let problem = dynamite_pager::Problem::Malformed(Arc::new(wrong));
            let finding = dynamite_pager::Finding { pages: None, problem };
            self.wrong.push(Found { owner: Some(Owner::Table(info.id)), finding });
        }
    }

    fn payload_check(&mut self, table: TableId) -> Option<PayloadCheck> {
        if self.wanted.checks_items { self.survey.items.of_tree(table) } else { None }
    }

    fn lost(&mut self, owner: Owner, from: Option<&[u8]>, to: Option<&[u8]>) {
        let [from, to] = [from, to].map(|key| key.map(<[u8]>::to_vec));
        self.survey.lost.push(Loss { owner, from, to });
    }
}

/// A page of a run or of a tree, as people call its kind.
pub(crate) fn kind_name(page: &Page) -> &'static str {
    match page.kind() {
        PageKind::HEADER => "header",
        PageKind::SPACE_ROOT => "space root",
        PageKind::SPACE_MAP => "space map",
        kind => dynamite_bptree::kind_name(kind).unwrap_or("unknown kind"),
    }
}

/// The first and last page of an extent, for people.
pub(crate) fn extent_text(extent: Extent) -> String {
    match extent {
        Extent { first, count: 1 } => format!("page {first}"),
        Extent { first: PageId(first), count } => format!("pages {first} to {}", first + (count - 1)),
    }
}
