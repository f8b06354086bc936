//! From the text of a statement to the [`Statement`]: what each command may say, and in which words.
//!
//! Keywords are in whatever case, and clauses in whatever order. `parse_table` reads what defines and changes tables, `expression` reads
//! expressions, and `text` reads the rest.

use dynamite_core::api::ReturnValues;
use dynamite_core::{AttributeValue, Item};

use crate::console::statement::{
    AsOf, Check, Delete, Explained, Get, ItemKey, Keys, Limit, Moment, PartiQl, Placeholders, Put, Read,
    Statement, Terms, Update, Way,
};
use crate::console::text::{Result, SyntaxError, Text};
use crate::console::{expression, help, parse_table};

/// Partition keys that are listed if nothing else is said.
const DEFAULT_KEY_COUNT: usize = 100;

/// Reads one statement.
pub(crate) fn parse(text: &str) -> Result<Statement> {
    let mut text = Text::new(text);
    let begin = {
        text.rest();
        text.at
    };
    let Some(command) = text.peek_word().map(str::to_ascii_uppercase) else {
        return Err(text.expected("a command (HELP lists them)"));
    };
    if is_partiql(&command, text.clone()) {
        return Ok(Statement::PartiQl(partiql(&mut text)));
    }
    text.at += command.len();
    let statement = match &command[..] {
        "HELP" => parse_help(&mut text)?,
        "USE" => Statement::Use(text.table_name("a table's name")?),
        "LIST" => parse_list(&mut text)?,
        "DESCRIBE" => {
            text.keyword("TABLE");
            Statement::Describe(text.optional_table()?)
        }
        "CREATE" => Statement::CreateTable(Box::new(parse_table::create(&mut text)?)),
        "ALTER" => Statement::AlterTable(Box::new(parse_table::alter(&mut text)?)),
        "DROP" => {
            text.expect_keyword("TABLE")?;
            Statement::DropTable(text.table_name("the table's name")?)
        }
        "GET" => Statement::Get(parse_get(&mut text)?),
        "PUT" => Statement::Put(parse_put(&mut text)?),
        "UPDATE" => Statement::Update(parse_update(&mut text)?),
        "DELETE" => Statement::Delete(parse_delete(&mut text)?),
        "CHECK" => Statement::Check(parse_check(&mut text)?),
        "QUERY" => Statement::Read(Box::new(parse_query(&mut text)?)),
        "SCAN" => Statement::Read(Box::new(parse_scan(&mut text)?)),
        "MORE" => parse_more(&mut text)?,
        "EXPLAIN" => parse_explain(&mut text)?,
        "HISTORY" => {
            let of = item_key(&mut text)?;
            let limit = if text.keyword("LIMIT") { Some(text.count("how many versions")?) } else { None };
            Statement::History { of, limit }
        }
        "RESTORE" => {
            let of = item_key(&mut text)?;
            text.expect_keyword("VERSION")?;
            Statement::Restore { of, version: text.number("a version")? }
        }
        "BEGIN" => Statement::Begin,
        "COMMIT" => Statement::Commit,
        "ROLLBACK" => Statement::Rollback,
        "STATS" => Statement::Stats,
        "EXIT" | "QUIT" => Statement::Exit,
        _ => {
            let message = format!("{command} is no command; HELP lists them");
            return Err(SyntaxError { position: begin, message });
        }
    };
    text.end("the end of the statement")?;
    Ok(statement)
}

/// Whether a statement is one of PartiQL and none of the console's own, which shares two of its words with it: `UPDATE` and `DELETE`
/// are told apart by what follows the table.
fn is_partiql(command: &str, mut text: Text<'_>) -> bool {
    text.at += command.len();
    match command {
        "SELECT" | "INSERT" | "EXISTS" => true,
        "DELETE" => text.keyword("FROM"),
        // In double quotes it is a table there, and a key here; only there does WHERE follow.
        "UPDATE" if text.peek() == Some('"') => {
            let mut placeholders = Placeholders::default();
            text.value("a table").is_ok()
                && expression::read(&mut text, "an update", &mut placeholders).is_ok()
                && text.keyword("WHERE")
        }
        "UPDATE" => {
            let names_table = text.optional_table().is_ok_and(|table| table.is_some());
            names_table && (text.keyword("SET") || text.keyword("REMOVE"))
        }
        _ => false,
    }
}

/// What is left, which is PartiQL.
fn partiql(text: &mut Text<'_>) -> PartiQl {
    text.rest();
    let (begin, rest) = (text.at, &text.text[text.at..]);
    text.at = text.text.len();
    PartiQl { text: rest.trim_end().to_owned(), begin }
}

fn parse_more(text: &mut Text<'_>) -> Result<Statement> {
    if text.is_at_end() {
        return Ok(Statement::More(None));
    }
    let position = text.at;
    let AttributeValue::S(cursor) = text.value("the cursor of a SELECT, in quotes")? else {
        let message =
            "the cursor of a SELECT is a text; that of a QUERY or a SCAN goes behind FROM".to_owned();
        return Err(SyntaxError { position, message });
    };
    if !text.peek_word().is_some_and(|word| word.eq_ignore_ascii_case("SELECT")) {
        return Err(text.expected("the SELECT that has given the cursor"));
    }
    Ok(Statement::More(Some((cursor, partiql(text)))))
}

fn parse_help(text: &mut Text<'_>) -> Result<Statement> {
    if text.is_at_end() {
        return Ok(Statement::Help(None));
    }
    text.rest();
    let position = text.at;
    let asked = text.rest().trim().to_ascii_uppercase();
    text.at = text.text.len();
    match help::find(&asked) {
        Some(_) => Ok(Statement::Help(Some(asked))),
        None => Err(SyntaxError { position, message: format!("{asked} is no command; HELP lists them") }),
    }
}

fn parse_list(text: &mut Text<'_>) -> Result<Statement> {
    if text.keyword("TABLES") {
        return Ok(Statement::ListTables);
    }
    if !text.keyword("KEYS") {
        return Err(text.expected("TABLES or KEYS"));
    }
    let mut table = None;
    let (mut prefix, mut limit) = (String::new(), DEFAULT_KEY_COUNT);
    loop {
        if text.keyword("PREFIX") {
            text.rest();
            let position = text.at;
            let AttributeValue::S(text) = text.value("a text in quotes")? else {
                return Err(SyntaxError { position, message: "the prefix of keys is a text".to_owned() });
            };
            prefix = text;
        } else if text.keyword("LIMIT") {
            limit = text.count("how many keys")?;
        } else if table.is_none() && text.peek_word().is_some() {
            table = text.optional_table()?;
        } else {
            return Ok(Statement::ListKeys { table, prefix, limit });
        }
    }
}

fn parse_explain(text: &mut Text<'_>) -> Result<Statement> {
    let explained = match () {
        () if text.keyword("GET") => Explained::Get(parse_get(text)?),
        () if text.keyword("QUERY") => Explained::Read(Box::new(parse_query(text)?)),
        () if text.keyword("SCAN") => Explained::Read(Box::new(parse_scan(text)?)),
        () if text.peek_word().is_some_and(|word| word.eq_ignore_ascii_case("SELECT")) => {
            Explained::Select(partiql(text))
        }
        () => return Err(text.expected("GET, QUERY, SCAN or SELECT, which EXPLAIN does to explain it")),
    };
    Ok(Statement::Explain(explained))
}

/// A key: the value of the partition key, and that of the sort key if the table has one.
fn item_key(text: &mut Text<'_>) -> Result<ItemKey> {
    let table = text.optional_table()?;
    let partition = text.key_value("the value of the partition key")?;
    let has_comma = text.sign(',');
    let begins_value = matches!(text.peek(), Some('"' | '\'' | '{' | '-' | '0'..='9'));
    let sort =
        if has_comma || begins_value { Some(text.key_value("the value of the sort key")?) } else { None };
    Ok(ItemKey { table, partition, sort })
}

fn parse_get(text: &mut Text<'_>) -> Result<Get> {
    let mut get =
        Get { key: item_key(text)?, projection: None, as_of: None, placeholders: Placeholders::default() };
    let mut seen = Seen::default();
    loop {
        if seen.clause(text, &["PROJECT"])? {
            get.projection =
                Some(expression::read(text, "the attributes to be shown", &mut get.placeholders)?);
        } else if seen.clause(text, &["AS", "OF"])? {
            get.as_of = Some(as_of(text)?);
        } else if seen.clause(text, &["WITH"])? {
            with(text, &mut get.placeholders)?;
        } else {
            text.end("PROJECT, AS OF, WITH, or the end of the statement")?;
            return Ok(get);
        }
    }
}

fn parse_put(text: &mut Text<'_>) -> Result<Put> {
    let table = text.optional_table()?;
    let item = text.item("the item")?;
    let (terms, return_old) = terms_and_old(text)?;
    Ok(Put { table, item, return_old, terms })
}

/// What a put and a delete are told alike, and whether they return the item that was there.
fn terms_and_old(text: &mut Text<'_>) -> Result<(Terms, bool)> {
    let (mut terms, mut return_old) = (Terms::default(), false);
    let mut seen = Seen::default();
    loop {
        if seen.clause(text, &["RETURN"])? {
            text.expect_keyword("OLD")?;
            return_old = true;
        } else if !term(text, &mut seen, &mut terms)? {
            text.end("IF, VERSION, RETURN OLD, WITH, or the end of the statement")?;
            return Ok((terms, return_old));
        }
    }
}

fn parse_update(text: &mut Text<'_>) -> Result<Update> {
    let key = item_key(text)?;
    let (mut terms, mut update, mut return_values) = (Terms::default(), None, ReturnValues::None);
    let mut seen = Seen::default();
    loop {
        let begins_update = ["SET", "REMOVE", "ADD", "DELETE"]
            .iter()
            .any(|word| text.peek_word().is_some_and(|found| found.eq_ignore_ascii_case(word)));
        if begins_update && update.is_none() {
            update = Some(expression::read(text, "what is to be changed", &mut terms.placeholders)?);
        } else if seen.clause(text, &["RETURN"])? {
            return_values = match () {
                () if text.keyword("NONE") => ReturnValues::None,
                () if text.keywords(&["UPDATED", "OLD"]) => ReturnValues::UpdatedOld,
                () if text.keywords(&["UPDATED", "NEW"]) => ReturnValues::UpdatedNew,
                () if text.keyword("OLD") => ReturnValues::AllOld,
                () if text.keyword("NEW") => ReturnValues::AllNew,
                () => return Err(text.expected("OLD, NEW, UPDATED OLD, UPDATED NEW or NONE")),
            };
        } else if !term(text, &mut seen, &mut terms)? {
            text.end("SET, REMOVE, ADD, DELETE, IF, VERSION, RETURN, WITH, or the end of the statement")?;
            return Ok(Update { key, update, return_values, terms });
        }
    }
}

fn parse_delete(text: &mut Text<'_>) -> Result<Delete> {
    let key = item_key(text)?;
    let (terms, return_old) = terms_and_old(text)?;
    Ok(Delete { key, return_old, terms })
}

fn parse_check(text: &mut Text<'_>) -> Result<Check> {
    let key = item_key(text)?;
    let mut terms = Terms::default();
    let mut seen = Seen::default();
    while term(text, &mut seen, &mut terms)? {}
    text.end("IF, VERSION, WITH, or the end of the statement")?;
    if terms.condition.is_none() && terms.version.is_none() {
        return Err(text.expected("IF and what must hold"));
    }
    Ok(Check { key, terms })
}

/// Reads one of the clauses that all writes have, if one stands here.
fn term(text: &mut Text<'_>, seen: &mut Seen, terms: &mut Terms) -> Result<bool> {
    if seen.clause(text, &["IF"])? {
        terms.condition = Some(expression::read(text, "a condition", &mut terms.placeholders)?);
    } else if seen.clause(text, &["VERSION"])? {
        terms.version = Some(text.number("a version, or 0 for no item")?);
    } else if seen.clause(text, &["WITH"])? {
        with(text, &mut terms.placeholders)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn parse_query(text: &mut Text<'_>) -> Result<Read> {
    let table = optional_table_before(text, &["WHERE", "INDEX"])?;
    let mut placeholders = Placeholders::default();
    let mut keys = None;
    if text.peek_word().is_none() && !text.is_at_end() {
        keys = Some(Keys::Partition(text.key_value("the value of the partition key")?));
    }
    let mut descending = false;
    let mut read = empty_read(table);
    let mut seen = Seen::default();
    loop {
        if keys.is_none() && seen.clause(text, &["WHERE"])? {
            let condition = expression::read(text, "a condition on the key", &mut placeholders)?;
            keys = Some(Keys::Condition(condition));
        } else if seen.clause(text, &["DESC"])? {
            descending = true;
        } else if seen.clause(text, &["ASC"])? {
            descending = false;
        } else if !selection(text, &mut seen, &mut read, &mut placeholders)? {
            break;
        }
    }
    const CLAUSES: &str =
        "FILTER, PROJECT, COUNT, INDEX, ASC, DESC, LIMIT, FROM, AS OF, WITH, or the end of the statement";
    let Some(keys) = keys else {
        return Err(text.expected("the value of the partition key, or WHERE and a condition on the key"));
    };
    text.end(CLAUSES)?;
    finish(Read { way: Way::Query { keys, descending }, placeholders, ..read })
}

fn parse_scan(text: &mut Text<'_>) -> Result<Read> {
    const CLAUSES: [&str; 9] =
        ["FILTER", "PROJECT", "COUNT", "INDEX", "LIMIT", "FROM", "AS", "WITH", "SEGMENT"];
    let table = optional_table_before(text, &CLAUSES)?;
    let mut placeholders = Placeholders::default();
    let mut segment = None;
    let mut read = empty_read(table);
    let mut seen = Seen::default();
    loop {
        if seen.clause(text, &["SEGMENT"])? {
            let number = |text: &mut Text<'_>, what| -> Result<u32> {
                text.rest();
                let position = text.at;
                let number = text.number(what)?;
                u32::try_from(number)
                    .map_err(|_| SyntaxError { position, message: format!("{number} is too large") })
            };
            let nth = number(text, "which segment, counted from 0")?;
            text.expect_keyword("OF")?;
            segment = Some((nth, number(text, "how many segments there are")?));
        } else if !selection(text, &mut seen, &mut read, &mut placeholders)? {
            break;
        }
    }
    text.end(
        "FILTER, PROJECT, COUNT, INDEX, LIMIT, FROM, SEGMENT, AS OF, WITH, or the end of the statement",
    )?;
    finish(Read { way: Way::Scan { segment }, placeholders, ..read })
}

/// A table's name, unless the word that stands here begins a clause.
fn optional_table_before(text: &mut Text<'_>, clauses: &[&str]) -> Result<Option<String>> {
    let word = text.peek_word();
    let is_clause = word.is_some_and(|word| clauses.iter().any(|clause| clause.eq_ignore_ascii_case(word)));
    if is_clause { Ok(None) } else { text.optional_table() }
}

fn empty_read(table: Option<String>) -> Read {
    Read {
        table,
        way: Way::Scan { segment: None },
        index: None,
        filter: None,
        projection: None,
        count: false,
        limit: Limit::Page,
        cursor: None,
        as_of: None,
        placeholders: Placeholders::default(),
    }
}

/// Reads one of the clauses that queries and scans have, if one stands here.
fn selection(
    text: &mut Text<'_>,
    seen: &mut Seen,
    read: &mut Read,
    placeholders: &mut Placeholders,
) -> Result<bool> {
    if seen.clause(text, &["FILTER"])? {
        read.filter = Some(expression::read(text, "a condition on items", placeholders)?);
    } else if seen.clause(text, &["PROJECT"])? {
        read.projection = Some(expression::read_projection(text, placeholders)?);
    } else if seen.clause(text, &["COUNT"])? {
        read.count = true;
    } else if seen.clause(text, &["INDEX"])? {
        read.index = Some(text.table_name("the name of an index")?);
    } else if seen.clause(text, &["LIMIT"])? {
        let is_all = text.keyword("ALL");
        read.limit = if is_all { Limit::All } else { Limit::Items(text.count("how many items, or ALL")?) };
    } else if seen.clause(text, &["FROM"])? {
        read.cursor = Some(text.item("a cursor")?);
    } else if seen.clause(text, &["AS", "OF"])? {
        read.as_of = Some(as_of(text)?);
    } else if seen.clause(text, &["WITH"])? {
        with(text, placeholders)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// What a projection begins with are names now, also where a placeholder stands for one.
fn finish(mut read: Read) -> Result<Read> {
    if let Some(projection) = &mut read.projection {
        for attribute in &mut projection.attributes {
            if let Some(name) = read.placeholders.names.get(attribute) {
                attribute.clone_from(name);
            }
        }
    }
    Ok(read)
}

fn as_of(text: &mut Text<'_>) -> Result<AsOf> {
    if text.keyword("VERSION") {
        return Ok(AsOf::Version(text.number("a version")?));
    }
    if matches!(text.peek(), Some('"' | '\'')) {
        return Ok(AsOf::Time(Moment::At(text.time_ms()?)));
    }
    if text.peek().is_some_and(|c| c.is_ascii_digit()) {
        let ago = text.duration()?;
        text.expect_keyword("AGO")?;
        return Ok(AsOf::Time(Moment::Ago(ago)));
    }
    Err(text.expected("VERSION and a number, a time in quotes, or a duration and AGO"))
}

/// What the placeholders of the user's stand for.
fn with(text: &mut Text<'_>, placeholders: &mut Placeholders) -> Result<()> {
    text.rest();
    let position = text.at;
    let given: Item = text.item("an object of placeholders")?;
    for (key, value) in given {
        let error = |message| Err(SyntaxError { position, message });
        let is_taken = match (key.chars().next(), value) {
            (Some('#'), AttributeValue::S(name)) => {
                placeholders.names.insert(key.clone(), name.clone()).is_some_and(|other| other != name)
            }
            (Some('#'), _) => return error(format!("{key} stands for a name, which is a text")),
            (Some(':'), value) => placeholders.values.insert(key.clone(), value).is_some(),
            _ => {
                return error(format!(
                    "{key:?} is no placeholder; those of names begin with #, those of values with :"
                ));
            }
        };
        if is_taken {
            return error(format!("{key} stands for something else here; choose another placeholder"));
        }
    }
    Ok(())
}

/// The clauses of a statement that were read, of which each stands once.
#[derive(Default)]
struct Seen(Vec<&'static str>);

impl Seen {
    /// Passes over the words that begin a clause if they stand here.
    fn clause(&mut self, text: &mut Text<'_>, words: &[&'static str]) -> Result<bool> {
        text.rest();
        let position = text.at;
        if !text.keywords(words) {
            return Ok(false);
        }
        if self.0.contains(&words[0]) {
            return Err(SyntaxError { position, message: format!("{} stands here twice", words.join(" ")) });
        }
        self.0.push(words[0]);
        Ok(true)
    }
}
