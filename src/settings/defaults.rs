//! Defaults that several tables of the settings file share.

pub(super) fn yes() -> bool {
    true
}
