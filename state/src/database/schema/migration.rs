//! What a migration of the state database is.

use crate::error::MigrationError;

/// A migration.
pub(super) struct Migration {
    pub(super) version: i64,
    pub(super) description: &'static str,
    pub(super) texts: &'static [&'static str],
}

impl Migration {
    pub(super) fn checksum(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for text in self.texts {
            hasher.update(text.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Returns the version that migrations lead to.
pub(super) fn newest(migrations: &[Migration]) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Refuses migrations that were applied, by version and checksum, and are not among these.
pub(super) fn check(migrations: &[Migration], applied: &[(i64, String)]) -> Result<(), MigrationError> {
    for (version, checksum) in applied {
        let known = migrations.iter().find(|migration| migration.version == *version);
        let known = known.ok_or(MigrationError::Unknown(*version))?;
        if known.checksum() != *checksum {
            return Err(MigrationError::Changed(*version));
        }
    }
    Ok(())
}

/// Says in the tests that a folder holds the texts of the migrations, in their order.
#[cfg(test)]
pub(super) fn assert_are_of(migrations: &[Migration], folder: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(folder);
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let listed = migrations.iter().flat_map(|migration| migration.texts);
    assert!(texts.eq(listed.map(|text| (*text).to_owned())));
    assert!(migrations.is_sorted_by_key(|migration| migration.version));
}
