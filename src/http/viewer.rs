//! Who looks at a page.

/// Who looks at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Viewer {
    /// Whether there is a token at all, so that somebody can act here.
    pub(super) can_sign_in: bool,
    /// Whether this one has presented it.
    pub(super) is_signed_in: bool,
}
