//! The style sheet, the script and the icon: part of the binary, so that pages load nothing from elsewhere.

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Returns the media type of an asset, and its text.
pub(super) fn asset(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "style.css" => Some(("text/css; charset=utf-8", STYLE)),
        "live.js" => Some(("text/javascript; charset=utf-8", SCRIPT)),
        "icon.svg" => Some(("image/svg+xml", ICON)),
        _ => None,
    }
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
