//! The rules of a commit, each broken on purpose, and the test that must notice.
//!
//! `cargo test -p dynamite-pager --test mutations -- --ignored` copies the sources, applies one mutation after the
//! other, and sees the named test fail. It takes some minutes. What runs by default only checks that each mutation still
//! fits the sources, and that cargo finds all in the copy, so that this cannot fall behind them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Mutation {
    /// The rule that is broken, as in `src/commit.rs`.
    rule: &'static str,
    /// What goes wrong then.
    mistake: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// The test target that must fail.
    caught_by: &'static str,
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        rule: "1",
        mistake: "pages that the newest durable commit reaches are given out at once",
        file: "commit/write_batch.rs",
        from: "        write.space.finish(&recycled);\n",
        to: "        write.space.finish(&recycled);\n        write.space.release(self.birth);\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "1",
        mistake: "pages that an operation in flight reaches are given out",
        file: "commit/write_state.rs",
        from: "self.releases.pop_front_if(|release| pool.epochs().operations_passed(release.epoch))",
        to: "self.releases.pop_front()",
        caught_by: "commit_groups",
    },
    Mutation {
        rule: "2",
        mistake: "the header overwrites the newest one",
        file: "commit.rs",
        from: "let place = self.write.lock().place.other();",
        to: "let place = self.write.lock().place;",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "2",
        mistake: "the header always goes to the same place",
        file: "commit.rs",
        from: "let place = self.write.lock().place.other();",
        to: "let place = crate::format::header::Place::First;",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "2",
        mistake: "a commit is acknowledged, and the next header issued, before its flush",
        file: "commit.rs",
        from: "            self.core.write(&writes)?;\n        }\n        self.core.flush()\n",
        to: "            self.core.write(&writes)?;\n        }\n        Ok(())\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "2",
        mistake: "the header of a large commit is written before its pages were flushed",
        file: "commit.rs",
        from: "            self.core.write_pages(closed.pages.iter())?;\n            self.core.flush()?;\n",
        to: "            self.core.write_pages(closed.pages.iter())?;\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "3",
        mistake: "what a killed process left in the cache is read without being flushed first",
        file: "recovery.rs",
        from: "    disk.flush().map_err(|error| context.io(IoOperation::Flush, error))?;\n    disk.drop_cache()",
        to: "    disk.drop_cache()",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "3",
        mistake: "the newest header is believed without its manifest",
        file: "recovery.rs",
        from: "        Trust::Manifest => header\n",
        to: "        Trust::Manifest if true => Ok(Ok(())),\n        Trust::Manifest => header\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "3",
        mistake: "only the first page of a manifest is looked at",
        file: "format/manifest.rs",
        from: "        for entry in &self.0 {\n",
        to: "        for entry in self.0.iter().take(1) {\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "3",
        mistake: "the pages of a manifest must be whole, but need not be those of the commit",
        file: "format/manifest.rs",
        from: "!whole || hash(commit, extent.into_iter()) != entry.hash",
        to: "!whole",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "3",
        mistake: "a header that cannot be read is passed over, so that an acknowledged commit is undone",
        file: "recovery.rs",
        from: "        disk.read_page(place.page(), &mut page)\n            .map_err(|error| context.io(IoOperation::Read(place.page()), error))?;\n",
        to: "        if disk.read_page(place.page(), &mut page).is_err() {\n            rejections[place as usize] = Some(Corruption::Blank);\n            continue;\n        }\n",
        caught_by: "io_faults",
    },
    Mutation {
        rule: "3",
        mistake: "a manifest page that cannot be read counts as lost, so that an acknowledged commit is undone",
        file: "format/manifest.rs",
        from: "            read.result.map_err(|error| (IoOperation::Read(read.id), error))?;\n",
        to: "            if read.result.is_err() {\n                return Ok(Err(Corruption::Manifest { commit, first: read.id }));\n            }\n",
        caught_by: "io_faults",
    },
    Mutation {
        rule: "4",
        mistake: "a seal takes the number of the commit that it seals",
        file: "commit.rs",
        from: "        let commit = write.draw_birth();\n",
        to: "        let commit = write.durable.commit;\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "4",
        mistake: "the header that lost is left in place at an open",
        file: "recovery.rs",
        from: "    write_header(disk, context, &header, place)?;\n    Ok((header, place))\n",
        to: "    let _ = (disk, context);\n    Ok((header, place.other()))\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "4",
        mistake: "the heal overwrites the header that won",
        file: "recovery.rs",
        from: "    let place = recovered.place.other();\n",
        to: "    let place = recovered.place;\n",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "5",
        mistake: "a heal does not leap, so births of a lost commit come again",
        file: "recovery.rs",
        from: "Birth(recovered.highest_seen.0 + HEAL_LEAP)",
        to: "recovered.highest_seen.next()",
        caught_by: "power_loss",
    },
    Mutation {
        rule: "5",
        mistake: "a page that was written early is given out again in the same batch",
        file: "commit/write_batch.rs",
        from: "        if self.holds(ptr)? {\n            self.give_up(ptr);\n",
        to: "        if self.holds(ptr)? || ptr.birth == self.birth {\n            self.give_up(ptr);\n",
        caught_by: "commit_groups",
    },
    Mutation {
        rule: "6",
        mistake: "a flush that failed is tried again",
        file: "commit/write_state.rs",
        from: "        self.disk.flush().map_err(|error| self.context.io(IoOperation::Flush, error))\n",
        to: "        self.disk.flush().or_else(|_| self.disk.flush()).map_err(|error| self.context.io(IoOperation::Flush, error))\n",
        caught_by: "io_faults",
    },
    Mutation {
        rule: "6",
        mistake: "a failed write does not stop later ones",
        file: "commit/write_state.rs",
        from: "            self.poison = Some(reason);\n",
        to: "            drop(reason);\n",
        caught_by: "io_faults",
    },
    Mutation {
        rule: "recovery",
        mistake: "an open does not say that it rejected a header",
        file: "pager.rs",
        from: "rejected_header: self.rejected,",
        to: "rejected_header: None,",
        caught_by: "rot",
    },
    Mutation {
        rule: "space",
        mistake: "a map page is written over the version that the newest durable commit needs",
        file: "space/map.rs",
        from: "let place = if old.is_empty() { 0 } else { 1 - old.place };",
        to: "let place = old.place;",
        caught_by: "power_loss_fragmented",
    },
];

#[test]
fn every_mutation_fits_the_sources() {
    for Mutation { mistake, file, from, .. } in MUTATIONS {
        let source = std::fs::read_to_string(sources().join(file)).expect(file);
        assert_eq!(source.matches(from).count(), 1, "{file}, to show that {mistake}: {from:?}");
    }
}

#[test]
fn the_copy_is_a_workspace() {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workspace");
    copy_workspace(&copy);
    let seen = Command::new(env!("CARGO"))
        .args(["metadata", "--quiet", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(&copy)
        .output()
        .expect("cargo runs this test");
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    std::fs::remove_dir_all(&copy).expect("the copy is ours");
}

#[test]
#[ignore = "compiles and runs the tests once for each mutation"]
#[allow(clippy::print_stderr, reason = "it takes minutes, and whoever waits wants to see")]
fn every_broken_rule_is_noticed() {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutant");
    let mut missed = Vec::new();
    for Mutation { rule, mistake, file, from, to, caught_by } in MUTATIONS {
        copy_workspace(&copy);
        let target = copy.join("pager/src").join(file);
        let source = std::fs::read_to_string(&target).expect(file);
        std::fs::write(&target, source.replacen(from, to, 1)).expect(file);
        let built = cargo(&copy, &["--test", caught_by, "--no-run"]);
        assert!(
            built.status.success(),
            "rule {rule}, {mistake}: does not compile\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let run = cargo(&copy, &["--test", caught_by]);
        let verdict = if run.status.success() { "NOT NOTICED" } else { "noticed" };
        eprintln!("rule {rule}: {mistake}: {verdict} by {caught_by}");
        if run.status.success() {
            missed.push(*mistake);
        }
    }
    std::fs::remove_dir_all(&copy).expect("the copy is ours");
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn cargo(workspace: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--offline", "-p", "dynamite-pager"])
        .args(arguments)
        .current_dir(workspace)
        // Beside the copy, so that dependencies are compiled once.
        .env("CARGO_TARGET_DIR", workspace.with_extension("target"))
        .output()
        .expect("cargo runs this test")
}

/// Copies the workspace, all of whose members cargo wants to see.
fn copy_workspace(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    std::fs::create_dir_all(to).expect("a directory for the copy");
    for entry in std::fs::read_dir(root).expect("the workspace") {
        let name = entry.expect("the workspace").file_name();
        if name != "target" && name != ".git" {
            copy(&root.join(&name), &to.join(&name));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a directory for the copy");
        for entry in std::fs::read_dir(from).expect("a directory of the workspace") {
            let name = entry.expect("a directory of the workspace").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else if std::fs::read(from).ok() != std::fs::read(to).ok() {
        // Only what differs, so that little is compiled anew.
        std::fs::copy(from, to).expect("a file of the workspace");
    }
}
