//! Reading answers: XML from S3 and Redshift, JSON from SQS and Redshift Serverless.

use http::HeaderMap;
use quick_xml::events::Event;
use serde::de::DeserializeOwned;

use crate::error::AwsError;

/// Reads an answer in JSON.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| AwsError::unreadable(&error))
}

/// Reads an answer in XML, whatever the name of its outermost element.
pub fn read_xml<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    quick_xml::de::from_reader(body).map_err(|error| AwsError::unreadable(&error))
}

/// The error that an answer of this status is; `None` if it is none.
pub(crate) fn error(status: u16, headers: &HeaderMap, body: &[u8]) -> Option<AwsError> {
    let is_success = (200..300).contains(&status);
    if body.trim_ascii_start().starts_with(b"<") {
        // While S3 copies, it has sent its status already: then the error is all that tells.
        let is_error = !is_success || outermost(body).as_deref() == Some("Error");
        return is_error.then(|| AwsError::refused(status, text_of(body, "Code"), text_of(body, "Message")));
    }
    if is_success {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        body.get(name)
            .and_then(|value| value.as_str())
            .map(ToOwned::to_owned)
    };
    let header = headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok());
    let code = text("__type")
        .or_else(|| text("code"))
        .or_else(|| header.map(ToOwned::to_owned));
    // `com.amazonaws.sqs#QueueDoesNotExist`, or `ThrottlingException:http://…`.
    let code = code.map(|code| {
        let code = code.rsplit('#').next().unwrap_or_default();
        code.split(':').next().unwrap_or_default().to_owned()
    });
    Some(AwsError::refused(
        status,
        code,
        text("message").or_else(|| text("Message")),
    ))
}

/// The name of the outermost element.
fn outermost(xml: &[u8]) -> Option<String> {
    let mut reader = quick_xml::Reader::from_reader(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => {
                return Some(String::from_utf8_lossy(element.local_name().as_ref()).into_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// The text of the first element of a name.
fn text_of(xml: &[u8], name: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_reader(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) if element.local_name().as_ref() == name.as_bytes() => {
                let end = element.to_end().into_owned();
                let text = reader.read_text(end.name()).ok()?;
                let text = text.decode().ok()?;
                return quick_xml::escape::unescape(&text)
                    .ok()
                    .map(|text| text.into_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn told(status: u16, body: &str) -> Option<(String, Option<String>)> {
        let error = error(status, &HeaderMap::new(), body.as_bytes())?;
        Some((error.to_string(), error.code().map(ToOwned::to_owned)))
    }

    #[test]
    fn errors_are_read_in_every_protocol() {
        let of_s3 =
            "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>a &lt; b</Message></Error>";
        let expected = ("AccessDenied: a < b".to_owned(), Some("AccessDenied".to_owned()));
        assert_eq!(told(403, of_s3), Some(expected.clone()));
        // A copy that failed after its status was sent.
        assert_eq!(told(200, of_s3), Some(expected));
        assert_eq!(
            told(200, "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"),
            None
        );
        let of_redshift = "<ErrorResponse xmlns=\"u\"><Error><Type>Sender</Type><Code>ClusterNotFound</Code>\
                           <Message>no</Message></Error></ErrorResponse>";
        assert_eq!(told(404, of_redshift).unwrap().0, "ClusterNotFound: no");
        let of_sqs = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}"#;
        assert_eq!(told(400, of_sqs).unwrap().1.as_deref(), Some("QueueDoesNotExist"));
        assert_eq!(told(502, "").unwrap().0, "the answer had status 502");
        assert_eq!(
            told(502, "<html>bad gateway").unwrap().0,
            "the answer had status 502"
        );
        assert_eq!(told(204, ""), None);
    }

    #[test]
    fn answers_are_read_by_their_shape() {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Key")]
            keys: Vec<String>,
        }
        let read: Answer = read_xml(b"<Any xmlns=\"u\"><Key>a &amp; b</Key><Key>c</Key></Any>").unwrap();
        assert_eq!(read.keys, ["a & b", "c"]);
        assert!(read_xml::<Answer>(b"<Any>").is_err());
        assert!(read_json::<Answer>(b"{").is_err());
    }
}
