//! Opening the warehouse: its URL and target come from the settings, its credentials from there and from the environment.

use gristmill_loader::Warehouse;

use crate::buckets;
use crate::settings::Settings;

/// Opens the warehouse, without connecting to it yet. For Redshift this reads AWS's standard chain (environment,
/// profile, web identity, instance metadata), which may need requests to find the region.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Box<dyn Warehouse>> {
    let url = settings.warehouse_url()?;
    let mut credentials = settings.credentials.clone();
    if url.starts_with("redshift://") {
        credentials.aws = Some(buckets::chain().await.clone());
    }
    Ok(gristmill_loader::open(
        url,
        settings.target.clone(),
        &credentials,
    )?)
}
