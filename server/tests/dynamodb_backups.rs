//! Backups of tables and point-in-time recovery over HTTP, also over a restart.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    assert_eq!((&details["BackupName"], &details["BackupStatus"]), (&json!("one"), &json!("AVAILABLE")));
    assert_eq!(details["BackupSizeBytes"], table["TableSizeBytes"]);
    put(&endpoint, 20);
    endpoint.done("DeleteTable", json!({"TableName": "ttt"}));
    drop(endpoint);

    let endpoint = Endpoint::on(&path);
    let described = endpoint.done("DescribeBackup", json!({"BackupArn": arn}))["BackupDescription"].clone();
    assert_eq!(described["BackupDetails"], *details);
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
    assert_eq!(again["RestoreSummary"]["RestoreInProgress"], false);
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
    let (first, last) = list(json!({"Limit": 3}));
    assert_eq!((&first[..], last.as_ref()), (&all[..3], Some(&all[2])));
    assert_eq!(list(json!({"Limit": 3, "ExclusiveStartBackupArn": last})), (all[3..].to_vec(), None));
    let told = endpoint.done("ListBackups", json!({"TableName": "hhh"}));
    let summary = &told["BackupSummaries"][0];
    assert_eq!((&summary["TableName"], &summary["BackupType"]), (&json!("hhh"), &json!("USER")));
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

    let text = "RestoreDateTime must be between EarliestRestorableDateTime and LatestRestorableDateTime";
    for ms in [0.0, between - 3600.0, between + 3600.0, 1e300] {
        let kind = format!("{DYNAMODB}InvalidRestoreTimeException");
        endpoint.refused("RestoreTableToPointInTime", restore("rrr", ms), &kind, text);
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
