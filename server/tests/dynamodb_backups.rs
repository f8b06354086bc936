//! Backups of tables and point-in-time recovery over HTTP, also over a restart.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynamite_core::api::DynaMite;
use dynamite_server::dynamodb::Config;
use serde_json::{Value, json};
use support::Endpoint;

const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";

fn put(endpoint: &Endpoint, n: usize) {
    let item =
        json!({"p": {"S": "a"}, "s": {"S": format!("{n:03}")}, "g": {"S": "g"}, "n": {"N": n.to_string()}});
    endpoint.done("PutItem", json!({"TableName": "ttt", "Item": item}));
}

fn count(endpoint: &Endpoint, table: &str) -> u64 {
    endpoint.done("Scan", json!({"TableName": table, "Select": "COUNT"}))["Count"].as_u64().unwrap()
}

/// Entries of the global index, once it is built.
fn count_global(endpoint: &Endpoint, table: &str) -> u64 {
    for _ in 0..500 {
        let described = endpoint.done("DescribeTable", json!({"TableName": table}));
        if described["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE" {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let query = json!({
        "TableName": table, "IndexName": "global", "Select": "COUNT",
        "KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "g"}},
    });
    endpoint.done("Query", query)["Count"].as_u64().unwrap()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as f64 / 1000.0
}

#[test]
fn a_backup_is_restored_after_the_table_was_deleted_and_the_server_restarted() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("db");
    let endpoint = Endpoint::on(&path);
    endpoint.create_table();
    endpoint.done(
        "UpdateTimeToLive",
        json!({"TableName": "ttt", "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "end"}}),
    );
    (0..20).for_each(|n| put(&endpoint, n));
    let table = endpoint.done("DescribeTable", json!({"TableName": "ttt"}))["Table"].clone();
    let created = endpoint.done("CreateBackup", json!({"TableName": "ttt", "BackupName": "one"}));
    let details = &created["BackupDetails"];
    let arn = details["BackupArn"].as_str().unwrap().to_owned();
    let prefix = "arn:aws:dynamodb:us-east-1:000000000000:table/ttt/backup/0";
    assert!(arn.starts_with(prefix) && arn.len() == prefix.len() + 22, "{arn}");
    assert_eq!((&details["BackupName"], &details["BackupStatus"]), (&json!("one"), &json!("CREATING")));
    assert_eq!(details["BackupSizeBytes"], table["TableSizeBytes"]);
    put(&endpoint, 20);
    endpoint.done("DeleteTable", json!({"TableName": "ttt"}));
    drop(endpoint);

    let endpoint = Endpoint::on(&path);
    let described = endpoint.done("DescribeBackup", json!({"BackupArn": arn}))["BackupDescription"].clone();
    let mut available = details.clone();
    available["BackupStatus"] = json!("AVAILABLE");
    assert_eq!(described["BackupDetails"], available);
    assert_eq!(
        described["SourceTableDetails"],
        json!({
            "TableName": "ttt", "TableId": table["TableId"], "TableArn": table["TableArn"],
            "TableSizeBytes": table["TableSizeBytes"], "ItemCount": 20, "KeySchema": table["KeySchema"],
            "TableCreationDateTime": table["CreationDateTime"], "BillingMode": "PAY_PER_REQUEST",
            "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        })
    );
    let features = &described["SourceTableFeatureDetails"];
    assert_eq!(
        features["TimeToLiveDescription"],
        json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "end"})
    );
    assert_eq!(features["GlobalSecondaryIndexes"][0]["IndexName"], "global");
    assert_eq!(features["LocalSecondaryIndexes"][0]["Projection"], json!({"ProjectionType": "KEYS_ONLY"}));

    let restored = endpoint
        .done("RestoreTableFromBackup", json!({"BackupArn": arn, "TargetTableName": "again"}))["TableDescription"]
        .clone();
    assert_eq!(restored["TableStatus"], "CREATING");
    assert_eq!(
        restored["RestoreSummary"],
        json!({
            "SourceBackupArn": arn, "SourceTableArn": table["TableArn"],
            "RestoreDateTime": details["BackupCreationDateTime"], "RestoreInProgress": true,
        })
    );
    assert_ne!(restored["TableId"], table["TableId"]);
    assert_eq!((count(&endpoint, "again"), count_global(&endpoint, "again")), (20, 20));
    let again = endpoint.done("DescribeTable", json!({"TableName": "again"}))["Table"].clone();
    assert_eq!(again.get("RestoreSummary"), None);
    for name in ["KeySchema", "AttributeDefinitions", "ItemCount", "TableSizeBytes"] {
        assert_eq!(again[name], table[name], "{name}");
    }
    let ttl = endpoint.done("DescribeTimeToLive", json!({"TableName": "again"}));
    assert_eq!(ttl["TimeToLiveDescription"]["TimeToLiveStatus"], "DISABLED");

    // Under its old name, with less.
    let bare = json!({
        "BackupArn": arn, "TargetTableName": "ttt", "BillingModeOverride": "PROVISIONED",
        "ProvisionedThroughputOverride": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        "GlobalSecondaryIndexOverride": [], "LocalSecondaryIndexOverride": [],
    });
    let bare = endpoint.done("RestoreTableFromBackup", bare)["TableDescription"].clone();
    assert_eq!((bare.get("GlobalSecondaryIndexes"), bare.get("LocalSecondaryIndexes")), (None, None));
    assert_eq!(bare["ProvisionedThroughput"]["WriteCapacityUnits"], 4);

    let deleted = endpoint.done("DeleteBackup", json!({"BackupArn": arn}));
    assert_eq!(deleted["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED");
    for (operation, body) in [
        ("DescribeBackup", json!({"BackupArn": arn})),
        ("DeleteBackup", json!({"BackupArn": arn})),
        ("RestoreTableFromBackup", json!({"BackupArn": arn, "TargetTableName": "more"})),
    ] {
        let (kind, text) = (format!("{DYNAMODB}BackupNotFoundException"), format!("Backup not found: {arn}"));
        endpoint.refused(operation, body, &kind, &text);
    }
    assert_eq!(count(&endpoint, "ttt"), 20);
}

#[test]
fn backups_are_listed_in_pages() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    endpoint.create_hash_table();
    let start = now();
    let mut all = Vec::new();
    for (table, name) in [("ttt", "one"), ("hhh", "two"), ("ttt", "three"), ("ttt", "one")] {
        std::thread::sleep(Duration::from_millis(3));
        let created = endpoint.done("CreateBackup", json!({"TableName": table, "BackupName": name}));
        all.push(created["BackupDetails"]["BackupArn"].as_str().unwrap().to_owned());
    }
    let list = |body: Value| {
        let told = endpoint.done("ListBackups", body);
        let arns = told["BackupSummaries"].as_array().unwrap().iter();
        let arns: Vec<String> =
            arns.map(|summary| summary["BackupArn"].as_str().unwrap().to_owned()).collect();
        (arns, told["LastEvaluatedBackupArn"].as_str().map(str::to_owned))
    };
    assert_eq!(list(json!({})), (all.clone(), None));
    assert_eq!(list(json!({"TableName": "hhh"})), (vec![all[1].clone()], None));
    assert_eq!(list(json!({"BackupType": "SYSTEM"})), (vec![], None));
    assert_eq!(list(json!({"TimeRangeUpperBound": start})), (vec![], None));
    assert_eq!(list(json!({"TimeRangeLowerBound": start, "TimeRangeUpperBound": now() + 1.0})).0, all);
    // The first bound is within, the last is not.
    let second = endpoint.done("DescribeBackup", json!({"BackupArn": all[1]}));
    let second = second["BackupDescription"]["BackupDetails"]["BackupCreationDateTime"].clone();
    assert_eq!(list(json!({"TimeRangeLowerBound": second})).0, all[1..]);
    assert_eq!(list(json!({"TimeRangeUpperBound": second})).0, all[..1]);
    assert_eq!(list(json!({"BackupType": "ALL"})).0, all);
    assert_eq!(list(json!({"BackupType": "AWS_BACKUP"})), (vec![], None));
    assert_eq!(list(json!({"Limit": 4})), (all.clone(), None));
    endpoint.invalid(
        "ListBackups",
        json!({"TimeRangeLowerBound": now(), "TimeRangeUpperBound": start}),
        "One or more parameter values were invalid: Time range lower bound must be less than or equal to upper bound",
    );
    let (first, last) = list(json!({"Limit": 3}));
    assert_eq!((&first[..], last.as_ref()), (&all[..3], Some(&all[2])));
    assert_eq!(list(json!({"Limit": 3, "ExclusiveStartBackupArn": last})), (all[3..].to_vec(), None));
    let told = endpoint.done("ListBackups", json!({"TableName": "hhh"}));
    let summary = &told["BackupSummaries"][0];
    assert_eq!((&summary["TableName"], &summary["BackupType"]), (&json!("hhh"), &json!("USER")));
    assert_eq!(summary["BackupStatus"], "AVAILABLE");
    // A place in the list is one also when the backup is gone.
    endpoint.done("DeleteBackup", json!({"BackupArn": all[1]}));
    assert_eq!(list(json!({"ExclusiveStartBackupArn": all[1]})), (all[2..].to_vec(), None));
}

#[test]
fn a_table_is_restored_to_a_point_in_time() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    (0..5).for_each(|n| put(&endpoint, n));
    let describe = || {
        let told = endpoint.done("DescribeContinuousBackups", json!({"TableName": "ttt"}));
        told["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone()
    };
    let latest = |target: &str| json!({"SourceTableName": "ttt", "TargetTableName": target, "UseLatestRestorableTime": true});
    let unavailable = format!("{DYNAMODB}PointInTimeRecoveryUnavailableException");
    let text = "Point in time recovery is not enabled for table 'ttt'";
    assert_eq!(describe(), json!({"PointInTimeRecoveryStatus": "DISABLED"}));
    endpoint.refused("RestoreTableToPointInTime", latest("rrr"), &unavailable, text);
    let enable = |enabled: bool, more: Value| {
        let mut specification = json!({"PointInTimeRecoveryEnabled": enabled});
        specification.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({"TableName": "ttt", "PointInTimeRecoverySpecification": specification});
        let told = endpoint.done("UpdateContinuousBackups", body);
        told["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone()
    };
    let enabled = enable(true, json!({}));
    assert_eq!(
        (&enabled["PointInTimeRecoveryStatus"], &enabled["RecoveryPeriodInDays"]),
        (&json!("ENABLED"), &json!(35))
    );
    assert_eq!(enable(true, json!({"RecoveryPeriodInDays": 2}))["RecoveryPeriodInDays"], 2);
    std::thread::sleep(Duration::from_millis(2_500));
    let between = now();
    assert!(describe()["EarliestRestorableDateTime"].as_f64().unwrap() <= between);
    std::thread::sleep(Duration::from_millis(100));
    (5..8).for_each(|n| put(&endpoint, n));
    endpoint.done("DeleteItem", json!({"TableName": "ttt", "Key": {"p": {"S": "a"}, "s": {"S": "000"}}}));

    let restore = |target: &str, ms: f64| json!({"SourceTableName": "ttt", "TargetTableName": target, "RestoreDateTime": ms});
    let restored = endpoint.done("RestoreTableToPointInTime", restore("old", between));
    let summary = &restored["TableDescription"]["RestoreSummary"];
    assert_eq!((&summary["RestoreDateTime"], summary.get("SourceBackupArn")), (&json!(between), None));
    assert_eq!((count(&endpoint, "old"), count_global(&endpoint, "old")), (5, 5));
    let by_arn = json!({
        "SourceTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/ttt",
        "TargetTableName": "new", "UseLatestRestorableTime": true,
    });
    endpoint.done("RestoreTableToPointInTime", by_arn);
    assert_eq!((count(&endpoint, "new"), count_global(&endpoint, "new")), (7, 7));

    for (seconds, told) in
        [(0.0, "1970-01-01T00:00:00Z"), (1e9, "2001-09-09T01:46:40Z"), (between + 3600.0, ""), (1e300, "")]
    {
        let (status, answer) = endpoint.call("RestoreTableToPointInTime", restore("rrr", seconds));
        let kind = format!("{DYNAMODB}InvalidRestoreTimeException");
        assert_eq!((status, answer["__type"].as_str()), (400, Some(&*kind)));
        let text = answer["message"].as_str().unwrap();
        assert!(text.starts_with(&format!("RestoreDateTime '{told}")), "{text}");
        assert!(text.contains("' must be within EarliestRestorableDateTime '20"), "{text}");
        assert!(text.contains("Z' and LatestRestorableDateTime '20") && text.ends_with("Z'"), "{text}");
    }
    let kind = format!("{DYNAMODB}TableAlreadyExistsException");
    endpoint.refused("RestoreTableToPointInTime", latest("old"), &kind, "Table already exists: old");
    assert_eq!(enable(false, json!({})), json!({"PointInTimeRecoveryStatus": "DISABLED"}));
    let text = "Point in time recovery is not enabled for table 'ttt'";
    endpoint.refused("RestoreTableToPointInTime", latest("rrr"), &unavailable, text);
    for (operation, body) in [
        ("DescribeContinuousBackups", json!({"TableName": "missing"})),
        ("CreateBackup", json!({"TableName": "missing", "BackupName": "one"})),
        (
            "UpdateContinuousBackups",
            json!({"TableName": "missing", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}}),
        ),
        (
            "RestoreTableToPointInTime",
            json!({"SourceTableName": "missing", "TargetTableName": "rrr", "UseLatestRestorableTime": true}),
        ),
    ] {
        let kind = format!("{DYNAMODB}TableNotFoundException");
        endpoint.refused(operation, body, &kind, "Table not found: missing");
    }
}

#[test]
fn a_backup_is_found_only_by_its_own_name() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let created = endpoint.done("CreateBackup", json!({"TableName": "ttt", "BackupName": "one"}));
    let arn = created["BackupDetails"]["BackupArn"].as_str().unwrap();
    let of_other = arn.replace("/ttt/", "/hhh/");
    let kind = format!("{DYNAMODB}BackupNotFoundException");
    for operation in ["DescribeBackup", "DeleteBackup", "RestoreTableFromBackup"] {
        let body = |arn: &str| json!({"BackupArn": arn, "TargetTableName": "rrr"});
        endpoint.refused(operation, body(&of_other), &kind, &format!("Backup not found: {of_other}"));
        let table = "arn:aws:dynamodb:us-east-1:000000000000:table/ttt";
        endpoint.invalid(operation, body(table), "Invalid Backup ARN");
        endpoint.invalid(operation, body(&"x".repeat(48)), "Invalid Backup ARN");
        let elsewhere = arn.replace(":dynamodb:", ":s3:");
        endpoint.invalid(operation, body(&elsewhere), "Invalid Request: BackupArn is not valid");
    }
    assert_eq!(endpoint.done("ListBackups", json!({}))["BackupSummaries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_table_that_is_being_created_has_no_backups_yet() {
    let config = Config { creation_time: Duration::from_secs(3600), ..Config::default() };
    let endpoint = Endpoint::with(DynaMite::in_memory().unwrap(), config);
    endpoint.create_table();
    let kind = format!("{DYNAMODB}TableNotFoundException");
    let body = json!({"TableName": "ttt", "BackupName": "one"});
    endpoint.refused("CreateBackup", body, &kind, "Table not found: ttt");
}

#[test]
fn a_restored_table_is_billed_as_it_was_or_as_it_is_told_and_nothing_else_is_taken_over() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/ttt";
    endpoint.done("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]}));
    let policy = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    endpoint.done("PutResourcePolicy", json!({"ResourceArn": arn, "Policy": policy}));
    endpoint.done("UpdateTable", json!({"TableName": "ttt", "DeletionProtectionEnabled": true}));
    endpoint.done("UpdateTable", json!({"TableName": "ttt", "TableClass": "STANDARD_INFREQUENT_ACCESS"}));
    let encryption = json!({"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": "alias/one"});
    endpoint.done("UpdateTable", json!({"TableName": "ttt", "SSESpecification": encryption}));
    endpoint.done(
        "UpdateContinuousBackups",
        json!({"TableName": "ttt", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}}),
    );
    let created = endpoint.done("CreateBackup", json!({"TableName": "ttt", "BackupName": "one"}));
    let backup = created["BackupDetails"]["BackupArn"].clone();
    let described = endpoint.done("DescribeBackup", json!({"BackupArn": backup}));
    let features = &described["BackupDescription"]["SourceTableFeatureDetails"];
    assert_eq!(
        features["SSEDescription"],
        json!({"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": "alias/one"})
    );
    let restore = |target: &str, more: Value| {
        let mut body = json!({"BackupArn": backup, "TargetTableName": target});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };

    endpoint.done("RestoreTableFromBackup", restore("same", json!({})));
    let table = endpoint.done("DescribeTable", json!({"TableName": "same"}))["Table"].clone();
    assert_eq!(table["DeletionProtectionEnabled"], false);
    assert_eq!(table.get("TableClassSummary"), None);
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["SSEDescription"]["KMSMasterKeyArn"], "alias/one");
    let again = "arn:aws:dynamodb:us-east-1:000000000000:table/same";
    assert_eq!(endpoint.done("ListTagsOfResource", json!({"ResourceArn": again})), json!({"Tags": []}));
    assert_eq!(endpoint.call("GetResourcePolicy", json!({"ResourceArn": again})).0, 400);
    let recovery = endpoint.done("DescribeContinuousBackups", json!({"TableName": "same"}));
    let recovery = &recovery["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(recovery["PointInTimeRecoveryStatus"], "DISABLED");

    let units = json!({"ReadCapacityUnits": 3, "WriteCapacityUnits": 4});
    let told = json!({
        "BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": units,
        "SSESpecificationOverride": {"Enabled": false},
    });
    endpoint.done("RestoreTableFromBackup", restore("told", told));
    let table = endpoint.done("DescribeTable", json!({"TableName": "told"}))["Table"].clone();
    assert_eq!(
        (&table["ProvisionedThroughput"]["ReadCapacityUnits"], table.get("SSEDescription")),
        (&json!(3), None)
    );
    // And back: the units that were provisioned are not told any more.
    let created = endpoint.done("CreateBackup", json!({"TableName": "told", "BackupName": "two"}));
    let body = json!({
        "BackupArn": created["BackupDetails"]["BackupArn"], "TargetTableName": "back", "BillingModeOverride": "PAY_PER_REQUEST",
    });
    endpoint.done("RestoreTableFromBackup", body);
    let table = endpoint.done("DescribeTable", json!({"TableName": "back"}))["Table"].clone();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 0);
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");

    // The units of an index are taken over, and nothing else of it can be said otherwise.
    let index = |units: Value, change: Value| {
        let mut index = json!({
            "IndexName": "global", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]}, "ProvisionedThroughput": units,
        });
        index.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!([index])
    };
    let provisioned = |index: Value| json!({"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": units, "GlobalSecondaryIndexOverride": index});
    endpoint.done("RestoreTableFromBackup", restore("index", provisioned(index(units.clone(), json!({})))));
    let table = endpoint.done("DescribeTable", json!({"TableName": "index"}))["Table"].clone();
    assert_eq!(table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["WriteCapacityUnits"], 4);
    let no_match = "Index global does not match a secondary index that existed in the source table and cannot be created during the \
                    restore operation";
    let local = json!([{
        "IndexName": "local", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
    }]);

    for (more, text) in [
        (
            json!({"GlobalSecondaryIndexOverride": index(Value::Null, json!({"Projection": {"ProjectionType": "ALL"}}))}),
            no_match,
        ),
        (
            json!({"GlobalSecondaryIndexOverride": index(Value::Null, json!({"KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}]}))}),
            no_match,
        ),
        (json!({"LocalSecondaryIndexOverride": local}), &no_match.replace("global", "local")),
        (provisioned(index(Value::Null, json!({}))), "Must specify provisioned throughput for index global"),
        (
            json!({"BillingModeOverride": "PAY_PER_REQUEST", "GlobalSecondaryIndexOverride": index(units.clone(), json!({}))}),
            "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index global",
        ),
        (
            json!({"GlobalSecondaryIndexOverride": index(units.clone(), json!({}))}),
            "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        ),
        (
            json!({"BillingModeOverride": "PAY_PER_REQUEST", "ProvisionedThroughputOverride": units}),
            "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST",
        ),
        (
            json!({"ProvisionedThroughputOverride": units}),
            "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        ),
        (
            json!({"BillingModeOverride": "PROVISIONED"}),
            "Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
        ),
        (
            json!({"GlobalSecondaryIndexOverride": [{
                "IndexName": "other", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }]}),
            "Index other does not match a secondary index that existed in the source table and cannot be created during the \
             restore operation",
        ),
    ] {
        endpoint.invalid("RestoreTableFromBackup", restore("rrr", more), &format!("Invalid Request: {text}"));
    }
    assert_eq!(endpoint.call("DescribeTable", json!({"TableName": "rrr"})).0, 400);
}

#[test]
fn what_a_restore_to_a_point_in_time_must_be_told_is_told_once() {
    let endpoint = Endpoint::start();
    endpoint.create_table();
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/ttt";
    let invalid = |body: Value, text: &str| endpoint.invalid("RestoreTableToPointInTime", body, text);
    invalid(
        json!({"TargetTableName": "rrr", "UseLatestRestorableTime": true}),
        "The parameter 'TableName' is required but was not present in the request",
    );
    invalid(
        json!({
            "SourceTableArn": arn, "SourceTableName": "ttt", "TargetTableName": "rrr", "UseLatestRestorableTime": true,
        }),
        "Must provide exactly one of: sourceTableArn, sourceTableName",
    );
    invalid(
        json!({
            "SourceTableName": "ttt", "TargetTableName": "rrr", "UseLatestRestorableTime": true, "RestoreDateTime": 1,
        }),
        "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore request. \
         Please specify either RestoreDateTime time or UseLatestRestorableTime",
    );
    for latest in [json!({}), json!({"UseLatestRestorableTime": false})] {
        let mut body = json!({"SourceTableName": "missing", "TargetTableName": "rrr"});
        body.as_object_mut().unwrap().extend(latest.as_object().unwrap().clone());
        invalid(
            body,
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
        );
    }
    endpoint.invalid(
        "UpdateContinuousBackups",
        json!({"TableName": "ttt", "PointInTimeRecoverySpecification": {
            "PointInTimeRecoveryEnabled": false, "RecoveryPeriodInDays": 3,
        }}),
        "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
    );
}

/// Whoever keeps a history by another door keeps it for as long as before, and never for less.
#[test]
fn point_in_time_recovery_shortens_no_history() {
    let db = DynaMite::in_memory().unwrap();
    let endpoint = Endpoint::with(db.clone(), Config::default());
    endpoint.create_table();
    let (day, hour) = (Duration::from_secs(86_400), Duration::from_secs(3600));
    let history = || db.describe_table("ttt").unwrap().history;
    let enable = |enabled: bool, days: Option<u64>| {
        let mut specification = json!({"PointInTimeRecoveryEnabled": enabled});
        if let Some(days) = days {
            specification["RecoveryPeriodInDays"] = json!(days);
        }
        let body = json!({"TableName": "ttt", "PointInTimeRecoverySpecification": specification});
        let told = endpoint.done("UpdateContinuousBackups", body);
        told["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone()
    };
    db.update_table("ttt").history(hour).execute().unwrap();
    let enabled = enable(true, None);
    assert_eq!(history(), Some(35 * day));
    let (earliest, latest) = (&enabled["EarliestRestorableDateTime"], &enabled["LatestRestorableDateTime"]);
    assert!(earliest.as_f64() <= latest.as_f64() && latest.as_f64().unwrap() <= now(), "{enabled}");
    enable(true, Some(3));
    assert_eq!(history(), Some(3 * day));
    assert_eq!(enable(true, None)["RecoveryPeriodInDays"], 3);
    enable(false, None);
    assert_eq!(history(), Some(hour));
    db.update_table("ttt").history(40 * day).execute().unwrap();
    enable(true, Some(1));
    assert_eq!(history(), Some(40 * day));
    enable(false, None);
    assert_eq!(history(), Some(40 * day));
}
