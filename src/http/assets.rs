//! The style sheet, the script and the icon: part of the binary, so that pages load nothing from elsewhere.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Serves one of them. Browsers keep it: its address changes with the version of gristmill.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "live.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return Problem::NotFound("there is no such asset".to_owned()).page(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, text).into_response()
}

/// Returns the address of an asset.
pub(super) fn address(name: &str) -> String {
    let text = match name {
        "style.css" => STYLE,
        "live.js" => SCRIPT,
        _ => ICON,
    };
    let digest = blake3::hash(text.as_bytes()).to_hex();
    format!("/assets/{name}?v={}", &digest[..8])
}
