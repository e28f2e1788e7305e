//! Opening the warehouse: its URL and target come from the settings, its credentials from there and from the environment.

use gristmill_loader::{Credentials, Warehouse};

use crate::buckets;
use crate::settings::Settings;

/// Opens the warehouse, without connecting to it yet. For Redshift this reads AWS's standard chain (environment,
/// profile, web identity, instance metadata), which may need requests to find the region.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Box<dyn Warehouse>> {
    let url = settings.warehouse_url()?;
    let credentials = Credentials {
        passwords: settings.passwords.clone(),
        aws: match url.starts_with("redshift://") {
            true => Some(buckets::chain().await.clone()),
            false => None,
        },
    };
    Ok(gristmill_loader::open(
        url,
        settings.target.clone(),
        &credentials,
    )?)
}
