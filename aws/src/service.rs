//! A service of AWS in one region, and requests to it.

use std::time::Duration;

use aws_config::SdkConfig;
use backon::{ExponentialBuilder, Retryable};
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};

use serde::Serialize;

use crate::answer;
use crate::credentials::credentials;
use crate::error::AwsError;

const CONNECT: Duration = Duration::from_secs(5);

/// The pause before the first retry; the others double, each with some chance added.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long a service is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long the server may stay silent.
    pub silence: Duration,
    /// How many times to retry a request whose failure may be transient.
    pub retries: usize,
}

/// A service that takes signed requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Service {
    /// The name that requests are signed for, such as `sqs`.
    name: &'static str,
    region: String,
    credentials: AwsCredentialProvider,
    client: HttpClient,
    retries: usize,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Call {
    /// Makes a request without headers or body. Path and query of the URL are encoded already.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Makes a request to a service that takes JSON. `operation` has the service in it, as in `AmazonSQS.ReceiveMessage`;
    /// `version` is that of the protocol, `1.0` or `1.1`.
    pub fn json(endpoint: &str, operation: &str, version: &str, body: &serde_json::Value) -> Self {
        Self::new(Method::POST, format!("{endpoint}/"))
            .header("x-amz-target", operation)
            .header("content-type", format!("application/x-amz-json-{version}"))
            .body(body.to_string())
    }

    /// Sets a body in XML, with the checksum that S3 insists on for some operations.
    pub fn xml<T: Serialize>(self, root: &str, body: &T) -> Result<Self, AwsError> {
        let body =
            quick_xml::se::to_string_with_root(root, body).map_err(|error| AwsError::unsent(&error))?;
        let checksum = BASE64_STANDARD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes());
        Ok(self
            .header("content-type", "application/xml")
            .header("x-amz-checksum-crc32", checksum)
            .body(body))
    }

    /// Adds a header. One whose value no header can hold makes the request fail.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }
}

impl Service {
    /// Prepares to reach a service in a region: the one named, or else that of the configuration. Requests are signed for
    /// `name`, such as `sqs`. Nothing is sent yet.
    pub fn new(
        name: &'static str,
        region: Option<&str>,
        config: &SdkConfig,
        patience: Patience,
    ) -> Result<Self, AwsError> {
        let configured = || config.region().map(ToString::to_string);
        let region = region.map(ToOwned::to_owned).or_else(configured);
        let options = ClientOptions::new()
            // Whoever made the URL has seen to it that http is allowed there.
            .with_allow_http(true)
            .with_connect_timeout(CONNECT)
            // The silence of the server is bounded, not the time that an answer takes.
            .with_read_timeout(patience.silence)
            .with_timeout_disabled();
        let client = ReqwestConnector::default().connect(&options);
        Ok(Self {
            name,
            region: region.ok_or_else(AwsError::no_region)?,
            credentials: credentials(config).ok_or_else(AwsError::no_credentials)?,
            client: client.map_err(|error| AwsError::unsent(&error))?,
            retries: patience.retries,
        })
    }

    /// Returns the region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Sends a request, again if need be, and returns the body of the answer.
    pub async fn send(&self, call: &Call) -> Result<Bytes, AwsError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(self.retries)
            .with_jitter();
        let note = |error: &AwsError, pause| {
            tracing::debug!(service = self.name, %error, ?pause, "a request is tried again");
        };
        (|| self.send_once(call))
            .retry(pauses)
            .when(AwsError::is_transient)
            .notify(note)
            .await
    }

    async fn send_once(&self, call: &Call) -> Result<Bytes, AwsError> {
        let mut request = request(call)?;
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| AwsError::unanswered(&error))?;
        AwsAuthorizer::new(&credential, self.name, &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| AwsError::unsent(&error))?;
        let answer = self.client.execute(request).await;
        let (parts, body) = answer.map_err(|error| AwsError::unanswered(&error))?.into_parts();
        let body = body.bytes().await.map_err(|error| AwsError::unanswered(&error))?;
        match answer::error(parts.status.as_u16(), &parts.headers, &body) {
            Some(error) => Err(error),
            None => Ok(body),
        }
    }
}

fn request(call: &Call) -> Result<HttpRequest, AwsError> {
    let mut request = HttpRequest::new(HttpRequestBody::from(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = call
        .url
        .parse::<Uri>()
        .map_err(|error| AwsError::unsent(&error))?;
    for (name, value) in &call.headers {
        let value = HeaderValue::from_str(value).map_err(|error| AwsError::unsent(&error))?;
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}
