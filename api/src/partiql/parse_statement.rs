//! Reads statements.
//!
//! ```text
//! statement = SELECT columns FROM source [WHERE expression] [ORDER BY path [ASC | DESC], …]
//!           | INSERT INTO source VALUE expression
//!           | UPDATE source changes [WHERE expression] [returning]
//!           | FROM source [WHERE expression] changes [returning]
//!           | DELETE FROM source [WHERE expression] [returning]
//!           | EXISTS ( SELECT … )
//! columns   = * | expression, …
//! source    = name [. name]
//! changes   = SET path = expression, … | REMOVE path, … | changes changes
//! returning = RETURNING ( ALL | MODIFIED ) ( OLD | NEW ) *
//! ```
//!
//! What can be read, but means nothing here, is refused after all was read: DynamoDB tells of a statement that is not well formed
//! first.

use super::error::{Rule, StatementError};
use super::lexer::{TokenKind, Tokens};
use super::parse_expression::parse_expression;
use super::parse_path::parse_path;
use super::syntax::{Action, NodeId, Order, Returning, Source, Statement, StatementKind, Step, Tree, What};

type Read<T> = Result<T, StatementError>;

/// The statement that a text is.
pub(super) fn parse(text: &str) -> Read<Statement> {
    let mut reader = Reader { tree: Tree::new(text), tokens: Tokens::new(text)?, refused: None };
    let (kind, source, condition) = reader.read()?;
    reader.end()?;
    match reader.refused {
        Some(error) => Err(error),
        None => Ok(Statement { tree: reader.tree, kind, source, condition }),
    }
}

struct Reader<'t> {
    tree: Tree,
    tokens: Tokens<'t>,
    /// The first thing that was read and means nothing here.
    refused: Option<StatementError>,
}

type Parts = (StatementKind, Source, Option<NodeId>);

impl Reader<'_> {
    fn read(&mut self) -> Read<Parts> {
        if self.tokens.advance_word("SELECT") {
            return self.select();
        }
        if self.tokens.advance_word("INSERT") {
            return self.insert();
        }
        if self.tokens.advance_word("UPDATE") {
            let source = self.target()?;
            self.alias();
            let actions = self.changes()?;
            let condition = self.condition()?;
            let returning = self.returning()?;
            return Ok((StatementKind::Update { actions, returning }, source, condition));
        }
        if self.tokens.advance_word("DELETE") {
            return self.delete();
        }
        if self.tokens.advance_word("FROM") {
            let source = self.source()?;
            self.alias();
            let condition = self.condition()?;
            let actions = self.changes()?;
            let returning = self.returning()?;
            return Ok((StatementKind::Update { actions, returning }, source, condition));
        }
        if self.tokens.at_word("EXISTS") && self.tokens.second().kind == TokenKind::Open {
            return self.exists();
        }
        let node = parse_expression(&mut self.tree, &mut self.tokens)?;
        self.end()?;
        Err(Rule::Operation(operation(self.tree.what(node))).broken())
    }

    /// The end of the statement.
    fn end(&mut self) -> Read<()> {
        let detail = match self.tokens.advance_if(TokenKind::Semicolon) {
            true => "Unexpected token after semicolon. (Only one query is allowed.)",
            false => "Unexpected token after expression",
        };
        if self.tokens.peek().kind == TokenKind::End {
            Ok(())
        } else {
            Err(StatementError::malformed(detail))
        }
    }

    fn refuse(&mut self, rule: Rule) {
        self.refused.get_or_insert_with(|| rule.broken());
    }

    fn select(&mut self) -> Read<Parts> {
        let columns = self.columns()?;
        if !self.tokens.advance_word("FROM") {
            return Err(StatementError::malformed("Expected FROM after SELECT list"));
        }
        let source = self.source()?;
        self.alias();
        if self.tokens.peek().kind == TokenKind::Comma
            || self.at_any(&["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS"])
        {
            return Err(Rule::SeveralSources.broken());
        }
        let condition = self.condition()?;
        for clause in ["GROUP", "HAVING"] {
            if self.tokens.at_word(clause) {
                return Err(Rule::Clause(if clause == "GROUP" { "GROUP BY" } else { clause }).broken());
            }
        }
        let order = self.order()?;
        if let Some(clause) = ["LIMIT", "OFFSET"].into_iter().find(|clause| self.tokens.at_word(clause)) {
            return Err(Rule::Clause(clause).broken());
        }
        Ok((StatementKind::Select { columns, order }, source, condition))
    }

    fn at_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.tokens.at_word(word))
    }

    fn columns(&mut self) -> Read<Option<Vec<NodeId>>> {
        if self.at_any(&["VALUE", "PIVOT"]) {
            return Err(Rule::ValueOrPivot.broken());
        }
        if self.tokens.advance_word("DISTINCT") {
            self.refuse(Rule::Clause("DISTINCT"));
        }
        self.tokens.advance_word("ALL");
        let (mut columns, mut has_star) = (Vec::new(), false);
        loop {
            let token = self.tokens.peek();
            if token.kind == TokenKind::Operator && self.tokens.text_of(token) == "*" {
                self.tokens.advance();
                has_star = true;
            } else {
                columns.push(parse_expression(&mut self.tree, &mut self.tokens)?);
                self.alias();
            }
            if !self.tokens.advance_if(TokenKind::Comma) {
                break;
            }
        }
        if has_star && !columns.is_empty() {
            self.refuse(Rule::StarAndMore);
        }
        Ok((!has_star).then_some(columns))
    }

    fn order(&mut self) -> Read<Vec<Order>> {
        let mut order = Vec::new();
        if !self.tokens.advance_word("ORDER") {
            return Ok(order);
        }
        if !self.tokens.advance_word("BY") {
            return Err(StatementError::malformed("Expected BY after ORDER"));
        }
        loop {
            let node = parse_expression(&mut self.tree, &mut self.tokens)?;
            let descending = self.tokens.advance_word("DESC");
            if !descending {
                self.tokens.advance_word("ASC");
            }
            match self.tree.attribute(node).map(str::to_owned) {
                Some(attribute) => order.push(Order { attribute, descending }),
                None => self.refuse(Rule::OrderByExpression),
            }
            if !self.tokens.advance_if(TokenKind::Comma) {
                return Ok(order);
            }
        }
    }

    /// The source of a read.
    fn source(&mut self) -> Read<Source> {
        let token = self.tokens.peek();
        let detail = match token.kind {
            TokenKind::Identifier | TokenKind::Quoted => return self.target(),
            TokenKind::Keyword => "Unexpected keyword",
            TokenKind::Operator => "Unexpected operator",
            _ => "Unexpected term",
        };
        Err(StatementError::malformed(detail))
    }

    /// The table that a write is to, or a source.
    fn target(&mut self) -> Read<Source> {
        let path = parse_path(&mut self.tree, &mut self.tokens)?;
        let What::Path(steps) = self.tree.what(path) else {
            return Err(StatementError::malformed("Expected identifier for simple path"));
        };
        let mut names = Vec::new();
        for step in steps {
            match step {
                Step::Name(name) => names.push(name.clone()),
                _ => return Err(Rule::LongSource.broken()),
            }
        }
        if names.iter().any(String::is_empty) {
            self.refuse(Rule::EmptyComponent);
        }
        if names.len() > 2 {
            self.refuse(Rule::LongSource);
        }
        let mut names = names.into_iter();
        Ok(Source { table: names.next().unwrap_or_default(), index: names.next() })
    }

    /// Another name, which nothing here has.
    fn alias(&mut self) {
        let has_as = self.tokens.advance_word("AS");
        if matches!(self.tokens.peek().kind, TokenKind::Identifier | TokenKind::Quoted) {
            self.tokens.advance();
            self.refuse(Rule::Alias);
        } else if has_as {
            self.refuse(Rule::Alias);
        }
    }

    fn condition(&mut self) -> Read<Option<NodeId>> {
        match self.tokens.advance_word("WHERE") {
            true => parse_expression(&mut self.tree, &mut self.tokens).map(Some),
            false => Ok(None),
        }
    }

    fn insert(&mut self) -> Read<Parts> {
        if !self.tokens.advance_word("INTO") {
            return Err(StatementError::malformed("Expected INTO after INSERT"));
        }
        let source = self.target()?;
        if !self.tokens.advance_word("VALUE") {
            parse_expression(&mut self.tree, &mut self.tokens)?;
            self.end()?;
            return Err(Rule::SeveralItems.broken());
        }
        let item = parse_expression(&mut self.tree, &mut self.tokens)?;
        if self.tokens.at_word("AT") {
            return Err(Rule::At.broken());
        }
        if self.tokens.at_word("RETURNING") {
            return Err(Rule::ReturningOfInsert.broken());
        }
        if source.index.is_some() {
            self.refuse(Rule::IndexOfInsert);
        }
        if !matches!(self.tree.what(item), What::Struct(_)) {
            self.refuse(Rule::NoTuple);
        }
        Ok((StatementKind::Insert { item }, source, None))
    }

    fn delete(&mut self) -> Read<Parts> {
        if !self.tokens.advance_word("FROM") {
            return Err(StatementError::malformed("Expected FROM after DELETE"));
        }
        let source = self.target()?;
        self.alias();
        let condition = self.condition()?;
        let returning = self.returning()?;
        if let Some(other) = returning.filter(|returning| *returning != Returning::AllOld) {
            self.refuse(Rule::ReturningOfDelete(other.as_str()));
        }
        Ok((StatementKind::Delete { returning }, source, condition))
    }

    fn changes(&mut self) -> Read<Vec<Action>> {
        let mut actions = Vec::new();
        loop {
            let is_set = self.tokens.advance_word("SET");
            if !is_set && !self.tokens.advance_word("REMOVE") {
                break;
            }
            loop {
                let path = parse_path(&mut self.tree, &mut self.tokens)?;
                actions.push(if is_set {
                    let token = self.tokens.advance();
                    if token.kind != TokenKind::Operator || self.tokens.text_of(token) != "=" {
                        return Err(StatementError::malformed("Expected '=' for assignment"));
                    }
                    Action::Set(path, parse_expression(&mut self.tree, &mut self.tokens)?)
                } else {
                    Action::Remove(path)
                });
                if !self.tokens.advance_if(TokenKind::Comma) {
                    break;
                }
            }
        }
        match actions.is_empty() {
            true => Err(StatementError::malformed("Expected data manipulation")),
            false => Ok(actions),
        }
    }

    fn returning(&mut self) -> Read<Option<Returning>> {
        if !self.tokens.advance_word("RETURNING") {
            return Ok(None);
        }
        let all = self.tokens.advance_word("ALL");
        if !all && !self.tokens.advance_word("MODIFIED") {
            return Err(StatementError::malformed("Expected ALL or MODIFIED in returning clause."));
        }
        let old = self.tokens.advance_word("OLD");
        if !old && !self.tokens.advance_word("NEW") {
            return Err(StatementError::malformed("Expected OLD or NEW in returning clause."));
        }
        let token = self.tokens.peek();
        if token.kind == TokenKind::Operator && self.tokens.text_of(token) == "*" {
            self.tokens.advance();
        } else {
            parse_expression(&mut self.tree, &mut self.tokens)?;
            self.refuse(Rule::ReturningElement);
        }
        if self.tokens.peek().kind == TokenKind::Comma {
            return Err(Rule::ReturningSeveral.broken());
        }
        Ok(Some(match (all, old) {
            (true, true) => Returning::AllOld,
            (true, false) => Returning::AllNew,
            (false, true) => Returning::ModifiedOld,
            (false, false) => Returning::ModifiedNew,
        }))
    }

    fn exists(&mut self) -> Read<Parts> {
        self.tokens.advance();
        self.tokens.advance();
        if !self.tokens.advance_word("SELECT") {
            return Err(StatementError::malformed("Unexpected term"));
        }
        let (_, source, condition) = self.select()?;
        if !self.tokens.advance_if(TokenKind::Close) {
            return Err(StatementError::malformed("Expected RIGHT_PAREN"));
        }
        Ok((StatementKind::Exists, source, condition))
    }
}

/// What DynamoDB calls an expression where there should be a statement.
fn operation(what: &What) -> &'static str {
    match what {
        What::Path(steps) if steps.len() == 1 => "Id",
        What::Path(_) => "Path",
        What::String(_) | What::Number(_) | What::Bool(_) | What::Null | What::Ion(_) => "Lit",
        What::Missing => "Missing",
        What::Parameter(_) => "Parameter",
        What::List(_) => "List",
        What::Bag(_) => "Bag",
        What::Struct(_) => "Struct",
        What::Call(..) => "Call",
        What::Not(_) => "Not",
        What::And(..) => "And",
        What::Or(..) => "Or",
        What::Between(..) => "Between",
        What::In(..) => "InCollection",
        What::Is(..) => "IsType",
        What::Like(..) => "Like",
        What::Compare("=", ..) => "Eq",
        What::Compare("<>", ..) => "Ne",
        What::Compare("<", ..) => "Lt",
        What::Compare("<=", ..) => "Lte",
        What::Compare(">", ..) => "Gt",
        What::Compare(..) => "Gte",
        What::Arithmetic("+", ..) => "Plus",
        What::Arithmetic("-", ..) => "Minus",
        What::Arithmetic(..) => "Times",
        What::Sign(_) => "Neg",
    }
}
