//! Statements about what is to be told of runs. A trigger adds to it (migration 24).

pub(in crate::database) const SWITCH: &str = "UPDATE lineage SET is_on = ?1";

pub(in crate::database) const FORGET: &str = "DELETE FROM lineage_event";

pub(in crate::database) const NEXT: &str = "SELECT * FROM lineage_event ORDER BY event_id LIMIT ?1";

pub(in crate::database) const REMOVE: &str = "DELETE FROM lineage_event WHERE event_id = ?1";

pub(in crate::database) const NOTE_DROPPED: &str = "UPDATE lineage SET dropped = dropped + ?1";

pub(in crate::database) const PENDING: &str = "SELECT count(*) FROM lineage_event";

pub(in crate::database) const DROPPED: &str = "SELECT dropped FROM lineage";
