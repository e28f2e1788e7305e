//! Every statement for Redshift, apart from the code that sends it.
//!
//! docs/redshift.md lists them all, each with the page of AWS's documentation that it relies on; a test compares. They
//! use only what Redshift documents: no ON CONFLICT, no IS DISTINCT FROM, no alias of a table that rows are deleted
//! from. Values are literals in the text, because the simple query protocol has no parameters.

mod steps;

use crate::redshift::settings::Layout;
use crate::target::{self, AUDIT, DAYS, KEYS, LEDGER, STANDING, quoted};
use crate::{LoadMode, Target};

pub(super) const BEGIN: &str = "BEGIN";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// The process that serves this session: no two concurrent sessions have the same.
pub(super) const SESSION: &str = "SELECT pg_backend_pid()";

/// Whether the server works on a session's statement. Source: page "SYS_QUERY_HISTORY".
pub(super) fn at_work(session: u64) -> String {
    format!(
        "SELECT COUNT(*) FROM sys_query_history
          WHERE session_id = {session} AND status IN ('planning', 'queued', 'running', 'returning')"
    )
}

/// Ends a session.
pub(super) fn end_session(session: u64) -> String {
    format!("SELECT pg_terminate_backend({session})")
}

/// Makes the warehouse's clock show UTC, whatever the user's default is.
pub(super) const UTC: &str = "SET timezone TO 'UTC'";

pub(super) const SCHEMA: &str = "SELECT current_schema()";

/// Seconds since 1970 by the warehouse's clock.
pub(super) const NOW: &str = "SELECT CAST(EXTRACT(epoch FROM GETDATE()) AS BIGINT)";

/// The number of rows that the last COPY loaded.
pub(super) const COPIED: &str = "SELECT pg_last_copy_count()";

/// Keys that were staged more than once.
pub(super) const TWICE: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM gristmill_stage
       GROUP BY store_id, item_id, trans_date HAVING COUNT(*) > 1) AS twice";

/// Serialises the loads of a schema's targets, because they share the ledger and the tables next to it.
pub(super) const LOCK: &str = "gristmill_lock";

/// Temporary tables: rows of a summary, keys of rows to be deleted, covered days.
pub(super) const STAGE: &str = "gristmill_stage";
pub(super) const REMOVED: &str = "gristmill_removed";
pub(super) const COVERAGE: &str = "gristmill_coverage";

/// A text as an SQL literal. Whether a backslash escapes depends on the server, so literals contain none.
pub(super) fn literal(text: &str) -> String {
    let text = text.replace('\'', "''").replace('\\', "' || CHR(92) || '");
    match text.contains("CHR(92)") {
        true => format!("('{text}')"),
        false => format!("'{text}'"),
    }
}

/// The columns of a table, in order; no rows if it does not exist.
pub(super) fn columns(schema: &str, table: &str) -> String {
    format!(
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale, is_nullable,
                column_default
           FROM svv_columns WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position",
        literal(schema),
        literal(table)
    )
}

/// One row if the schema exists.
pub(super) fn schema(schema: &str) -> String {
    format!(
        "SELECT nspname FROM pg_namespace WHERE nspname = {}",
        literal(schema)
    )
}

/// The kind of a relation, if it exists: `r` for a table.
pub(super) fn kind(schema: &str, table: &str) -> String {
    format!(
        "SELECT relkind FROM pg_class JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
          WHERE nspname = {} AND relname = {}",
        literal(schema),
        literal(table)
    )
}

/// Why the last failed COPY of a session failed.
pub(super) fn copy_error(session: u64) -> String {
    format!(
        "SELECT TRIM(file_name), TRIM(column_name), TRIM(error_message) FROM sys_load_error_detail
          WHERE session_id = {session} ORDER BY start_time DESC LIMIT 1"
    )
}

/// The statements that name the target or the tables next to it.
pub(super) struct Sql {
    /// The target, qualified and quoted.
    pub table: String,
    /// The target's name as a qualifier of its columns.
    name: String,
    ledger: String,
    days: String,
    standing: String,
    lock: String,
    measures: Vec<String>,
    is_audited: bool,
    mode: LoadMode,
    /// The target's name in the ledger, as a literal.
    target: String,
    /// How the target is loaded, as the table of standing runs records it, as a literal.
    form: String,
}

impl Sql {
    pub(super) fn new(schema: &str, target: &Target) -> Self {
        let qualified = |name: &str| format!("{}.{}", quoted(schema), quoted(name));
        Self {
            table: qualified(&target.table),
            name: quoted(&target.table),
            ledger: qualified(LEDGER),
            days: qualified(DAYS),
            standing: qualified(STANDING),
            lock: qualified(LOCK),
            measures: target.measures.iter().map(|name| quoted(name)).collect(),
            is_audited: target.audit,
            mode: target.mode,
            target: literal(&target::qualified(schema, &target.table)),
            form: literal(&target.form()),
        }
    }

    /// Text columns are as wide as 25 characters can be in bytes, which is what Redshift counts.
    fn create_table(&self, layout: &Layout) -> String {
        let measures: Vec<String> = self
            .measures
            .iter()
            .map(|name| format!(", {name} DECIMAL(18,2)"))
            .collect();
        let audit = match self.is_audited {
            true => ", loaded_at TIMESTAMP, run_id VARCHAR(100)",
            false => "",
        };
        let listed = |names: &[String]| {
            names
                .iter()
                .map(|name| quoted(name))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let dist = layout
            .distkey
            .as_ref()
            .map(|name| format!(" DISTKEY ({})", quoted(name)));
        let sort = match layout.sortkey.is_empty() {
            true => String::new(),
            false => format!(" SORTKEY ({})", listed(&layout.sortkey)),
        };
        format!(
            "CREATE TABLE {} (store_id VARCHAR(100) NOT NULL, item_id VARCHAR(100) NOT NULL, trans_date DATE NOT NULL{}{audit}){}{sort}",
            self.table,
            measures.concat(),
            dist.unwrap_or_default()
        )
    }

    pub(super) fn create_lock(&self) -> String {
        format!("CREATE TABLE IF NOT EXISTS {} (nothing INTEGER)", self.lock)
    }

    /// The tables next to the target, by name.
    pub(super) fn create_ledgers(&self) -> [(&'static str, String); 3] {
        let ledger = format!(
            "CREATE TABLE {} (run_id VARCHAR(256) NOT NULL, target VARCHAR(600) NOT NULL, scope VARCHAR(1024) NOT NULL,
                 sequence BIGINT NOT NULL, summary_rows BIGINT NOT NULL, digest VARCHAR(256) NOT NULL,
                 loaded_at TIMESTAMP NOT NULL)",
            self.ledger
        );
        let days = format!(
            "CREATE TABLE {} (target VARCHAR(600) NOT NULL, store_id VARCHAR(1024) NOT NULL, trans_date DATE NOT NULL,
                 scope VARCHAR(1024) NOT NULL)",
            self.days
        );
        let standing = format!(
            "CREATE TABLE {} (target VARCHAR(600) NOT NULL, scope VARCHAR(1024) NOT NULL, run_id VARCHAR(256) NOT NULL,
                 form VARCHAR(65535) NOT NULL)",
            self.standing
        );
        [(LEDGER, ledger), (DAYS, days), (STANDING, standing)]
    }

    /// Takes the lock, until the end of the transaction. The statement after it takes the snapshot.
    pub(super) fn lock(&self) -> String {
        format!("LOCK {}", self.lock)
    }

    /// Creates the temporary tables, with the types of the target's columns.
    pub(super) fn create_stage(&self) -> [String; 3] {
        let like = |name: &str, columns: &str| {
            format!(
                "CREATE TEMP TABLE {name} AS SELECT {columns} FROM {} WHERE false",
                self.table
            )
        };
        [
            like(STAGE, &self.columns()),
            like(REMOVED, &KEYS.join(", ")),
            like(COVERAGE, "store_id, trans_date"),
        ]
    }

    /// `role` is an ARN, or `default`.
    pub(super) fn copy(&self, table: &str, manifest: &str, role: &str) -> String {
        let role = match role {
            "default" => "default".into(),
            arn => literal(arn),
        };
        let manifest = literal(manifest);
        format!("COPY {table} FROM {manifest} IAM_ROLE {role} FORMAT AS PARQUET MANIFEST")
    }

    /// Writes the staged amounts where the target has other ones.
    pub(super) fn update(&self, run_id: &str) -> String {
        let mut set: Vec<String> = self
            .measures
            .iter()
            .map(|name| format!("{name} = {STAGE}.{name}"))
            .collect();
        if self.is_audited {
            set.push(format!("loaded_at = SYSDATE, run_id = {}", literal(run_id)));
        }
        format!(
            "UPDATE {} SET {} FROM {STAGE} WHERE {} AND ({})",
            self.table,
            set.join(", "),
            self.same_key(STAGE),
            self.differ()
        )
    }

    /// Inserts the staged rows that the target lacks.
    pub(super) fn insert(&self, run_id: &str) -> String {
        let (into, values) = match self.is_audited {
            true => (
                format!(", {}", AUDIT.join(", ")),
                format!(", SYSDATE, {}", literal(run_id)),
            ),
            false => Default::default(),
        };
        format!(
            "INSERT INTO {table} ({columns}{into}) SELECT {staged}{values}
               FROM {STAGE} LEFT JOIN {table} ON {same_key} WHERE {name}.store_id IS NULL",
            table = self.table,
            name = self.name,
            columns = self.columns(),
            staged = self.columns_of(STAGE),
            same_key = self.same_key(STAGE),
        )
    }

    /// Rows of the summary that the target lacks or holds with other amounts: the key, the target's store (NULL
    /// without a row), the summary's amounts, the target's.
    pub(super) fn differing(&self) -> String {
        format!(
            "SELECT {STAGE}.store_id, {STAGE}.item_id, TO_CHAR({STAGE}.trans_date, 'YYYY-MM-DD') AS day, {name}.store_id, {}, {}
               FROM {STAGE} LEFT JOIN {} ON {} WHERE {name}.store_id IS NULL OR {} ORDER BY 1, 2, 3",
            self.measures_of(STAGE),
            self.measures_of(&self.name),
            self.table,
            self.same_key(STAGE),
            self.differ(),
            name = self.name,
        )
    }

    /// Rows of the target that the summary no longer has, as far as the mode covers them: the key, the amounts.
    pub(super) fn surplus(&self) -> Option<String> {
        let name = &self.name;
        let reach = match self.mode {
            LoadMode::Upsert => return None,
            LoadMode::Reload => String::new(),
            LoadMode::ReplaceDays => format!(
                " JOIN {COVERAGE} ON {name}.store_id = {COVERAGE}.store_id AND {name}.trans_date = {COVERAGE}.trans_date"
            ),
        };
        Some(format!(
            "SELECT {name}.store_id, {name}.item_id, TO_CHAR({name}.trans_date, 'YYYY-MM-DD') AS day, {}
               FROM {}{reach} LEFT JOIN {STAGE} ON {} WHERE {STAGE}.store_id IS NULL ORDER BY 1, 2, 3",
            self.measures_of(name),
            self.table,
            self.same_key(STAGE),
        ))
    }

    pub(super) fn row(&self, store_id: &str, item_id: &str, trans_date: jiff::civil::Date) -> String {
        let (store_id, item_id) = (literal(store_id), literal(item_id));
        self.select_rows(&format!(
            "WHERE store_id = {store_id} AND item_id = {item_id} AND trans_date = '{trans_date}'"
        ))
    }

    /// LIMIT accepts at most the largest INTEGER.
    pub(super) fn first_rows(&self, limit: u32) -> String {
        let limit = limit.min(i32::MAX as u32);
        self.select_rows(&format!("ORDER BY store_id, item_id, trans_date LIMIT {limit}"))
    }

    pub(super) fn row_count(&self) -> String {
        format!("SELECT COUNT(*) FROM {}", self.table)
    }

    fn select_rows(&self, which: &str) -> String {
        format!(
            "SELECT store_id, item_id, TO_CHAR(trans_date, 'YYYY-MM-DD') AS day, {} FROM {} {which}",
            self.measures.join(", "),
            self.table
        )
    }

    fn columns(&self) -> String {
        target::columns(&self.measures)
    }

    fn columns_of(&self, table: &str) -> String {
        let keys = KEYS.map(|name| format!("{table}.{name}")).join(", ");
        format!("{keys}, {}", self.measures_of(table))
    }

    fn measures_of(&self, table: &str) -> String {
        target::each(&self.measures, ", ", |name| format!("{table}.{name}"))
    }

    fn same_key(&self, staged: &str) -> String {
        KEYS.map(|key| format!("{}.{key} = {staged}.{key}", self.name))
            .join(" AND ")
    }

    /// Whether an amount of the target differs from the staged one. Neither true nor false where all are NULL in both.
    fn differ(&self) -> String {
        let name = &self.name;
        let each = self.measures.iter().map(|m| {
            format!(
                "{name}.{m} <> {STAGE}.{m} OR ({name}.{m} IS NULL AND {STAGE}.{m} IS NOT NULL) \
                 OR ({name}.{m} IS NOT NULL AND {STAGE}.{m} IS NULL)"
            )
        });
        each.collect::<Vec<_>>().join(" OR ")
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_literal_means_the_same_wherever_a_backslash_escapes_and_where_it_does_not() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\b"), r"('a' || CHR(92) || 'b')");
        assert_eq!(literal(r"\'"), r"('' || CHR(92) || '''')");
    }
}
