//! Units that requests ask for: provisioned ones, the most that may be used on demand, and what is to be kept warm. They are kept and
//! described, and have no effect.

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::table_settings::Throughput;

/// The most units that can be asked for.
pub(crate) const MAX_UNITS: u64 = 1_000_000_000_000;

/// Refuses units that nobody has.
pub(crate) fn check_units(throughput: &Json<'_>) -> Answer<()> {
    for name in ["ReadCapacityUnits", "WriteCapacityUnits"] {
        let units = throughput.integer(name).unwrap_or_default();
        if u64::try_from(units).is_ok_and(|units| units > MAX_UNITS) {
            return Err(Failure::validation(format!("Given value {units} for {name} is out of bounds")));
        }
    }
    Ok(())
}

/// Units that are provisioned.
pub(crate) fn throughput(of: &Json<'_>) -> Throughput {
    units_of(of.field("ProvisionedThroughput"))
}

/// Units, if there are any.
pub(crate) fn units_of(throughput: Option<&Json<'_>>) -> Throughput {
    let units = |name| throughput.and_then(|throughput| throughput.integer(name)).unwrap_or_default();
    Throughput {
        read: u64::try_from(units("ReadCapacityUnits")).unwrap_or_default(),
        write: u64::try_from(units("WriteCapacityUnits")).unwrap_or_default(),
        ..Throughput::default()
    }
}

/// Whose units a request asks for.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'r> {
    Table,
    Index(&'r str),
}

/// Takes over what a request says beside provisioned units. What it says nothing of stays as it is.
pub(crate) fn take_over(
    stored: &mut Throughput,
    asked: &Json<'_>,
    owner: Owner<'_>,
    is_on_demand: bool,
    is_new: bool,
) -> Answer<()> {
    let (of, of_warm) = match owner {
        Owner::Table => ("table".to_owned(), "table".to_owned()),
        Owner::Index(name) => (format!("index : {name}"), format!("index {name}")),
    };
    let on_demand = asked.field("OnDemandThroughput");
    for (name, stored) in
        [("MaxReadRequestUnits", &mut stored.max_read), ("MaxWriteRequestUnits", &mut stored.max_write)]
    {
        let Some(units) = on_demand.and_then(|units| units.integer(name)) else { continue };
        if !is_on_demand {
            let of = if matches!(owner, Owner::Table) { String::new() } else { format!(" for {of}") };
            return Err(Failure::invalid(format_args!(
                "{name} for OnDemandThroughput{of} cannot be specified when the table BillingMode is PROVISIONED"
            )));
        }
        *stored = match u64::try_from(units) {
            Ok(units) if units > 0 => Some(units),
            Err(_) if units == -1 && !is_new => None,
            _ => {
                return Err(Failure::invalid(format_args!(
                    "Requested {name} for OnDemandThroughput for {of} is outside of valid range"
                )));
            }
        };
    }
    let warm = asked.field("WarmThroughput");
    for (name, stored) in
        [("ReadUnitsPerSecond", &mut stored.warm_read), ("WriteUnitsPerSecond", &mut stored.warm_write)]
    {
        let Some(units) = warm.and_then(|units| units.integer(name)) else { continue };
        let units = u64::try_from(units).unwrap_or_default();
        if stored.is_some_and(|stored| stored > units) {
            return Err(Failure::invalid(format_args!(
                "Requested {name} for WarmThroughput for {of_warm} is lower than current WarmThroughput, decreasing WarmThroughput \
                 is not supported"
            )));
        }
        *stored = Some(units);
    }
    Ok(())
}
