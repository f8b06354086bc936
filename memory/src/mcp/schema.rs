//! The tools as a model sees them. Every word of this is paid for by every session, so there are few; a test counts them.
//!
//! The schemas say what [`tools`](crate::tools) takes and [`request`](crate::request) returns; another test holds them against each other.

use std::sync::{Arc, OnceLock};

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Value, json};

/// The four tools.
pub fn tools() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| vec![remember(), recall(), discover(), forget()])
}

fn tool(
    name: &'static str,
    description: &'static str,
    input: Value,
    output: Value,
    hints: ToolAnnotations,
) -> Tool {
    let object = |schema: Value| match schema {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    };
    let mut tool = Tool::new(name, description, object(input)).with_annotations(hints.open_world(false));
    tool.output_schema = Some(object(output));
    tool
}

/// An object with these properties, and no others where it is what a model writes.
fn input(properties: Value, required: &[&str]) -> Value {
    match required {
        [] => json!({"type": "object", "properties": properties, "additionalProperties": false}),
        _ => {
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
        }
    }
}

fn output(properties: Value, required: &[&str]) -> Value {
    match required {
        [] => json!({"type": "object", "properties": properties}),
        _ => json!({"type": "object", "properties": properties, "required": required}),
    }
}

fn list(properties: Value) -> Value {
    json!({"type": "array", "items": {"type": "object", "properties": properties}})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn count() -> Value {
    json!({"type": "integer"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn scope() -> Value {
    json!({"type": "string", "enum": ["project", "global"]})
}

fn remember() -> Tool {
    tool(
        "remember",
        "Store or correct one fact",
        input(
            json!({
                // Said once; what is read or forgotten was remembered before.
                "category": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
                "key": {"type": "string", "description": "path: db/pool-size"},
                "content": text(),
                "tags": {"type": "array", "items": text()},
                "importance": {"type": "integer", "minimum": 0, "maximum": 3},
                "ttl": {"type": "string", "description": "24h, 7d, 2w"},
                "scope": scope(),
                "mode": {"type": "string", "enum": ["upsert", "create", "append"]},
                "if_version": count(),
            }),
            &["category", "key", "content"],
        ),
        output(
            json!({
                "category": text(),
                "key": text(),
                "version": count(),
                "created": flag(),
                "changed": flag(),
                "similar": list(json!({"key": text(), "score": {"type": "number"}})),
                "warnings": {"type": "array", "items": text()},
            }),
            &["key", "version"],
        ),
        ToolAnnotations::new().read_only(false).destructive(false).idempotent(true),
    )
}

fn recall() -> Tool {
    tool(
        "recall",
        "Search by query, or list a category",
        input(
            json!({
                "category": text(),
                "prefix": text(),
                "query": {"type": "string", "description": "question or words"},
                "limit": {"type": "integer", "default": 8},
                "max_tokens": {"type": "integer", "default": 1500},
                "cursor": text(),
                "scope": scope(),
            }),
            &[],
        ),
        output(
            json!({
                "items": list(json!({
                    "category": text(),
                    "key": text(),
                    "content": text(),
                    "version": count(),
                    "updated": text(),
                    "score": {"type": "number"},
                    "truncated": flag(),
                })),
                "more": flag(),
                "cursor": text(),
            }),
            &["items", "more"],
        ),
        ToolAnnotations::new().read_only(true),
    )
}

fn discover() -> Tool {
    tool(
        "discover",
        "List categories, or the key tree of one",
        input(
            json!({
                "category": text(),
                "prefix": text(),
                "depth": {"type": "integer", "minimum": 1, "maximum": 4},
                "cursor": text(),
            }),
            &[],
        ),
        output(
            json!({
                "categories": list(json!({"name": text(), "count": count(), "updated": text()})),
                "keys": list(json!({"prefix": text(), "count": count(), "leaf": flag()})),
                "cursor": text(),
            }),
            &[],
        ),
        ToolAnnotations::new().read_only(true),
    )
}

fn forget() -> Tool {
    tool(
        "forget",
        "Delete a key, or all below prefix; restorable for 30 days unless purged",
        input(
            json!({
                "category": text(),
                "key": text(),
                "prefix": text(),
                "recursive": flag(),
                "if_version": count(),
                "purge": flag(),
            }),
            &["category"],
        ),
        output(json!({"forgotten": count(), "restorable_until": text()}), &["forgotten"]),
        ToolAnnotations::new().read_only(false).destructive(true).idempotent(true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::INSTRUCTIONS;
    use crate::text::tokens;
    use crate::tools::{DiscoverInput, ForgetInput, RecallInput, RememberInput};

    #[test]
    fn a_session_pays_little_for_the_tools() {
        let schemas = serde_json::to_string(tools()).unwrap();
        let tokens = tokens::count(&schemas);
        assert!(tokens <= 1200, "{tokens} tokens: {schemas}");
        assert!(INSTRUCTIONS.chars().count() <= 600, "{}", INSTRUCTIONS.chars().count());
    }

    /// What the schema allows is taken, and what it does not know is refused.
    #[track_caller]
    fn check<T: serde::de::DeserializeOwned + std::fmt::Debug>(name: &str) {
        let tool = tools().iter().find(|tool| tool.name == name).unwrap();
        let properties = tool.input_schema["properties"].as_object().unwrap();
        let example = |schema: &Value| match (schema["type"].as_str().unwrap(), schema["enum"].get(0)) {
            (_, Some(value)) => value.clone(),
            ("string", _) => json!("x"),
            ("integer", _) => json!(1),
            ("boolean", _) => json!(true),
            _ => json!(["x"]),
        };
        let mut all: serde_json::Map<String, Value> =
            properties.iter().map(|(name, schema)| (name.clone(), example(schema))).collect();
        serde_json::from_value::<T>(Value::Object(all.clone())).unwrap();
        all.insert("other".to_owned(), json!(1));
        serde_json::from_value::<T>(Value::Object(all)).unwrap_err();
    }

    #[test]
    fn the_schemas_say_what_is_taken() {
        check::<RememberInput>("remember");
        check::<RecallInput>("recall");
        check::<DiscoverInput>("discover");
        check::<ForgetInput>("forget");
    }
}
