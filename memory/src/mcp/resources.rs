//! Memories as resources: `memory://project/notes` is a category, `memory://project/notes/db/pool-size` a memory in it.

use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};

use crate::client::{Memory, answer};
use crate::error::{MemoryError, Result};
use crate::request::{Discover, Discovered, Entry, Get, Recall, Recalled, Request, Scope};
use crate::text::fence;

/// Tokens of a category that is read as a whole.
const MOST_TOKENS: usize = 8000;

/// How the address of every resource begins.
const SCHEME: &str = "memory://";

/// The scopes, as addresses have them.
pub(super) const SCOPES: [(&str, Scope); 2] = [("project", Scope::Project), ("global", Scope::Global)];

/// The categories.
pub(super) async fn list(memory: &Memory) -> Result<ListResourcesResult> {
    let mut all = Vec::new();
    for (name, scope) in SCOPES {
        for category in categories(memory, scope).await? {
            let resource =
                Resource::new(format!("{SCHEME}{name}/{}", category.0), format!("{name}/{}", category.0));
            all.push(
                resource.with_description(format!("{} memories", category.1)).with_mime_type("text/plain"),
            );
        }
    }
    Ok(ListResourcesResult::with_all_items(all))
}

/// The categories of a scope, and how many memories each has.
pub(super) async fn categories(memory: &Memory, scope: Scope) -> Result<Vec<(String, u64)>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let discover =
            Discover { scopes: memory.chosen(Some(scope)), cursor, depth: 1, ..Discover::default() };
        let found: Discovered = answer!(memory, Request::Discover(discover), Discovered)?;
        all.extend(found.categories.into_iter().flatten().map(|category| (category.name, category.count)));
        cursor = found.cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// How the addresses are made.
pub(super) fn templates() -> ListResourceTemplatesResult {
    ListResourceTemplatesResult::with_all_items(vec![
        ResourceTemplate::new(format!("{SCHEME}{{scope}}/{{category}}"), "category")
            .with_description("All memories of a category; scope is project or global")
            .with_mime_type("text/plain"),
        ResourceTemplate::new(format!("{SCHEME}{{scope}}/{{category}}/{{+key}}"), "memory")
            .with_description("One memory")
            .with_mime_type("text/plain"),
    ])
}

/// What is at an address.
pub(super) async fn read(memory: &Memory, uri: &str) -> Result<ReadResourceResult> {
    let not_found = || MemoryError::NotFound { what: format!("resource {}", crate::key::shortened(uri)) };
    let path = uri.strip_prefix(SCHEME).ok_or_else(not_found)?;
    let (scope, path) = path.split_once('/').ok_or_else(not_found)?;
    let (_, scope) = SCOPES.into_iter().find(|(name, _)| *name == scope).ok_or_else(not_found)?;
    let scopes = memory.chosen(Some(scope));
    let text = match path.split_once('/') {
        Some((category, key)) if !key.is_empty() => {
            let key = percent_decode(key).ok_or_else(not_found)?;
            let get = Get { scopes, category: category.to_owned(), key };
            let found: Option<Entry> = answer!(memory, Request::Get(get), Got)?;
            fence::fence(&found.ok_or_else(not_found)?.content)
        }
        _ => {
            let category = path.trim_end_matches('/').to_owned();
            let recall = Recall {
                scopes,
                category: Some(category),
                limit: 50,
                max_tokens: MOST_TOKENS,
                ..Recall::default()
            };
            let recalled: Recalled = answer!(memory, Request::Recall(recall), Recalled)?;
            if recalled.items.is_empty() {
                return Err(not_found());
            }
            page(&recalled)
        }
    };
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri)]))
}

/// Memories, one below the other, behind the fence.
pub(super) fn page(recalled: &Recalled) -> String {
    let mut text = String::new();
    for item in &recalled.items {
        let cut = if item.truncated { " […]" } else { "" };
        text += &format!(
            "{}/{} (v{}, {})\n{}{cut}\n\n",
            item.category,
            item.key,
            item.version,
            &item.updated[..10],
            item.content
        );
    }
    if recalled.more {
        text += "(there are more; recall them)\n";
    }
    fence::fence(text.trim_end())
}

/// What `%2F` and its like stand for.
fn percent_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            decoded.push(u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok()?);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::percent_decode;

    #[test]
    fn an_address_is_decoded() {
        assert_eq!(percent_decode("a%20b/c%C3%A9").as_deref(), Some("a b/cé"));
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(percent_decode(wrong), None, "{wrong}");
        }
    }
}
