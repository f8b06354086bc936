//! The endpoint: how it is found, how it is asked, and its table.
//!
//! Each thread that asks waits for its own answer; the connections belong to the runtime. What the endpoint throttles is asked again, later and later,
//! as long as `Patience` lasts; lost connections are the SDK's business. Whoever waits looks now and then whether the user has had enough.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::ProvideCredentials;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    IndexStatus, TableDescription as SdkTable, TableStatus, TimeToLiveSpecification,
};
use dynamite_core::api::TableDescription;
use tokio::runtime::{Builder, Runtime};

use crate::copy::TableArguments;
use crate::copy::error::{CopyError, Result, with_causes};
use crate::copy::rate::Rate;
use crate::copy::table::creation_of;
use crate::transfer::error::TransferError;

/// How often it is looked whether the user has had enough.
const GLANCE: Duration = Duration::from_millis(50);

/// How long a table may take until it is in use. DynamoDB's need half a minute, and more with indexes that are filled.
const SETTLING: Duration = Duration::from_secs(600);

/// For how long one answer is waited.
const ANSWER: Duration = Duration::from_secs(60);

/// The endpoint.
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    /// The name of the table.
    pub(crate) table: String,
    runtime: Runtime,
    rate: Rate,
    interrupt: Arc<AtomicBool>,
    url: Option<String>,
}

impl Endpoint {
    /// Finds the endpoint that the arguments, the environment and the profile name, and who asks it.
    pub(crate) fn connect(arguments: &TableArguments, interrupt: &Arc<AtomicBool>) -> Result<Endpoint> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(TransferError::io("starting threads for", "the endpoint".as_ref()))?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ANSWER).build());
        if let Some(profile) = &arguments.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &arguments.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &arguments.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let config = runtime.block_on(loader.load());
        if config.region().is_none() {
            let reason = "say --region, set AWS_REGION, or configure a profile".to_owned();
            return Err(CopyError::Configuration { what: "no region is known", reason });
        }
        let unknown = |reason| CopyError::Configuration { what: "no credentials are known", reason };
        let provider = config.credentials_provider().ok_or_else(|| {
            unknown("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or configure a profile".to_owned())
        })?;
        runtime.block_on(provider.provide_credentials()).map_err(|error| unknown(with_causes(&error)))?;
        Ok(Endpoint {
            client: Client::new(&config),
            table: arguments.endpoint_table().to_owned(),
            runtime,
            rate: Rate::new(arguments.rate, Instant::now()),
            interrupt: interrupt.clone(),
            url: arguments.endpoint_url.clone(),
        })
    }

    /// Makes a request, again and again if it is throttled, and waits for its answer.
    pub(crate) fn ask<T, E, F>(&self, action: &'static str, request: impl Fn() -> F) -> Result<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut patience = Patience::default();
        loop {
            match self.wait(request())? {
                Ok(answer) => return Ok(answer),
                Err(error) if is_throttled(&error) => self.pause(patience.next()?)?,
                Err(error) => return Err(CopyError::of_request(action, &error)),
            }
        }
    }

    fn wait<R>(&self, answer: impl Future<Output = R>) -> Result<R> {
        self.runtime.block_on(async {
            let mut answer = pin!(answer);
            loop {
                match tokio::time::timeout(GLANCE, answer.as_mut()).await {
                    Ok(answer) => return Ok(answer),
                    Err(_) => self.glance()?,
                }
            }
        })
    }

    /// Does nothing for some time.
    pub(crate) fn pause(&self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        loop {
            self.glance()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }

    /// Whether the user has had enough.
    fn glance(&self) -> Result<()> {
        if self.interrupt.load(Ordering::Relaxed) { Err(TransferError::Interrupted.into()) } else { Ok(()) }
    }

    /// Waits until more may be used of what is there a second.
    pub(crate) fn wait_for_rate(&self) -> Result<()> {
        self.pause(self.rate.pause(Instant::now()))
    }

    /// Says how many units a request has used: what the endpoint says, and not less than what its bytes make, since not all know how to count.
    pub(crate) fn charge(&self, told: Option<f64>, counted: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a request uses some thousand units at most")]
        let counted = counted as f64;
        self.rate.charge(told.unwrap_or_default().max(counted), Instant::now());
    }

    /// The table as it is, if there is one.
    pub(crate) fn find(&self) -> Result<Option<SdkTable>> {
        let request = || self.client.describe_table().table_name(&self.table).send();
        match self.ask("describing the table", request) {
            Ok(described) => Ok(described.table),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The table, when it is in use. Indexes that are still being filled are not waited for if items are only read.
    pub(crate) fn settled(&self, with_indexes: bool) -> Result<SdkTable> {
        let begin = Instant::now();
        loop {
            let table = self.find()?.ok_or_else(|| CopyError::NoTable { table: self.table.clone() })?;
            let status = table.table_status().cloned().unwrap_or(TableStatus::Active);
            let is_filled = |index: &aws_sdk_dynamodb::types::GlobalSecondaryIndexDescription| {
                index.index_status() != Some(&IndexStatus::Creating)
            };
            let is_usable = matches!(status, TableStatus::Active | TableStatus::Updating);
            if is_usable && (!with_indexes || table.global_secondary_indexes().iter().all(is_filled)) {
                return Ok(table);
            }
            if begin.elapsed() > SETTLING {
                let seconds = SETTLING.as_secs();
                let status = status.as_str().to_owned();
                return Err(CopyError::NotActive { table: self.table.clone(), status, seconds });
            }
            self.pause(Duration::from_millis(500))?;
        }
    }

    /// Makes the table like ours, and waits until it is in use. Returns what of it the endpoint does not have.
    pub(crate) fn create(&self, like: &TableDescription) -> Result<(SdkTable, Vec<String>)> {
        let creation = creation_of(&self.client, &self.table, like)?;
        self.ask("creating the table", || creation.clone().send())?;
        let made = self.settled(true)?;
        let mut warnings = Vec::new();
        if like.stream.is_some() && made.stream_specification().is_none() {
            warnings.push(
                "the endpoint's table has no change stream: the endpoint does not know them".to_owned(),
            );
        }
        if let Some(attribute) = &like.ttl
            && !self.enable_ttl(attribute)?
        {
            warnings.push(format!(
                "items of the endpoint's table do not expire by {attribute}: the endpoint does not know that"
            ));
        }
        Ok((made, warnings))
    }

    /// Has items expire. Returns whether the endpoint knows how to do that.
    fn enable_ttl(&self, attribute: &str) -> Result<bool> {
        let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
        let ttl = ttl.map_err(|error| CopyError::Answer(error.to_string()))?;
        let request = || {
            let request = self.client.update_time_to_live().table_name(&self.table);
            request.time_to_live_specification(ttl.clone()).send()
        };
        known(self.ask("enabling TTL", request)).map(|answer| answer.is_some())
    }

    /// The attribute by which items expire, if they do.
    pub(crate) fn ttl(&self) -> Result<Option<String>> {
        let request = || self.client.describe_time_to_live().table_name(&self.table).send();
        let described = known(self.ask("describing TTL", request))?;
        let ttl = described.and_then(|described| described.time_to_live_description);
        let is_on = |status: &str| matches!(status, "ENABLED" | "ENABLING");
        Ok(ttl
            .filter(|ttl| ttl.time_to_live_status().is_some_and(|status| is_on(status.as_str())))
            .and_then(|ttl| ttl.attribute_name))
    }

    /// What no other table has, nor one that takes its place.
    pub(crate) fn identity(&self, table: &SdkTable) -> String {
        let url = self.url.as_deref().unwrap_or_default();
        let created = table.creation_date_time().map(ToString::to_string).unwrap_or_default();
        format!("{url} {} {created}", table.table_arn().unwrap_or_default())
    }
}

/// What an endpoint answers, or nothing if it has no such operation.
fn known<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error)
            if matches!(
                error.code(),
                Some("UnknownOperationException" | "UnsupportedOperationException")
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error.as_service_error().and_then(|error| error.meta().code());
    matches!(
        code,
        Some("ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "ThrottlingException")
    )
}

/// How often, and how much later each time, what the endpoint did not take is tried again: about a minute altogether.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    attempts: u32,
}

impl Patience {
    const MOST_ATTEMPTS: u32 = 16;
    const LONGEST: Duration = Duration::from_secs(8);

    /// The next pause, if there is one.
    pub(crate) fn next(&mut self) -> Result<Duration> {
        if self.attempts == Patience::MOST_ATTEMPTS {
            return Err(CopyError::Throttled { attempts: self.attempts });
        }
        let pause = Duration::from_millis(50) * 2_u32.pow(self.attempts);
        self.attempts += 1;
        Ok(pause.min(Patience::LONGEST))
    }
}
