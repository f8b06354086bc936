//! DescribeLimits, DescribeEndpoints: what is told of the service.

use serde_json::json;

use super::reply;
use crate::dynamodb::Endpoint;
use crate::dynamodb::errors::Answer;
use crate::dynamodb::json::Json;

pub(crate) fn limits(_: &Endpoint, _: &Json<'_>) -> Answer {
    // Nothing is limited; these are the service's defaults, which some tools compare with.
    reply(&json!({
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    }))
}

/// There is only this endpoint, under the name by which it was asked: clients that look for others go on with it.
pub(crate) fn endpoints(endpoint: &Endpoint, host: &str) -> Answer {
    let address = match host {
        "" => format!("dynamodb.{}.amazonaws.com", endpoint.config.region),
        host => host.to_owned(),
    };
    reply(&json!({"Endpoints": [{"Address": address, "CachePeriodInMinutes": 1440}]}))
}
