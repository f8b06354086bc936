//! A light stemmer of English: enough that a question and a note about the same thing meet, not so much that different things do.
//!
//! The result is no word, only what forms of one word have in common: `migrate`, `migrates`, `migrated`, `migrating` and `migration` are
//! all `migr`. It is the same for a text that is stored and for a query, which is all that matters; so changing it means indexing anew.

/// Takes the endings off a word of lower-case letters. Words with anything else in them come back as they are.
pub fn stem(word: &str) -> &str {
    if word.len() < 3 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word;
    }
    without_e(without_at(without_ion(without_ment(without_verb_ending(singular(word))))))
}

fn singular(word: &str) -> &str {
    match word {
        _ if word.len() < 4 => word,
        _ if word.ends_with("sses") => &word[..word.len() - 2],
        _ if word.ends_with("ies") => &word[..word.len() - 2],
        _ if ["ss", "us", "is"].iter().any(|end| word.ends_with(end)) => word,
        _ if ["xes", "shes", "ches"].iter().any(|end| word.ends_with(end)) => &word[..word.len() - 2],
        _ => word.strip_suffix('s').unwrap_or(word),
    }
}

fn without_verb_ending(word: &str) -> &str {
    let ending = ["ing", "ed"].into_iter().find(|ending| word.ends_with(ending));
    let Some(stem) = ending.and_then(|ending| word.strip_suffix(ending)) else { return without_y(word) };
    if stem.len() < 2 || !has_vowel(stem) {
        return word;
    }
    let bytes = stem.as_bytes();
    match bytes {
        [.., a, b] if a == b && !b"lsz".contains(b) && bytes.len() > 3 => &stem[..stem.len() - 1],
        _ => without_y(stem),
    }
}

/// `policy`, beside `polici` of `policies`, loses its last letter too.
fn without_y(word: &str) -> &str {
    match word.as_bytes() {
        [.., before, b'y' | b'i'] if word.len() > 3 && !b"aeiou".contains(before) => &word[..word.len() - 1],
        _ => word,
    }
}

fn without_ment(word: &str) -> &str {
    word.strip_suffix("ment").filter(|stem| stem.len() >= 5).unwrap_or(word)
}

fn without_ion(word: &str) -> &str {
    word.strip_suffix("ion").filter(|stem| stem.len() >= 4 && stem.ends_with(['s', 't'])).unwrap_or(word)
}

fn without_at(word: &str) -> &str {
    let word = match word.strip_suffix("ate") {
        Some(stem) if stem.len() >= 4 => stem,
        _ => word,
    };
    word.strip_suffix("at").filter(|stem| stem.len() >= 4).unwrap_or(word)
}

fn without_e(word: &str) -> &str {
    word.strip_suffix('e').filter(|stem| stem.len() >= 2).unwrap_or(word)
}

fn has_vowel(word: &str) -> bool {
    word.bytes().any(|byte| b"aeiouy".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[track_caller]
    fn check_one(words: &[&str]) {
        let stems: Vec<_> = words.iter().map(|word| stem(word)).collect();
        assert!(stems.iter().all(|other| *other == stems[0]), "{words:?} became {stems:?}");
    }

    #[test]
    fn forms_of_a_word_meet() {
        check_one(&["migrate", "migrates", "migrated", "migrating", "migration", "migrations"]);
        check_one(&["configure", "configured", "configuring", "configuration"]);
        check_one(&["deploy", "deploys", "deployed", "deploying", "deployment", "deployments"]);
        check_one(&["policy", "policies"]);
        check_one(&["cache", "caches", "cached", "caching"]);
        check_one(&["use", "uses", "used", "using"]);
        check_one(&["ship", "ships", "shipped", "shipping"]);
        check_one(&["pass", "passes", "passed", "passing"]);
        check_one(&["test", "tests", "tested", "testing"]);
        check_one(&["connect", "connects", "connection", "connections"]);
        check_one(&["branch", "branches", "branching"]);
    }

    #[test]
    fn different_words_stay_apart() {
        for (one, other) in
            [("string", "strong"), ("bed", "bing"), ("status", "state"), ("port", "pore"), ("class", "clap")]
        {
            assert_ne!(stem(one), stem(other));
        }
        assert_eq!(stem("sing"), "sing");
        assert_eq!(stem("http2s"), "http2s", "no English");
        assert_eq!(stem("größen"), "größen");
    }
}
