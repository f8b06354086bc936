//! TransactGetItems.

use dynamite_core::api::{Consumed, Get};

use super::reply_transacted;
use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::expressions::{Said, check_parameters};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::{Endpoint, arn, attributes};

pub(crate) const FIELDS: &[Field] = &[
    RETURN_CONSUMED_CAPACITY,
    field(
        "TransactItems",
        Shape::List(&Member {
            shape: Shape::Structure(&Structure {
                name: "TransactGetItem",
                fields: &[field(
                    "Get",
                    Shape::Structure(&Structure {
                        name: "Get",
                        fields: &[KEY, TABLE_NAME, PROJECTION_EXPRESSION, EXPRESSION_NAMES],
                    }),
                    &[Rule::NotNull],
                )],
            }),
            rules: &[],
        }),
        &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(100)],
    ),
];

pub(crate) fn run(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let mut asked = Vec::new();
    for get in request.array("TransactItems").unwrap_or_default().iter().filter_map(|item| item.field("Get"))
    {
        check_parameters(get, &["ProjectionExpression"], &[])?;
        asked.push((get, attributes::item_of(get, "Key")?, Said::of(get)?));
    }
    let (wanted, consumed) = (Wanted::of(request), Consumed::default());
    let mut transaction = endpoint.db.transact_get();
    for (request, key, said) in &mut asked {
        let table = arn::table_name(request.str("TableName").unwrap_or_default());
        endpoint.creating.check(table)?;
        let mut get = Get::new(table).key(std::mem::take(key));
        if let Some(names) = said.names.take() {
            get = get.names(names);
        }
        if let Some(projection) = &said.projection {
            get = get.projection(projection);
        }
        transaction = transaction.get(get);
    }
    if wanted.is_any() {
        transaction = transaction.consumed(&consumed);
    }
    let found = transaction.execute_encoded().map_err(Failure::from)?;
    reply_transacted(&found, wanted, &consumed)
}
