//! The frame of all pages, and the parts of a page that are kept up to date.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::viewer::Viewer;

/// The sections of the site: address and name.
const SECTIONS: [(&str, &str); 7] = [
    ("/", "Today"),
    ("/files", "Files"),
    ("/jobs", "Jobs"),
    ("/runs", "Runs"),
    ("/stores", "Stores"),
    ("/row", "Row"),
    ("/sql", "SQL"),
];

/// A page.
pub(super) struct Page {
    pub(super) title: String,
    /// The address of the section that it belongs to.
    pub(super) section: &'static str,
    pub(super) parts: Vec<Part>,
}

/// A part of a page.
pub(super) enum Part {
    /// It stays as it is, such as a form that somebody may be filling in.
    Fixed(Markup),
    /// It is kept up to date while the page is open. The text is its id.
    Live(&'static str, Markup),
}

/// Returns the digest of a live part, by which a browser says what it has.
pub(super) fn digest(markup: &Markup) -> String {
    blake3::hash(markup.0.as_bytes()).to_hex()[..16].to_owned()
}

/// Lays out a page. `said` is what came of what the viewer just did; `here` is the page's own address.
pub(super) fn document(page: &Page, viewer: Viewer, said: Option<&str>, here: &str) -> String {
    let body = html! {
        h1 { (page.title) }
        @if let Some(said) = said { p.said role="status" { (said) } }
        @for part in &page.parts {
            @match part {
                Part::Fixed(markup) => (markup),
                Part::Live(id, markup) => div id=(id) data-live="" data-digest=(digest(markup)) { (markup) },
            }
        }
    };
    frame(&page.title, Some(page.section), &body, Some((viewer, here)))
}

/// Lays out a page that stands for itself, such as that of an error.
pub(super) fn bare(title: &str, body: &Markup) -> String {
    frame(title, None, body, None)
}

fn frame(title: &str, section: Option<&str>, body: &Markup, viewer: Option<(Viewer, &str)>) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · gristmill" }
                link rel="stylesheet" href=(assets::address("style.css"));
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                script src=(assets::address("live.js")) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the page" }
                header.top {
                    a.brand href="/" { "gristmill" }
                    nav aria-label="Sections" {
                        @for (address, name) in SECTIONS {
                            a href=(address) aria-current=[(section == Some(address)).then_some("page")] { (name) }
                        }
                    }
                    @if let Some((viewer, here)) = viewer {
                        div.session {
                            span #live-state role="status" {}
                            @if viewer.is_signed_in {
                                form method="post" action="/sign-out" { button.plain type="submit" { "Sign out" } }
                            } @else if viewer.can_sign_in {
                                a href=(super::address::address("/sign-in", &[("next", here)])) { "Sign in to act" }
                            }
                        }
                    }
                }
                main #main tabindex="-1" { (body) }
                footer { "All times are UTC unless they say otherwise. gristmill " (env!("CARGO_PKG_VERSION")) }
            }
        }
    };
    document.into_string()
}
