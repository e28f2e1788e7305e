//! What every request must pass, and what every response says: who may ask for what, and what browsers may do with it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::address::address;
use super::desk::Desk;
use super::problem::Problem;
use super::session;

/// Pages load nothing from elsewhere, run no script but our own, are shown in no frame, and send forms only to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every response says, unless it says something else itself.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// Lets a request through if it may be answered.
pub(super) async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let mut response = match check(&desk, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => *refused,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn check(desk: &Desk, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let path = uri.path();
    let is_api = path.starts_with("/api/");
    let refuse = |problem: Problem| {
        Box::new(match is_api {
            true => problem.json(),
            false => problem.page(),
        })
    };
    if !is_known_host(desk, headers) {
        return Err(refuse(Problem::Forbidden(
            "this name is not one of the service's: add it to http.hosts".to_owned(),
        )));
    }
    let is_safe = method == Method::GET || method == Method::HEAD;
    if !is_safe && !is_same_origin(headers) {
        return Err(refuse(Problem::Forbidden(
            "requests that change something must come from the service's own pages, or carry the token"
                .to_owned(),
        )));
    }
    // Whoever asks whether the service is well need not know the token; nor does whoever is to present it.
    let is_open = ["/healthz", "/readyz", "/sign-in"].contains(&path) || path.starts_with("/assets/");
    let needs_token = (!is_safe || !desk.is_loopback()) && !is_open;
    if !needs_token || session::is_signed_in(desk, headers) {
        return Ok(());
    }
    if !desk.has_token() {
        return Err(refuse(Problem::Forbidden(
            "this page only shows: set http.token in the settings file to act here".to_owned(),
        )));
    }
    if is_safe && !is_api && path != "/metrics" && path != "/live" {
        let here = uri.path_and_query().map_or("/", |here| here.as_str());
        let to = Redirect::to(&address("/sign-in", &[("next", here)]));
        return Err(Box::new(to.into_response()));
    }
    Err(refuse(Problem::Unauthorized(
        "present the token: sign in, or send it as `Authorization: Bearer …`".to_owned(),
    )))
}

/// Returns whether the request names a host that is ours. A page elsewhere can have its own name resolve to our address
/// (DNS rebinding), but it cannot have the browser send another name, or an address.
fn is_known_host(desk: &Desk, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = name_of(host);
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_address || name.eq_ignore_ascii_case("localhost") || desk.answers_to(name)
}

/// Returns a host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Returns whether the request does not come from a page of another site. Programs send neither header; they present the
/// token themselves, which no page of another site can do.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return false;
    }
    match (text("origin"), text("host")) {
        (None, _) => !headers.contains_key("origin"),
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of == host),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_without_its_port() {
        let names = [
            "localhost:8080",
            "[::1]:8080",
            "[::1]",
            "127.0.0.1",
            "mill.example.com:80",
        ]
        .map(name_of);
        assert_eq!(
            names,
            ["localhost", "[::1]", "[::1]", "127.0.0.1", "mill.example.com"]
        );
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_same_origin(&headers)
        };
        let host = ("host", "127.0.0.1:8080");
        assert!(of(&[host]));
        assert!(of(&[
            host,
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "same-origin")
        ]));
        for other in ["http://evil.example", "null", "http://127.0.0.1:8081"] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("127.0.0.1:8080"));
            headers.insert("origin", HeaderValue::from_str(other).unwrap());
            assert!(!is_same_origin(&headers), "{other}");
        }
        for site in ["cross-site", "same-site"] {
            let mut headers = HeaderMap::new();
            headers.insert("sec-fetch-site", HeaderValue::from_str(site).unwrap());
            assert!(!is_same_origin(&headers), "{site}");
        }
    }
}
