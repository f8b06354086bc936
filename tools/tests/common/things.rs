//! Items that are meant to cause trouble.

use dynamite_core::{AttributeValue, Item};

/// Every kind of value, at the top and within others, and names and texts that are meant to cause trouble.
pub(crate) fn things() -> Vec<Item> {
    let number = |text: &str| AttributeValue::N(text.parse().expect("it is a number"));
    let numbers = [
        "0",
        "1",
        "-1",
        "0.1",
        "9007199254740993",
        "18446744073709551616",
        "1E-130",
        "-1E-130",
        "9.9999999999999999999999999999999999999E+125",
        "0.12345678901234567890123456789012345678",
    ];
    let mut values = vec![
        AttributeValue::Null,
        AttributeValue::Bool(true),
        AttributeValue::Bool(false),
        AttributeValue::B(Vec::new()),
        AttributeValue::B((0..=255).collect()),
        AttributeValue::string_set(["", "a", "a,b", "\"q\"", "é"]),
        AttributeValue::Ns(numbers.iter().map(|text| text.parse().expect("it is a number")).collect()),
        AttributeValue::binary_set([vec![], vec![0], vec![255; 10]]),
        AttributeValue::L(Vec::new()),
        AttributeValue::M(Item::new()),
    ];
    let texts = [
        "",
        " ",
        "null",
        "true",
        "1",
        "a\tb",
        "line\nbreak\r\n",
        "\"quoted\", and more",
        "ünï😀",
        "\u{0}\u{1f}",
        "\\\\",
        "{\"S\":\"x\"}",
        "-- no comment",
        ";",
        "=1+1",
        "\u{feff}bom",
    ];
    values.extend(texts.map(|text| AttributeValue::S(text.to_owned())));
    values.extend(numbers.map(number));
    // Maps that look like the marks of JSON.
    for name in ["$ss", "$ns", "$number", "$binary", "$$binary", "S", "Item"] {
        values.push(AttributeValue::M(Item::from([(
            name.to_owned(),
            AttributeValue::L(values[..3].to_vec()),
        )])));
    }
    values.push(AttributeValue::L(values.clone()));
    values.push(AttributeValue::M(
        values.iter().enumerate().map(|(nth, value)| (format!("v{nth}"), value.clone())).collect(),
    ));

    let mut items: Vec<Item> = values
        .iter()
        .enumerate()
        .map(|(nth, value)| {
            let key = [
                ("id".to_owned(), format!("thing {}", nth % 7).into()),
                ("n".to_owned(), (nth as u64).into()),
            ];
            // Alone in its column, and in one of all types.
            let own = (format!("of {}", value.attribute_type()), value.clone());
            key.into_iter().chain([own, ("any".to_owned(), value.clone())]).collect()
        })
        .collect();
    for (nth, name) in ["a:b", "x:N", "ünï", "", " ", "\"", ",", "\n", "#id", ":v"].into_iter().enumerate()
    {
        if name.is_empty() {
            continue;
        }
        let mut item = Item::from([("id".to_owned(), "names".into()), ("n".to_owned(), (nth as u64).into())]);
        item.insert(name.to_owned(), "a value".into());
        items.push(item);
    }
    items
}
