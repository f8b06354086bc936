//! Secrets that are recognised with high confidence. What is found is named by its rule and never repeated.
//!
//! Each rule looks for a form that hardly anything but a secret has: a prefix that its issuer chose for that purpose and a length, or a name like
//! `password` before a value that looks drawn rather than written.

use std::ops::Range;

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The rule that found it.
    pub rule: &'static str,
    /// Where it is.
    pub range: Range<usize>,
}

/// A token that is known by its prefix: the rule, the prefix, the bytes that it may have behind, and how many at least.
type Prefixed = (&'static str, &'static str, fn(u8) -> bool, usize);

const PREFIXED: &[Prefixed] = &[
    ("aws-access-key", "AKIA", upper, 16),
    ("aws-access-key", "ASIA", upper, 16),
    ("github-token", "ghp_", word, 36),
    ("github-token", "gho_", word, 36),
    ("github-token", "ghu_", word, 36),
    ("github-token", "ghs_", word, 36),
    ("github-token", "ghr_", word, 36),
    ("github-token", "github_pat_", word, 40),
    ("gitlab-token", "glpat-", dashed, 20),
    ("anthropic-key", "sk-ant-", dashed, 20),
    ("openai-key", "sk-proj-", dashed, 40),
    ("slack-token", "xoxb-", dashed, 20),
    ("slack-token", "xoxp-", dashed, 20),
    ("slack-token", "xapp-", dashed, 20),
    ("stripe-key", "sk_live_", word, 20),
    ("stripe-key", "rk_live_", word, 20),
    ("google-api-key", "AIza", dashed, 35),
    ("npm-token", "npm_", word, 36),
    ("pypi-token", "pypi-AgEI", dashed, 40),
];

/// Names before `=` or `:` behind which a value is a secret.
const NAMES: &[(&str, &str)] = &[
    ("password", "password"),
    ("passwd", "password"),
    ("passphrase", "password"),
    ("pwd", "password"),
    ("secret_access_key", "aws-secret-key"),
    ("secretaccesskey", "aws-secret-key"),
    ("client_secret", "secret"),
    ("secret_key", "secret"),
    ("secret", "secret"),
    ("api_key", "api-key"),
    ("apikey", "api-key"),
    ("api-key", "api-key"),
    ("access_token", "token"),
    ("auth_token", "token"),
    ("token", "token"),
];

/// All secrets of a text, in order, none within another.
pub fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (rule, prefix, follows, least) in PREFIXED {
        for (at, _) in text.match_indices(prefix) {
            let end = run(text, at + prefix.len(), *follows);
            if end - at - prefix.len() >= *least && starts_word(text, at) {
                found.push(Found { rule, range: at..end });
            }
        }
    }
    private_keys(text, &mut found);
    web_tokens(text, &mut found);
    url_passwords(text, &mut found);
    named(text, &mut found);
    found.sort_by_key(|found| (found.range.start, usize::MAX - found.range.end));
    let mut end = 0;
    found.retain(|found| {
        let apart = found.range.start >= end;
        end = end.max(found.range.end);
        apart
    });
    found
}

/// A text with each secret replaced by the name of its rule.
pub fn redact(text: &str) -> (String, Vec<&'static str>) {
    let (mut left, mut at, mut rules) = (String::with_capacity(text.len()), 0, Vec::new());
    for Found { rule, range } in find(text) {
        left.push_str(&text[at..range.start]);
        left.push_str(&format!("[redacted: {rule}]"));
        at = range.end;
        rules.push(rule);
    }
    left.push_str(&text[at..]);
    (left, rules)
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn dashed(byte: u8) -> bool {
    word(byte) || byte == b'-'
}

/// Where a run of such bytes ends.
fn run(text: &str, from: usize, follows: fn(u8) -> bool) -> usize {
    from + text.as_bytes()[from..].iter().take_while(|byte| follows(**byte)).count()
}

fn starts_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// `-----BEGIN … PRIVATE KEY-----`, to the end of the block, or of the text.
fn private_keys(text: &str, found: &mut Vec<Found>) {
    for (at, begin) in text.match_indices("-----BEGIN ") {
        let Some(title_end) = text[at + begin.len()..].find("-----").map(|end| at + begin.len() + end) else {
            continue;
        };
        let title = &text[at + begin.len()..title_end];
        if !(title.ends_with("PRIVATE KEY") || title.ends_with("PRIVATE KEY BLOCK")) || title.contains('\n') {
            continue;
        }
        let closing = format!("-----END {title}-----");
        let end = text[title_end..].find(&closing).map_or(text.len(), |end| title_end + end + closing.len());
        found.push(Found { rule: "private-key", range: at..end });
    }
}

/// JSON web tokens: three parts in base64, the first two of which begin with `{"`.
fn web_tokens(text: &str, found: &mut Vec<Found>) {
    for (at, _) in text.match_indices("eyJ") {
        let header = run(text, at, dashed);
        let Some(rest) = text[header..].strip_prefix(".eyJ") else { continue };
        let payload = run(text, text.len() - rest.len(), dashed);
        if !text[payload..].starts_with('.') || !starts_word(text, at) {
            continue;
        }
        let end = run(text, payload + 1, dashed);
        if end - payload > 16 {
            found.push(Found { rule: "jwt", range: at..end });
        }
    }
}

/// `scheme://user:password@host`.
fn url_passwords(text: &str, found: &mut Vec<Found>) {
    for (at, separator) in text.match_indices("://") {
        let from = at + separator.len();
        let authority = &text[from..from
            + text[from..]
                .find(|c: char| c.is_whitespace() || "/?#\"'<>`".contains(c))
                .unwrap_or(text.len() - from)];
        let Some((user, _)) = authority.rsplit_once('@') else { continue };
        let Some((name, password)) = user.split_once(':') else { continue };
        if !is_placeholder(password) && password.len() >= 6 && !is_common(password) {
            let start = from + name.len() + 1;
            found.push(Found { rule: "url-password", range: start..start + password.len() });
        }
    }
}

/// `password = value`, in its many spellings, where the value is no word.
fn named(text: &str, found: &mut Vec<Found>) {
    let lower = text.to_ascii_lowercase();
    for (name, rule) in NAMES {
        for (at, _) in lower.match_indices(name) {
            let after = at + name.len();
            let rest = text[after..].trim_start_matches(['"', '\'', '`', ' ', '\t', ')', ']']);
            let Some(rest) = rest.strip_prefix(['=', ':']) else { continue };
            let value = rest.trim_start_matches(['=', '>', '"', '\'', '`', ' ', '\t']);
            let start = text.len() - value.len();
            let end = start
                + value
                    .find(|c: char| c.is_whitespace() || "\"'`,;<>(){}".contains(c))
                    .unwrap_or(value.len());
            let value = &text[start..end];
            if looks_drawn(value) || (*rule == "aws-secret-key" && is_aws_secret(value)) {
                found.push(Found { rule, range: start..end });
            }
        }
    }
}

/// Whether a value looks as if it had been drawn: long enough, of several kinds of characters, and with little repetition.
fn looks_drawn(value: &str) -> bool {
    let value = value.trim_end_matches(['.', ',', ')']);
    let kinds = [
        value.bytes().any(|byte| byte.is_ascii_lowercase()),
        value.bytes().any(|byte| byte.is_ascii_uppercase()),
        value.bytes().any(|byte| byte.is_ascii_digit()),
        value.bytes().any(|byte| byte.is_ascii_punctuation()),
    ];
    let kinds = kinds.into_iter().filter(|kind| *kind).count();
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    // A path or a call says where a secret is, not what it is.
    let is_reference =
        value.contains("://") || value.starts_with(['/', '$', '~', '%', '*', '[']) || value.contains("::");
    value.len() >= 8
        && kinds >= 2
        && has_digit
        && entropy(value) >= 2.75
        && !is_reference
        && !is_placeholder(value)
}

/// Whether a value has the form of AWS's secret keys: forty characters of base64, of which one in 64 begins as a path does.
fn is_aws_secret(value: &str) -> bool {
    let value = value.trim_end_matches(['.', ',']);
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+');
    value.len() == 40
        && value.bytes().all(is_base64)
        && value.bytes().any(|byte| byte.is_ascii_lowercase())
        && value.bytes().any(|byte| byte.is_ascii_uppercase())
        && entropy(value) >= 2.75
        && !is_placeholder(value)
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    value.starts_with(['$', '<', '{', '%', '*', '['])
        || ["xxx", "***", "...", "your", "example", "placeholder", "redacted", "changeme", "env."]
            .iter()
            .any(|word| lower.contains(word))
}

/// What everybody writes in a tutorial.
fn is_common(password: &str) -> bool {
    ["password", "postgres", "secret", "root", "admin", "user"]
        .contains(&password.to_ascii_lowercase().as_str())
}

/// Bits of a character, by how often each occurs.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let len = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|&count| f64::from(count) / len)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, rules: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|found| found.rule).collect();
        assert_eq!(found, rules, "{text}");
        let (left, _) = redact(text);
        assert!(find(&left).is_empty(), "{left}");
    }

    // The secrets of these tests are put together here, so that no scanner of repositories takes them for real ones.
    fn long(prefix: &str, len: usize) -> String {
        let letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zAcCeFfGhIiJkLlMnOoPqRrStTuUvV";
        format!("{prefix}{}", &letters[..len])
    }

    #[test]
    fn tokens_are_known_by_their_prefixes() {
        check(&format!("the key is AKIA{} ok", "IOSFODNN7ABCDEFG"), &["aws-access-key"]);
        check(&long("use ghp_", 36), &["github-token"]);
        check(&long("github_pat_", 50), &["github-token"]);
        check(&long("sk-ant-api03-", 40), &["anthropic-key"]);
        check(&format!("{} and {}", long("glpat-", 20), long("npm_", 36)), &["gitlab-token", "npm-token"]);
        check("AKIA is the prefix of access keys, ghp_ that of GitHub's", &[]);
        check(&long("risk-ant-", 40).replace("risk", "bri_sk"), &[]);
    }

    #[test]
    fn keys_and_web_tokens_are_known_by_their_form() {
        let block = format!("-----BEGIN RSA {0}-----\nMIIEow\n-----END RSA {0}-----", "PRIVATE KEY");
        check(&format!("a {block} b"), &["private-key"]);
        assert_eq!(redact(&format!("a {block} b")).0, "a [redacted: private-key] b");
        check(&format!("-----BEGIN {}-----\nMIIEow", "PRIVATE KEY"), &["private-key"]);
        check("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", &[]);
        check(&format!("{}.{}.{}", long("eyJ", 30), long("eyJ", 30), long("", 30)), &["jwt"]);
    }

    #[test]
    fn what_follows_a_telling_name_is_judged_by_its_looks() {
        check("password=hT7$kq9Lw2", &["password"]);
        check("DB_PASSWORD: \"x9Kd83mQz1\"", &["password"]);
        check(&format!("aws_secret_access_key = {}", long("", 40)), &["aws-secret-key"]);
        check(&format!("aws_secret_access_key = /{}", long("", 39)), &["aws-secret-key"]);
        check(&format!("the secret_access_key: /{}.", long("", 39)), &["aws-secret-key"]);
        check("postgres://app:s3cr3tPa55@db/app", &["url-password"]);
        check("api_key => 'a8f5f167f44f4964e6c998de'", &["api-key"]);
        for harmless in [
            "the password is in 1Password, item db/prod",
            "password: ask the team",
            "password=${DB_PASSWORD}",
            "set password=<your password 123>",
            "postgres://postgres:postgres@localhost/test",
            "token budget: 1200 tokens",
            "token: see docs/auth2.md for how",
            "the secret: keep functions small",
            "PASSWORD=changeme123",
            "token=std::env::var(X1)",
            "secret_access_key: /run/secrets/aws/production1/secret_key0",
            "secret_access_key: /etc/aws/Key1",
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ] {
            check(harmless, &[]);
        }
    }
}
