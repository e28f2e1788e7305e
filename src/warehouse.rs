//! Opening the warehouse: the one place that reads AWS's standard chain (environment, profile, web identity, instance
//! metadata) for it.

use aws_config::{BehaviorVersion, SdkConfig};
use gristmill_loader::{LoadError, Warehouse};

use crate::settings::Settings;

/// Opens the settings' warehouse. Nothing is asked of it yet. The chain is read for Redshift alone: it may have to ask
/// around for the region.
pub(crate) async fn open(settings: &Settings) -> Result<Box<dyn Warehouse>, LoadError> {
    let aws = match settings.warehouse.starts_with("redshift://") {
        true => aws_config::load_defaults(BehaviorVersion::latest()).await,
        false => SdkConfig::builder().build(),
    };
    gristmill_loader::open(&settings.warehouse, settings.target.clone(), &aws)
}
