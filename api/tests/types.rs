//! Key types and schemas: what is accepted, and what is said when it is not.

use dynamite_core::types::{KeyAttribute, KeySchema, KeyType, MAX_KEY_NAME_LEN, SchemaError};

fn attribute(name: &str) -> KeyAttribute {
    KeyAttribute::new(name, KeyType::String).unwrap()
}

#[test]
fn types_have_dynamodbs_letters_both_ways() {
    for (key_type, letter) in [(KeyType::String, "S"), (KeyType::Number, "N"), (KeyType::Binary, "B")] {
        assert_eq!(key_type.letter(), letter);
        assert_eq!(key_type.to_string(), letter);
        assert_eq!(letter.parse(), Ok(key_type));
    }
    for letter in ["", "s", "SS", "BOOL", " S"] {
        assert_eq!(
            letter.parse::<KeyType>().unwrap_err().to_string(),
            format!(
                "Value '{letter}' at 'attributeType' failed to satisfy constraint: \
                Member must satisfy enum value set: [B, N, S]"
            )
        );
    }
}

#[test]
fn names_of_key_attributes_have_1_to_255_bytes() {
    for name in ["a".to_owned(), "a".repeat(MAX_KEY_NAME_LEN), "ÿ".repeat(127)] {
        assert_eq!(attribute(&name).name(), name);
    }
    assert_eq!(
        KeyAttribute::new("", KeyType::Number).unwrap_err().to_string(),
        "Value '' at 'attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1"
    );
    // 128 characters, but 256 bytes.
    for name in ["a".repeat(256), "ÿ".repeat(128)] {
        assert_eq!(
            KeyAttribute::new(name.as_str(), KeyType::Number).unwrap_err().to_string(),
            format!(
                "Value '{name}' at 'attributeName' failed to satisfy constraint: \
                Member must have length less than or equal to 255"
            )
        );
    }
}

#[test]
fn the_attributes_of_a_key_differ() {
    let names =
        |schema: &KeySchema| schema.attributes().map(|part| part.name().to_owned()).collect::<Vec<_>>();
    let alone = KeySchema::new(attribute("id"), None).unwrap();
    assert_eq!((names(&alone), alone.sort_key()), (vec!["id".to_owned()], None));

    let time = KeyAttribute::new("time", KeyType::Number).unwrap();
    let both = KeySchema::new(attribute("id"), Some(time.clone())).unwrap();
    assert_eq!(names(&both), ["id", "time"]);
    assert_eq!(both.partition_key(), &attribute("id"));
    assert_eq!(both.sort_key().map(KeyAttribute::key_type), Some(KeyType::Number));

    // The type makes no difference.
    let same = KeySchema::new(attribute("time"), Some(time)).unwrap_err();
    assert_eq!(same, SchemaError::SameName);
    assert_eq!(
        same.to_string(),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name"
    );
}
