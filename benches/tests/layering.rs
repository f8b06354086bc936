//! The arrows between the crates point strictly downwards. A dependency that points up, or sideways past a layer's
//! knowledge, fails here.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may depend on whom, bottom-up. `benches` and `loom-tests` may look at any layer.
const ALLOWED: &[(&str, &[&str])] = &[
    ("dynamite-pager", &[]),
    ("dynamite-bptree", &["dynamite-pager"]),
    ("dynamite-txn", &["dynamite-bptree", "dynamite-pager"]),
    ("dynamite-core", &["dynamite-txn"]),
    ("dynamite-server", &["dynamite-core"]),
    ("dynamite-memory", &["dynamite-core", "dynamite-server"]),
    ("dynamite-tools", ANY),
    ("dynamite-benches", ANY),
    ("dynamite-loom-tests", ANY),
];

const ANY: &[&str] = &[
    "dynamite-pager",
    "dynamite-bptree",
    "dynamite-txn",
    "dynamite-core",
    "dynamite-server",
    "dynamite-memory",
];

#[test]
fn dependencies_point_strictly_downwards() {
    let mut wrong = Vec::new();
    for (package, dependencies) in workspace_dependencies() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package) else {
            wrong.push(format!("{package} has no place among the layers"));
            continue;
        };
        for dependency in dependencies {
            // A crate may ask for itself with other features in its own tests.
            if dependency != package && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{package} must not depend on {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `unsafe` lives in the pager; every other crate forbids it. The benchmarks do so unless they are built with peers, and
/// then let one function through.
#[test]
fn every_crate_but_the_pager_forbids_unsafe_code() {
    for member in members() {
        if member.ends_with("pager") {
            continue;
        }
        let forbids = match member.ends_with("benches") {
            true => "#![cfg_attr(not(feature = \"peers\"), forbid(unsafe_code))]",
            false => "#![forbid(unsafe_code)]",
        };
        for root in ["src/lib.rs", "src/main.rs"].map(|file| member.join(file)) {
            if let Ok(source) = std::fs::read_to_string(&root) {
                assert!(source.contains(forbids), "{}", root.display());
            }
        }
    }
    let let_through = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .into_iter()
        .filter(|(_, source)| source.contains("allow(unsafe_code"))
        .map(|(path, source)| (path, source.matches("allow(unsafe_code").count()))
        .collect::<Vec<_>>();
    assert!(
        matches!(&let_through[..], [(path, 1)] if path.ends_with("peers/lmdb.rs")),
        "only LMDB's open is let through, not {let_through:?}"
    );
}

/// The files below a directory, with what is in them.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<_> = directories.iter().flat_map(|directory| sources(directory)).collect();
    found.extend(files.into_iter().map(|path| {
        let source = std::fs::read_to_string(&path).unwrap();
        (path, source)
    }));
    found
}

/// Each workspace member's name, with the members that it depends on in any way.
fn workspace_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifests: Vec<toml::Table> =
        members().iter().map(|member| manifest(&member.join("Cargo.toml"))).collect();
    let name = |manifest: &toml::Table| manifest["package"]["name"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = manifests.iter().map(name).collect();
    assert!(names.contains("dynamite-pager"), "the workspace was not found");
    manifests.iter().map(|manifest| (name(manifest), dependencies(manifest, &names))).collect()
}

/// The members among the keys of every table that is called some kind of dependencies, at any depth.
fn dependencies(table: &toml::Table, members: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            found.extend(inner.iter().map(|(key, value)| {
                value.get("package").and_then(|name| name.as_str()).unwrap_or(key).to_owned()
            }));
        } else {
            found.extend(dependencies(inner, members));
        }
    }
    found.retain(|name| members.contains(name));
    found
}

fn members() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = manifest(&root.join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| root.join(member.as_str().unwrap())).collect()
}

fn manifest(path: &Path) -> toml::Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}
