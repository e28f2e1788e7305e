//! Uploads in parts that were begun and never ended: they are no objects, appear in no listing of objects, and cost
//! money until they are aborted.
//!
//! `object_store` does not list them. Their list is one request, which is made here: to S3 with a URL that it signs, to
//! Google with the token that it has. Azure drops by itself, after a week, what was sent of an object and never ended.

use std::time::Duration;

use anyhow::Context;
use gristmill_watcher::StorageClient;
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{ClientOptions, MultipartId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::bucket::LakeBucket;

/// How long a signed URL is good for.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// Where Google's own server is.
const GOOGLE: &str = "https://storage.googleapis.com";

/// Aborts all uploads below the lake's prefix, and tells how many. One that was completed or aborted meanwhile is left.
pub(super) async fn abort_all(bucket: &LakeBucket) -> anyhow::Result<usize> {
    let action = || format!("cannot abort unfinished uploads of the lake {}", bucket.url);
    let uploads: &dyn MultipartStore = match bucket.opened.kind() {
        StorageClient::S3(client) => &**client,
        StorageClient::Google(client) => &**client,
        StorageClient::Azure(client) => &**client,
    };
    let mut aborted = 0;
    loop {
        let begun = list(bucket).await.with_context(action)?;
        let mut any = false;
        for (key, id) in begun {
            match uploads.abort_multipart(&key, &id).await {
                Ok(()) => any = true,
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(anyhow::Error::new(error).context(action())),
            }
            aborted += 1;
        }
        if !any {
            return Ok(aborted);
        }
    }
}

/// The first thousand unfinished uploads.
async fn list(bucket: &LakeBucket) -> anyhow::Result<Vec<(ObjectPath, MultipartId)>> {
    let Some(request) = request(bucket).await? else {
        return Ok(Vec::new());
    };
    // Errors of the client quote the URL, whose signature is a secret for a minute.
    let url = request.uri().to_string();
    let unsigned =
        |error: &dyn std::error::Error| anyhow::anyhow!("{}", error.to_string().replace(&url, "…"));
    // Whoever made the URL has seen to it that http is allowed there.
    let options = ClientOptions::new().with_allow_http(true);
    let answer = ReqwestConnector::default()
        .connect(&options)?
        .execute(request)
        .await;
    let answer = answer.map_err(|error| unsigned(&error))?;
    let status = answer.status();
    let body = answer
        .into_body()
        .bytes()
        .await
        .map_err(|error| unsigned(&error))?;
    let body = String::from_utf8_lossy(&body);
    anyhow::ensure!(
        status.is_success(),
        "the list of them was refused: {status} {}",
        element(&body, "Code").unwrap_or_default()
    );
    parse(&body)
}

/// The request for the list; none where there is no such list.
async fn request(bucket: &LakeBucket) -> anyhow::Result<Option<HttpRequest>> {
    let prefix = match bucket.prefix.as_ref() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    let url = match bucket.opened.kind() {
        StorageClient::S3(client) => {
            let query = SignedUrlOptions::new().with_query([("uploads", ""), ("prefix", prefix.as_str())]);
            let whole = ObjectPath::default();
            let url = client.signed_url_opts(request.method().clone(), &whole, GOOD_FOR, &query);
            url.await?.to_string()
        }
        StorageClient::Google(client) => {
            let token = client.credentials().get_credential().await?;
            let token = format!("Bearer {}", token.bearer).parse();
            let token =
                token.map_err(|_| anyhow::anyhow!("the token has characters that no header can have"))?;
            request.headers_mut().insert("authorization", token);
            let server = bucket.endpoint.as_deref().unwrap_or(GOOGLE);
            let prefix = utf8_percent_encode(&prefix, NON_ALPHANUMERIC);
            format!("{server}/{}?uploads&prefix={prefix}", bucket.opened.name())
        }
        StorageClient::Azure(_) => return Ok(None),
    };
    *request.uri_mut() = url
        .parse()
        .map_err(|_| anyhow::anyhow!("the endpoint is no URL"))?;
    Ok(Some(request))
}

/// Reads the answer: `<Upload>` elements, each with a `<Key>` and an `<UploadId>`.
fn parse(body: &str) -> anyhow::Result<Vec<(ObjectPath, MultipartId)>> {
    let uploads = body.split("<Upload>").skip(1).map(|upload| {
        let text = |name| element(upload, name).with_context(|| format!("an upload has no {name}"));
        Ok((ObjectPath::parse(text("Key")?)?, text("UploadId")?))
    });
    uploads.collect()
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let escapes = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&amp;", "&"),
    ];
    Some(escapes.iter().fold(text.to_owned(), |text, (escape, character)| {
        text.replace(escape, character)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_read_from_the_answer() {
        let body = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker/>\
                    <Upload><Key>lake/a &amp; b.parquet</Key><UploadId>u-1_x</UploadId></Upload>\
                    <Upload>\n<UploadId>2</UploadId><Key>lake/c</Key></Upload></ListMultipartUploadsResult>";
        let uploads = parse(body).unwrap();
        let found: Vec<_> = uploads
            .iter()
            .map(|(key, id)| (key.as_ref(), id.as_str()))
            .collect();
        assert_eq!(found, [("lake/a & b.parquet", "u-1_x"), ("lake/c", "2")]);
        assert!(
            parse("<ListMultipartUploadsResult></ListMultipartUploadsResult>")
                .unwrap()
                .is_empty()
        );
        assert!(parse("<Upload><Key>k</Key></Upload>").is_err());
    }
}
