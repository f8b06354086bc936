//! Which project a directory belongs to: what has one is remembered for it, in all its worktrees.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text::hash;

/// The scope of the project around a directory: `p:` and a hash of the directory that its worktrees have in common, or, without git, of
/// the directory itself.
pub fn scope(directory: &Path) -> String {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let root = common_directory(&directory).unwrap_or(directory);
    format!("p:{}", hash::short(root.as_os_str().as_encoded_bytes()))
}

/// Git's common directory, as `git rev-parse --git-common-dir` has it, without asking git.
fn common_directory(directory: &Path) -> Option<PathBuf> {
    let dot_git = directory.ancestors().map(|above| above.join(".git")).find(|path| path.exists())?;
    let git = match dot_git.is_dir() {
        true => dot_git,
        // A worktree's, or a submodule's: a file that names the directory.
        false => {
            let text = fs::read_to_string(&dot_git).ok()?;
            dot_git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
        }
    };
    let common = match fs::read_to_string(git.join("commondir")) {
        Ok(text) => git.join(text.trim()),
        Err(_) => git,
    };
    fs::canonicalize(common).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worktrees_share_a_project_and_others_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["main/.git/worktrees/w", "main/src/deep", "tree/src", "plain/sub", "other/.git"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("tree/.git"), format!("gitdir: {}\n", at("main/.git/worktrees/w").display())).unwrap();
        fs::write(at("main/.git/worktrees/w/commondir"), "../..\n").unwrap();

        assert_eq!(scope(&at("main")), scope(&at("main/src/deep")));
        assert_eq!(scope(&at("main")), scope(&at("tree/src")));
        assert_ne!(scope(&at("main")), scope(&at("other")));
        assert_ne!(scope(&at("plain")), scope(&at("plain/sub")), "without git each directory is one");
        assert!(scope(&at("main")).starts_with("p:") && scope(&at("main")).len() == 18);
    }
}
