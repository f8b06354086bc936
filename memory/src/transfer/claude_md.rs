//! `CLAUDE.md` and its like: Markdown in which each section says one thing.

use crate::request::Remember;
use crate::transfer::{parts, slug};

/// The category of what comes from there.
const CATEGORY: &str = "claude-md";

/// A memory for each section that says something: its key are the headings above it, its text what stands below them.
pub fn read(text: &str, scope: &str) -> Vec<Remember> {
    let mut sections: Vec<(Vec<(usize, String)>, String)> = vec![(Vec::new(), String::new())];
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        let is_heading = !in_code && (1..=6).contains(&level) && line[level..].starts_with(' ');
        let last = sections.len() - 1;
        if is_heading {
            let mut path = sections[last].0.clone();
            path.retain(|(above, _)| *above < level);
            path.push((level, line[level..].trim().to_owned()));
            sections.push((path, String::new()));
        } else {
            sections[last].1.push_str(line);
            sections[last].1.push('\n');
        }
    }
    let mut all: Vec<Remember> = Vec::new();
    for (path, body) in sections {
        let segments: Vec<String> =
            path.iter().map(|(_, title)| slug(title, 60)).filter(|segment| !segment.is_empty()).collect();
        let mut key = if segments.is_empty() { "intro".to_owned() } else { segments.join("/") };
        // Two sections of one name are two memories.
        let same =
            all.iter().filter(|other| other.key == key || other.key.starts_with(&format!("{key}~"))).count();
        if same > 0 {
            key += &format!("~{}", same + 1);
        }
        let heading = path.last().map(|(_, title)| format!("{title}\n")).unwrap_or_default();
        for (number, part) in (1..).zip(parts(&body)) {
            all.push(Remember {
                scope: scope.to_owned(),
                category: CATEGORY.to_owned(),
                key: if number == 1 { key.clone() } else { format!("{key}/{number}") },
                content: if number == 1 && heading.len() + part.len() < 8192 {
                    format!("{heading}{part}")
                } else {
                    part.to_owned()
                },
                ..Remember::default()
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_is_a_memory() {
        let text = "Hello.\n\n# Build\nUse make.\n\n## Tests\n```sh\n# no heading\nmake test\n```\n\n# Build\nAgain.\n\n# Empty\n";
        let all = read(text, "global");
        let keys: Vec<_> = all.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["intro", "build", "build/tests", "build~2"]);
        assert!(all[2].content.contains("# no heading"));
    }
}
