//! What the state database knows of the lake.

use std::collections::HashSet;

use super::StateDb;
use super::sql::lake as sql;
use crate::error::{During, StateError};

impl StateDb {
    /// Returns the lake paths of all objects that a version or a run names.
    pub async fn lake_objects(&self) -> Result<HashSet<String>, StateError> {
        let objects = sqlx::query_scalar(sql::OBJECTS).fetch_all(&self.readers).await;
        let objects: Vec<String> = objects.during("list", "the objects of the lake")?;
        Ok(objects.into_iter().collect())
    }
}
