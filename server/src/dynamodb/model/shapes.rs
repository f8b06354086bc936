//! The fields that several operations share.

use super::{Field, Member, Pattern, Rule, Shape, Structure};

/// The rules of names of indexes, and of tables for which no ARN may stand.
pub(crate) const NAME: &[Rule] =
    &[Rule::NotNull, Rule::Pattern(Pattern::Name), Rule::MinLength(3), Rule::MaxLength(255)];
const OPTIONAL_NAME: &[Rule] = &[Rule::Pattern(Pattern::Name), Rule::MinLength(3), Rule::MaxLength(255)];

/// The rules of names of tables, for which their ARNs may stand.
const TABLE_PATTERN: Rule = Rule::UnlessArn(&Rule::Pattern(Pattern::Name));
const TABLE_LENGTH: Rule = Rule::UnlessArn(&Rule::MaxLength(255));
const KEYS_ARE_TABLES: &[Rule] = &[TABLE_LENGTH, Rule::MinLength(3), TABLE_PATTERN];

pub(crate) const fn field(name: &'static str, shape: Shape, rules: &'static [Rule]) -> Field {
    Field { name, shape, rules }
}

/// A field without constraints.
pub(crate) const fn plain(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, rules: &[] }
}

/// The name of a table that items are in.
pub(crate) const TABLE_NAME: Field =
    field("TableName", Shape::String, &[Rule::NotNull, TABLE_PATTERN, Rule::MinLength(3), TABLE_LENGTH]);

/// The name of a table that is itself what an operation is about.
pub(crate) const TABLE: Field = field("TableName", Shape::String, &[Rule::TableName, TABLE_PATTERN]);

pub(crate) const INDEX_NAME: Field = field("IndexName", Shape::String, OPTIONAL_NAME);

pub(crate) const RETURN_CONSUMED_CAPACITY: Field =
    field("ReturnConsumedCapacity", Shape::String, &[Rule::OneOf(&["INDEXES", "TOTAL", "NONE"])]);

pub(crate) const RETURN_ITEM_COLLECTION_METRICS: Field =
    field("ReturnItemCollectionMetrics", Shape::String, &[Rule::OneOf(&["SIZE", "NONE"])]);

pub(crate) const RETURN_VALUES: Field = field(
    "ReturnValues",
    Shape::String,
    &[Rule::OneOf(&["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"])],
);

pub(crate) const RETURN_ON_FAILURE: Field =
    field("ReturnValuesOnConditionCheckFailure", Shape::String, &[Rule::OneOf(&["ALL_OLD", "NONE"])]);

/// The attributes of an item.
pub(crate) const ATTRIBUTES: Shape = Shape::Map(&Member { shape: Shape::AttributeValue, rules: &[] });

pub(crate) const KEY: Field = field("Key", ATTRIBUTES, &[Rule::NotNull]);
pub(crate) const ITEM: Field = field("Item", Shape::Item, &[Rule::NotNull]);
pub(crate) const EXCLUSIVE_START_KEY: Field = plain("ExclusiveStartKey", ATTRIBUTES);

const STRINGS: Shape = Shape::List(&Member { shape: Shape::String, rules: &[] });
const VALUES: Shape = Shape::List(&Member { shape: Shape::AttributeValue, rules: &[] });

pub(crate) const ATTRIBUTES_TO_GET: Field =
    field("AttributesToGet", STRINGS, &[Rule::MinLength(1), Rule::MaxLength(255)]);

pub(crate) const CONSISTENT_READ: Field = plain("ConsistentRead", Shape::Boolean);

pub(crate) const CONDITIONAL_OPERATOR: Field =
    field("ConditionalOperator", Shape::String, &[Rule::OneOf(&["OR", "AND"])]);

const COMPARISON_OPERATORS: Rule = Rule::OneOf(&[
    "IN",
    "NULL",
    "BETWEEN",
    "LT",
    "NOT_CONTAINS",
    "EQ",
    "GT",
    "NOT_NULL",
    "NE",
    "LE",
    "BEGINS_WITH",
    "GE",
    "CONTAINS",
]);

pub(crate) const EXPECTED: Field = plain(
    "Expected",
    Shape::Map(&Member {
        shape: Shape::Structure(&Structure {
            name: "ExpectedAttributeValue",
            fields: &[
                plain("AttributeValueList", VALUES),
                field("ComparisonOperator", Shape::String, &[COMPARISON_OPERATORS]),
                plain("Exists", Shape::Boolean),
                plain("Value", Shape::AttributeValue),
            ],
        }),
        rules: &[],
    }),
);

pub(crate) const CONDITIONS: Shape = Shape::Map(&Member {
    shape: Shape::Structure(&Structure {
        name: "Condition",
        fields: &[
            plain("AttributeValueList", VALUES),
            field("ComparisonOperator", Shape::String, &[Rule::NotNull, COMPARISON_OPERATORS]),
        ],
    }),
    rules: &[],
});

pub(crate) const ATTRIBUTE_UPDATES: Field = plain(
    "AttributeUpdates",
    Shape::Map(&Member {
        shape: Shape::Structure(&Structure {
            name: "AttributeValueUpdate",
            fields: &[
                field("Action", Shape::String, &[Rule::OneOf(&["ADD", "DELETE", "PUT"])]),
                plain("Value", Shape::AttributeValue),
            ],
        }),
        rules: &[],
    }),
);

pub(crate) const EXPRESSION_NAMES: Field =
    plain("ExpressionAttributeNames", Shape::Map(&Member { shape: Shape::String, rules: &[] }));
pub(crate) const EXPRESSION_VALUES: Field = plain("ExpressionAttributeValues", ATTRIBUTES);
pub(crate) const CONDITION_EXPRESSION: Field = plain("ConditionExpression", Shape::String);
pub(crate) const UPDATE_EXPRESSION: Field = plain("UpdateExpression", Shape::String);
pub(crate) const PROJECTION_EXPRESSION: Field = plain("ProjectionExpression", Shape::String);
pub(crate) const FILTER_EXPRESSION: Field = plain("FilterExpression", Shape::String);
pub(crate) const KEY_CONDITION_EXPRESSION: Field = plain("KeyConditionExpression", Shape::String);

pub(crate) const SELECT: Field = field(
    "Select",
    Shape::String,
    &[Rule::OneOf(&["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"])],
);

pub(crate) const LIMIT: Field = field("Limit", Shape::Integer, &[Rule::AtLeast(1)]);

pub(crate) const STATEMENT: Field = field(
    "Statement",
    Shape::String,
    &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(dynamite_core::partiql::MAX_STATEMENT_LEN)],
);

/// What the question marks of a statement stand for.
pub(crate) const PARAMETERS: Field = field("Parameters", VALUES, &[Rule::MinLength(1)]);

/// The items or keys of a batch, by the names of their tables.
pub(crate) const BY_TABLE: &[Rule] = &[Rule::NotNull, Rule::MinLength(1), Rule::Keys(KEYS_ARE_TABLES)];

/// The same, with bounds for how many there are of each table.
pub(crate) const WRITES_BY_TABLE: &[Rule] = &[
    Rule::NotNull,
    Rule::MinLength(1),
    Rule::Keys(KEYS_ARE_TABLES),
    Rule::Values(&[Rule::MaxLength(25), Rule::MinLength(1)]),
];

const UNITS: &[Rule] = &[Rule::NotNull, Rule::AtLeast(1)];

const THROUGHPUT: Shape = Shape::Structure(&Structure {
    name: "ProvisionedThroughput",
    fields: &[
        field("WriteCapacityUnits", Shape::Long, UNITS),
        field("ReadCapacityUnits", Shape::Long, UNITS),
    ],
});

pub(crate) const PROVISIONED_THROUGHPUT: Field = plain("ProvisionedThroughput", THROUGHPUT);

/// Of an update of an index, which may be about other units alone.
const UPDATED_THROUGHPUT: Field = field(
    "ProvisionedThroughput",
    THROUGHPUT,
    &[Rule::NotNullUnless(&["OnDemandThroughput", "WarmThroughput"])],
);

pub(crate) const ON_DEMAND_THROUGHPUT: Field = plain(
    "OnDemandThroughput",
    Shape::Structure(&Structure {
        name: "OnDemandThroughput",
        fields: &[plain("MaxReadRequestUnits", Shape::Long), plain("MaxWriteRequestUnits", Shape::Long)],
    }),
);

pub(crate) const WARM_THROUGHPUT: Field = plain(
    "WarmThroughput",
    Shape::Structure(&Structure {
        name: "WarmThroughput",
        fields: &[
            field("ReadUnitsPerSecond", Shape::Long, &[Rule::AtLeast(1)]),
            field("WriteUnitsPerSecond", Shape::Long, &[Rule::AtLeast(1)]),
        ],
    }),
);

pub(crate) const BILLING_MODE: Field =
    field("BillingMode", Shape::String, &[Rule::OneOf(&["PROVISIONED", "PAY_PER_REQUEST"])]);

const KEY_SCHEMA_ELEMENT: Structure = Structure {
    name: "KeySchemaElement",
    fields: &[
        field("AttributeName", Shape::String, &[Rule::NotNull]),
        field("KeyType", Shape::String, &[Rule::NotNull, Rule::OneOf(&["HASH", "RANGE"])]),
    ],
};

const KEY_SCHEMA_SHAPE: Shape =
    Shape::List(&Member { shape: Shape::Structure(&KEY_SCHEMA_ELEMENT), rules: &[] });

pub(crate) const KEY_SCHEMA: Field =
    field("KeySchema", KEY_SCHEMA_SHAPE, &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(2)]);

/// Global indexes may have four attributes of each kind.
const GLOBAL_KEY_SCHEMA: Field =
    field("KeySchema", KEY_SCHEMA_SHAPE, &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(8)]);

pub(crate) const ATTRIBUTE_DEFINITIONS_SHAPE: Shape = Shape::List(&Member {
    shape: Shape::Structure(&Structure {
        name: "AttributeDefinition",
        fields: &[
            field("AttributeName", Shape::String, &[Rule::NotNull]),
            field("AttributeType", Shape::String, &[Rule::NotNull, Rule::OneOf(&["B", "N", "S"])]),
        ],
    }),
    rules: &[],
});

const PROJECTION: Field = field(
    "Projection",
    Shape::Structure(&Structure {
        name: "Projection",
        fields: &[
            field("ProjectionType", Shape::String, &[Rule::OneOf(&["ALL", "INCLUDE", "KEYS_ONLY"])]),
            field("NonKeyAttributes", STRINGS, &[Rule::MinLength(1)]),
        ],
    }),
    &[Rule::NotNull],
);

const INDEX: Field = field("IndexName", Shape::String, NAME);

pub(crate) const LOCAL_INDEXES: Field = plain(
    "LocalSecondaryIndexes",
    Shape::List(&Member {
        shape: Shape::Structure(&Structure {
            name: "LocalSecondaryIndex",
            fields: &[INDEX, KEY_SCHEMA, PROJECTION],
        }),
        rules: &[],
    }),
);

pub(crate) const GLOBAL_INDEXES: Field = plain(
    "GlobalSecondaryIndexes",
    Shape::List(&Member {
        shape: Shape::Structure(&Structure {
            name: "GlobalSecondaryIndex",
            fields: &[
                INDEX,
                GLOBAL_KEY_SCHEMA,
                PROJECTION,
                PROVISIONED_THROUGHPUT,
                ON_DEMAND_THROUGHPUT,
                WARM_THROUGHPUT,
            ],
        }),
        rules: &[],
    }),
);

pub(crate) const GLOBAL_INDEX_UPDATES: Field = plain(
    "GlobalSecondaryIndexUpdates",
    Shape::List(&Member {
        shape: Shape::Structure(&Structure {
            name: "GlobalSecondaryIndexUpdate",
            fields: &[
                plain(
                    "Update",
                    Shape::Structure(&Structure {
                        name: "UpdateGlobalSecondaryIndexAction",
                        fields: &[INDEX, UPDATED_THROUGHPUT, ON_DEMAND_THROUGHPUT, WARM_THROUGHPUT],
                    }),
                ),
                plain(
                    "Create",
                    Shape::Structure(&Structure {
                        name: "CreateGlobalSecondaryIndexAction",
                        fields: &[
                            PROJECTION,
                            INDEX,
                            PROVISIONED_THROUGHPUT,
                            GLOBAL_KEY_SCHEMA,
                            ON_DEMAND_THROUGHPUT,
                            WARM_THROUGHPUT,
                        ],
                    }),
                ),
                plain(
                    "Delete",
                    Shape::Structure(&Structure {
                        name: "DeleteGlobalSecondaryIndexAction",
                        fields: &[INDEX],
                    }),
                ),
            ],
        }),
        rules: &[],
    }),
);

/// What tables have none of: known only so that it can be refused.
const fn unknown(name: &'static str, member: &'static Member) -> Field {
    plain(name, Shape::List(member))
}

pub(crate) const REPLICA_UPDATES: Field = unknown(
    "ReplicaUpdates",
    &Member {
        shape: Shape::Structure(&Structure { name: "ReplicationGroupUpdate", fields: &[] }),
        rules: &[],
    },
);

pub(crate) const VECTOR_INDEXES: Field = unknown(
    "VectorIndexes",
    &Member { shape: Shape::Structure(&Structure { name: "VectorIndex", fields: &[] }), rules: &[] },
);

pub(crate) const VECTOR_INDEX_UPDATES: Field = unknown(
    "VectorIndexUpdates",
    &Member { shape: Shape::Structure(&Structure { name: "VectorIndexUpdate", fields: &[] }), rules: &[] },
);

pub(crate) const STREAM_SPECIFICATION: Field = plain(
    "StreamSpecification",
    Shape::Structure(&Structure {
        name: "StreamSpecification",
        fields: &[
            field("StreamEnabled", Shape::Boolean, &[Rule::NotNull]),
            field(
                "StreamViewType",
                Shape::String,
                &[Rule::OneOf(&["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"])],
            ),
        ],
    }),
);

pub(crate) const SSE_SPECIFICATION: Field = plain(
    "SSESpecification",
    Shape::Structure(&Structure {
        name: "SSESpecification",
        fields: &[
            plain("Enabled", Shape::Boolean),
            plain("KMSMasterKeyId", Shape::String),
            field("SSEType", Shape::String, &[Rule::OneOf(&["AES256", "KMS"])]),
        ],
    }),
);

pub(crate) const TABLE_CLASS: Field =
    field("TableClass", Shape::String, &[Rule::OneOf(&["STANDARD", "STANDARD_INFREQUENT_ACCESS"])]);

pub(crate) const DELETION_PROTECTION: Field = plain("DeletionProtectionEnabled", Shape::Boolean);

pub(crate) const TAGS_SHAPE: Shape = Shape::List(&Member {
    shape: Shape::Structure(&Structure {
        name: "Tag",
        fields: &[plain("Key", Shape::String), plain("Value", Shape::String)],
    }),
    rules: &[],
});

pub(crate) const TAG_KEYS: Field = plain("TagKeys", STRINGS);
pub(crate) const RESOURCE_ARN: Field = plain("ResourceArn", Shape::String);
