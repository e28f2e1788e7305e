//! Checks the `[[job]]` tables.

use std::collections::BTreeSet;

use gristmill_state::JobConfig;

use super::{Feeds, cluster, file};
use crate::preconditions::{JobPlan, MergeEngine};

/// Checks the jobs of a settings file. `has_cluster` says whether it names a cluster.
pub(super) fn check_jobs(
    specs: &[file::JobSpec],
    feeds: &Feeds,
    has_cluster: bool,
) -> Result<Vec<JobConfig>, String> {
    let mut seen = BTreeSet::new();
    let mut jobs = Vec::new();
    for spec in specs {
        if !seen.insert(&spec.id) {
            return Err(format!(
                "job {:?} is defined twice: give each job its own id",
                spec.id
            ));
        }
        let job = spec.to_config();
        let plan = JobPlan::new(&job, feeds).map_err(|error| format!("job {:?}: {error}", spec.id))?;
        if plan.engine != MergeEngine::Local && !has_cluster {
            return Err(format!("job {:?}: engine: {}", spec.id, cluster::NO_CLUSTER));
        }
        jobs.push(job);
    }
    Ok(jobs)
}
