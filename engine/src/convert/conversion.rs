//! What a conversion gives, apart from files.

use crate::partial::Partial;
use crate::report::ConversionReport;

/// The result of converting a file.
#[derive(Debug)]
pub struct Conversion {
    /// The counts, and whether the file is accepted.
    pub report: ConversionReport,
    /// The aggregate; `None` for a reference feed.
    pub partial: Option<Partial>,
}
