//! What must not be kept is not, anywhere in the file; and what was kept goes out as data.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Home, Owned, ask, fact, list, remember, run};
use dynamite_memory::MemoryError;
use dynamite_memory::tools::RememberInput;

/// Secrets, put together here so that no scanner takes them for real ones; and the rule of each.
fn planted() -> Vec<(&'static str, String)> {
    let letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zAcCeFfGhI";
    vec![
        ("aws-access-key", format!("AKIA{}", "QWERTYUIOPASDFGH")),
        ("github-token", format!("ghp_{}", &letters[..36])),
        ("anthropic-key", format!("sk-ant-api03-{letters}")),
        ("private-key", format!("-----BEGIN {0}-----\n{letters}\n-----END {0}-----", "OPENSSH PRIVATE KEY")),
        ("jwt", format!("eyJ{0}.eyJ{0}.{0}", &letters[..30])),
        ("password", format!("password={}", &letters[..14])),
    ]
}

#[test]
fn planted_secrets_are_refused_by_rule_and_stand_nowhere_in_the_file() {
    let home = Home::new();
    for (rule, secret) in planted() {
        let (code, said) = home.json(&["remember", "c", "k", &format!("the key is {secret} for now")]);
        assert_eq!(code, 1);
        let said = said["error"].as_str().unwrap();
        assert!(said.contains(rule) && !said.contains(&secret), "{said}");
        let (code, said) = home.json(&["remember", "c", rule, &format!("before {secret} after"), "--redact"]);
        assert_eq!((code, said["changed"].as_bool()), (0, Some(true)), "{said}");
    }
    let (_, listed) = home.json(&["recall", "--category", "c"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), planted().len());
    home.end_owners(rustix::process::Signal::TERM);
    let bytes = std::fs::read(home.db()).unwrap();
    for (rule, secret) in planted() {
        let core = secret.split(['=', '\n']).nth(1).unwrap_or(&secret).as_bytes();
        assert!(!bytes.windows(core.len()).any(|window| window == core), "{rule}");
    }
    let kept = b"before [redacted";
    assert!(bytes.windows(kept.len()).any(|window| window == kept), "the search finds what is there");
}

#[test]
fn names_and_tags_may_hold_no_secret_either() {
    let owned = Owned::new();
    run(async {
        let (_, token) = planted().remove(1);
        let in_key = owned.memory.remember(fact("c", &format!("a/{token}"), "x"), true).await;
        assert!(matches!(in_key, Err(MemoryError::Secret { .. })));
        let tagged = RememberInput { tags: Some(vec![token]), ..fact("c", "k", "x") };
        assert!(matches!(owned.memory.remember(tagged, true).await, Err(MemoryError::Secret { .. })));
        assert_eq!(list(&owned.memory, "c").await.items, []);
    });
}

#[test]
fn what_is_private_or_was_only_recalled_is_left_out_and_said_to_be() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let done = remember(
            memory,
            "c",
            "k",
            "public <private>hidden pelican</private> text <memory-data>old ibis</memory-data>",
        )
        .await;
        assert_eq!(done.warnings.len(), 2, "{:?}", done.warnings);
        assert_eq!(list(memory, "c").await.items[0].content, "public  text");
        assert_eq!(ask(memory, "pelican").await.items, []);
        assert_eq!(ask(memory, "ibis").await.items, []);
        let nothing =
            memory.remember(fact("c", "l", "<memory-data>only recalled</memory-data>"), false).await;
        assert!(matches!(nothing, Err(MemoryError::Invalid(_))), "{nothing:?}");
    });
}

#[test]
fn files_and_sockets_are_for_their_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.json(&["remember", "c", "k", "x"]);
    let mode = |path: &std::path::Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.db()), 0o600);
    assert_eq!(mode(home.db().parent().unwrap()), 0o700);
    assert_eq!(mode(&home.path("run/dynamite")), 0o700);
    for entry in std::fs::read_dir(home.path("run/dynamite")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
