//! Who has presented the token. A browser presents it once, and keeps a cookie from which it cannot be computed; programs
//! send it with each request.

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::ask::Ask;
use super::desk::Desk;
use super::layout;
use super::problem::Problem;
use super::viewer::Viewer;

/// The name of the cookie.
const COOKIE: &str = "gristmill";

/// How long browsers keep it, in seconds: 30 days.
const KEPT: u32 = 30 * 24 * 60 * 60;

/// How long a wrong token is answered with nothing, so that trying many takes long.
const WRONG: Duration = Duration::from_millis(500);

/// Returns whether a request carries the token, or the cookie of a browser that has presented it.
pub(super) fn is_signed_in(desk: &Desk, headers: &HeaderMap) -> bool {
    let Some(token) = desk.token() else {
        return false;
    };
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(sent) = text(header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer ")) {
        return token.is(sent.trim());
    }
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut cookies = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    cookies.any(|cookie| match cookie.trim().split_once('=') {
        Some((COOKIE, session)) => token.is_session(session),
        _ => false,
    })
}

/// Returns who looks.
pub(super) fn viewer(desk: &Desk, headers: &HeaderMap) -> Viewer {
    Viewer {
        can_sign_in: desk.has_token(),
        is_signed_in: is_signed_in(desk, headers),
    }
}

/// Shows the form that asks for the token.
pub(super) async fn form(State(desk): State<Arc<Desk>>, uri: Uri) -> Result<Response, Response> {
    let ask = Ask::of(&uri).map_err(|problem| problem.page())?;
    if !desk.has_token() {
        let none = "there is no token: set http.token in the settings file, and start the service again";
        return Err(Problem::NotFound(none.to_owned()).page());
    }
    let form = fields(next(&ask), None);
    Ok(Html(layout::bare("Sign in", &form)).into_response())
}

/// Takes the token, and has the browser keep a cookie.
pub(super) async fn sign_in(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    let ask = Ask::new(form);
    let next = next(&ask);
    let (Some(token), Some(sent)) = (desk.token(), ask.get("token")) else {
        return Html(layout::bare("Sign in", &fields(next, Some("Type the token.")))).into_response();
    };
    if !token.is(sent.trim()) {
        tracing::warn!("somebody presented a wrong token to the status page");
        tokio::time::sleep(WRONG).await;
        let page = layout::bare("Sign in", &fields(next, Some("This is not the token.")));
        return (StatusCode::UNAUTHORIZED, Html(page)).into_response();
    }
    with_cookie(
        Redirect::to(next).into_response(),
        &headers,
        &token.session(),
        KEPT,
    )
}

/// Has the browser forget the cookie.
pub(super) async fn sign_out(headers: HeaderMap) -> Response {
    with_cookie(Redirect::to("/").into_response(), &headers, "", 0)
}

fn with_cookie(mut response: Response, headers: &HeaderMap, session: &str, kept: u32) -> Response {
    // Behind a proxy that speaks TLS, the cookie must not travel without.
    let is_secure = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes() == b"https");
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={session}; Path=/; Max-Age={kept}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Returns where to go after signing in: a page of ours.
fn next(ask: &Ask) -> &str {
    match ask.get("next") {
        // `//host` and `/\host` would lead elsewhere.
        Some(next)
            if next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']) =>
        {
            next
        }
        _ => "/",
    }
}

fn fields(next: &str, problem: Option<&str>) -> Markup {
    html! {
        h1 { "Sign in" }
        p { "The token is the value of " code { "http.token" } " in the service’s settings file. This browser keeps you signed in for 30 days." }
        form.stack method="post" action="/sign-in" {
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            input type="hidden" name="next" value=(next);
            label for="token" { "Token" }
            input id="token" type="password" name="token" autocomplete="current-password" required autofocus;
            button.primary type="submit" { "Sign in" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_our_own_pages_alone() {
        let to = |text: &str| next(&Ask::new([("next".to_owned(), text.to_owned())])).to_owned();
        assert_eq!(to("/files?q=a"), "/files?q=a");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "/a\r\nSet-Cookie: x",
        ] {
            assert_eq!(to(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
