//! What `HELP` says, and what commands there are.

/// A command, as `HELP` explains it.
pub(crate) struct Topic {
    /// The words that it begins with.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// How it is written, and what there is to know.
    pub(crate) text: &'static str,
    /// Words that may stand in it, for those who type.
    pub(crate) clauses: &'static [&'static str],
}

/// All of them, in the order in which they are listed.
pub(crate) const TOPICS: &[Topic] = &[
    Topic { name: "LIST TABLES", summary: "the names of all tables", text: "LIST TABLES", clauses: &[] },
    Topic {
        name: "LIST KEYS",
        summary: "the partition keys of a table, each once",
        text: r#"LIST KEYS [table] [PREFIX "text"] [LIMIT n]

The first n (100) of those that begin with the text, in order."#,
        clauses: &["PREFIX", "LIMIT"],
    },
    Topic {
        name: "DESCRIBE TABLE",
        summary: "what is known of a table",
        text: "DESCRIBE [TABLE] [table]",
        clauses: &[],
    },
    Topic {
        name: "CREATE TABLE",
        summary: "makes a table",
        text: r#"CREATE TABLE name (partition_key type [, sort_key type])
    [INDEX name (key type [, key type]) [PROJECT ALL | KEYS | (attribute, ...)]]...
    [LOCAL INDEX name (sort_key type) [PROJECT ...]]...
    [TTL attribute] [STREAM view] [HISTORY duration]

A type is S (text), N (number) or B (bytes). Each part of an index's key may be up to four attributes, in parentheses.
A view is KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES; a duration is like 30s, 15m, 12h or 7d.

    CREATE TABLE events (device_id S, at N) INDEX by_kind (kind S, at N) TTL expires_at"#,
        clauses: &["INDEX", "LOCAL", "PROJECT", "ALL", "KEYS", "TTL", "STREAM", "HISTORY", "S", "N", "B"],
    },
    Topic {
        name: "ALTER TABLE",
        summary: "changes a table while it is in use",
        text: r#"ALTER TABLE name [ADD INDEX name (key type [, key type]) [PROJECT ...]] [DROP INDEX name]
    [TTL attribute | NO TTL] [STREAM view | NO STREAM] [HISTORY duration]

An index that is added can be read when all items are in it; DESCRIBE says how far that is."#,
        clauses: &["ADD", "INDEX", "DROP", "TTL", "NO", "STREAM", "HISTORY", "PROJECT"],
    },
    Topic {
        name: "DROP TABLE",
        summary: "removes a table and all its items",
        text: "DROP TABLE name",
        clauses: &[],
    },
    Topic {
        name: "USE",
        summary: "names the table that is meant where none is named",
        text: "USE table",
        clauses: &[],
    },
    Topic {
        name: "GET",
        summary: "an item by its key",
        text: r#"GET [table] partition_key [sort_key] [PROJECT path, ...] [AS OF moment] [WITH {placeholders}]

A moment is VERSION n, a time in quotes like "2026-11-26T18:30:00Z", or 5m AGO; the table must keep a history.

    GET events "d1" 100 PROJECT kind, tags[0]"#,
        clauses: &["PROJECT", "AS", "OF", "VERSION", "AGO", "WITH"],
    },
    Topic {
        name: "PUT",
        summary: "writes an item in place of whatever has its key",
        text: r#"PUT [table] {item} [IF condition] [VERSION n] [RETURN OLD] [WITH {placeholders}]

The item is JSON. What JSON lacks is {"$binary": "base64"}, {"$ss": [...]}, {"$ns": [...]} and {"$bs": [...]}. Numbers keep all their digits.
With VERSION it is written only if the item there has that version; 0 means that there must be none.

    PUT users {"id": "alice", "age": 30} IF attribute_not_exists(id)"#,
        clauses: &["IF", "VERSION", "RETURN", "OLD", "WITH"],
    },
    Topic {
        name: "UPDATE",
        summary: "changes attributes of an item",
        text: r#"UPDATE [table] partition_key [sort_key] [SET ...] [REMOVE ...] [ADD ...] [DELETE ...]
    [IF condition] [VERSION n] [RETURN OLD | NEW | UPDATED OLD | UPDATED NEW] [WITH {placeholders}]

If there is no such item, one is made of the key.

    UPDATE users "alice" SET age = age + 1, city = "Bern" REMOVE nick RETURN NEW"#,
        clauses: &[
            "SET", "REMOVE", "ADD", "DELETE", "IF", "VERSION", "RETURN", "OLD", "NEW", "UPDATED", "WITH",
        ],
    },
    Topic {
        name: "DELETE",
        summary: "deletes an item",
        text: "DELETE [table] partition_key [sort_key] [IF condition] [VERSION n] [RETURN OLD] [WITH {placeholders}]",
        clauses: &["IF", "VERSION", "RETURN", "OLD", "WITH"],
    },
    Topic {
        name: "QUERY",
        summary: "the items of one partition, in order",
        text: r#"QUERY [table] {partition_key | WHERE key_condition} [FILTER condition] [INDEX name] [ASC | DESC]
    [PROJECT path, ... | COUNT] [LIMIT n | LIMIT ALL] [FROM {cursor}] [AS OF moment] [WITH {placeholders}]

LIMIT is how many items are shown; MORE shows the next ones.

    QUERY events WHERE device_id = "d1" AND at BETWEEN 100 AND 200 FILTER kind <> "noise" DESC"#,
        clauses: &[
            "WHERE", "FILTER", "INDEX", "ASC", "DESC", "PROJECT", "COUNT", "LIMIT", "ALL", "FROM", "AS",
            "OF", "WITH",
        ],
    },
    Topic {
        name: "SCAN",
        summary: "all items of a table or of an index",
        text: r#"SCAN [table] [FILTER condition] [INDEX name] [PROJECT path, ... | COUNT] [LIMIT n | LIMIT ALL]
    [FROM {cursor}] [SEGMENT n OF m] [AS OF moment] [WITH {placeholders}]"#,
        clauses: &[
            "FILTER", "INDEX", "PROJECT", "COUNT", "LIMIT", "ALL", "FROM", "SEGMENT", "OF", "AS", "WITH",
        ],
    },
    Topic {
        name: "SELECT",
        summary: "items, in PartiQL",
        text: r#"SELECT * | path, ... FROM table[.index] [WHERE condition] [ORDER BY attribute [ASC | DESC], ...]

If WHERE says which partitions, by = or IN, those are read, and otherwise the whole table. It is shown in pages, and MORE shows the next
one. HELP PARTIQL says more.

    SELECT at, kind FROM events WHERE device_id = 'd1' AND at > 100"#,
        clauses: &[
            "FROM", "WHERE", "AND", "OR", "NOT", "IN", "BETWEEN", "IS", "MISSING", "NULL", "ORDER", "BY",
            "ASC", "DESC",
        ],
    },
    Topic {
        name: "MORE",
        summary: "the next page of the last QUERY, SCAN or SELECT",
        text: r#"MORE | MORE "cursor" SELECT ...

With a cursor, which --json tells, a SELECT goes on where a page of it has ended."#,
        clauses: &["SELECT"],
    },
    Topic {
        name: "EXPLAIN",
        summary: "what a GET, QUERY, SCAN or SELECT reads",
        text: r#"EXPLAIN GET ... | EXPLAIN QUERY ... | EXPLAIN SCAN ... | EXPLAIN SELECT ...

Does it, and says which table or index was read, how many items were looked at and shown, how many bytes they have, and how many pages
were touched."#,
        clauses: &["GET", "QUERY", "SCAN", "SELECT"],
    },
    Topic {
        name: "INSERT",
        summary: "writes an item where there is none, in PartiQL",
        text: r#"INSERT INTO table VALUE {'attribute': value, ...}

    INSERT INTO users VALUE {'id': 'alice', 'age': 30, 'tags': <<'a', 'b'>>}"#,
        clauses: &["INTO", "VALUE"],
    },
    Topic {
        name: "HISTORY",
        summary: "the versions of an item, of a table that keeps them",
        text: "HISTORY [table] partition_key [sort_key] [LIMIT n]",
        clauses: &["LIMIT"],
    },
    Topic {
        name: "RESTORE",
        summary: "puts an old version of an item back",
        text: "RESTORE [table] partition_key [sort_key] VERSION n",
        clauses: &["VERSION"],
    },
    Topic {
        name: "BEGIN",
        summary: "begins a transaction",
        text: r#"BEGIN ... COMMIT

Each PUT, UPDATE, DELETE and CHECK that follows is kept, and COMMIT does all of them, or none; ROLLBACK forgets them.
What is read meanwhile is what is in the database. A transaction may also be one of PartiQL's statements, which check by EXISTS."#,
        clauses: &[],
    },
    Topic {
        name: "CHECK",
        summary: "a condition that must hold for a transaction",
        text: "CHECK [table] partition_key [sort_key] IF condition [VERSION n] [WITH {placeholders}]",
        clauses: &["IF", "VERSION", "WITH"],
    },
    Topic { name: "COMMIT", summary: "does what was said since BEGIN", text: "COMMIT", clauses: &[] },
    Topic { name: "ROLLBACK", summary: "forgets what was said since BEGIN", text: "ROLLBACK", clauses: &[] },
    Topic { name: "STATS", summary: "what the database, or the server, counts", text: "STATS", clauses: &[] },
    Topic {
        name: "HELP",
        summary: "this list, or how a command is written",
        text: "HELP [command | PARTIQL | EXPRESSIONS]",
        clauses: &[],
    },
    Topic { name: "EXIT", summary: "ends the conversation", text: "EXIT | QUIT", clauses: &[] },
    Topic {
        name: "PARTIQL",
        summary: "the statements of PartiQL, as DynamoDB has it",
        text: r#"SELECT ... | INSERT INTO table VALUE {item}
UPDATE table SET path = value [SET ...] [REMOVE path] WHERE condition [RETURNING ALL NEW *]
DELETE FROM table WHERE condition [RETURNING ALL OLD *]
EXISTS(SELECT * FROM table WHERE condition)

Texts stand in single quotes, odd names in "double quotes", lists in [], sets in <<>>, and maps in {'name': value}. The WHERE of a write
names one item by its whole key, and what else it says must hold. EXISTS belongs between BEGIN and COMMIT."#,
        clauses: &[],
    },
    Topic {
        name: "EXPRESSIONS",
        summary: "how conditions, updates and paths are written",
        text: r##"Conditions, updates and projections are DynamoDB's expressions: =, <>, <, <=, >, >=, BETWEEN, IN, AND, OR, NOT,
attribute_exists, attribute_not_exists, attribute_type, begins_with, contains, size; SET, REMOVE, ADD, DELETE, if_not_exists,
list_append. Values stand in them as JSON or in 'single quotes', and odd names in `backquotes`. Placeholders are welcome too:

    SCAN users FILTER #a > :min WITH {"#a": "age", ":min": 18}

A statement ends with its line, unless a bracket or a single quote is open or the line ends with a backslash. Several statements
in a line are separated by semicolons. What stands behind -- is a comment."##,
        clauses: &[],
    },
];

/// The topic of that name, or of a name that begins with it.
pub(crate) fn find(asked: &str) -> Option<&'static Topic> {
    let asked = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    let exact = TOPICS.iter().find(|topic| topic.name == asked);
    exact.or_else(|| TOPICS.iter().find(|topic| topic.name.split(' ').next() == Some(&asked[..])))
}

/// What `HELP` alone says.
pub(crate) fn list() -> String {
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let lines = TOPICS.iter().map(|topic| format!("{:width$}  {}\n", topic.name, topic.summary));
    lines.collect::<String>() + "\nHELP and a command says how it is written."
}
