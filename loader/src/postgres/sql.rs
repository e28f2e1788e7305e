//! The SQL for Postgres, apart from the code that runs it.

mod steps;

use crate::target::{self, AUDIT, DAYS, LEDGER, LEDGER_INDEX, STANDING, quoted};
use crate::{LoadMode, Target};

/// A stricter level would show the ledger as it was before the wait for the lock.
pub(crate) const BEGIN: &str = "START TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Serialises the creation of tables by several processes: IF NOT EXISTS alone loses races in the catalog.
pub(crate) const LOCK_PREPARE: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('gristmill prepare', 0))";

/// Serialises the loads of one target, given its name. The lock lasts to the end of the transaction.
pub(crate) const LOCK_TARGET: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('gristmill load ' || $1, 0))";

/// A commit must be on disk before the server confirms it, whatever the server's default, because the run is then
/// reported as completed.
pub(crate) const DURABLE: &str =
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

/// How to join the target with the staged rows: by merging in the order of the keys, or for a few rows by looking each
/// up. By itself, the planner estimates from each key column separately, expects next to no matches, and hashes the
/// whole target, which takes more than twice as long.
pub(crate) const PLANS: &str = "SELECT set_config('enable_hashjoin', 'off', true)
 UNION ALL SELECT set_config('work_mem', '64MB', true)
            WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')";

/// Microseconds from 2000 to now: the form of timestamps in a binary COPY.
pub(crate) const NOW: &str = "SELECT (extract(epoch FROM statement_timestamp() - timestamptz '2000-01-01 00:00:00+00') * 1000000)::int8";

/// The schema that an unqualified name refers to: where the session sees such a table, otherwise where it would create
/// it.
pub(crate) const SCHEMA_OF: &str = "SELECT coalesce(
        (SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.oid = to_regclass(quote_ident($1))),
        current_schema())::text";

/// A row if there is such a schema.
pub(crate) const SCHEMA_EXISTS: &str = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text";

/// A relation's id and kind. Parameters: schema and name.
pub(crate) const RELATION: &str = "SELECT c.oid, c.relkind::text
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1::text AND c.relname = $2::text";

/// Whether this user may create an index of a table, whose id is the parameter: only its owner may, and must be allowed to
/// create something in its schema.
pub(crate) const MAY_INDEX: &str = "SELECT pg_has_role(c.relowner, 'USAGE')
            AND has_schema_privilege(c.relnamespace, 'CREATE')
       FROM pg_catalog.pg_class c WHERE c.oid = $1";

pub(crate) const COLUMNS: &str = "SELECT attname::text, format_type(atttypid, atttypmod),
            NOT attnotnull OR atthasdef OR attidentity <> '' OR attgenerated <> ''
       FROM pg_catalog.pg_attribute
      WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// The unique keys that ON CONFLICT can infer: neither partial, nor over expressions, nor deferrable.
pub(crate) const UNIQUE_KEYS: &str = "SELECT array_agg(a.attname::text)
       FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_attribute a
         ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL
      GROUP BY i.indexrelid";

pub(crate) const CREATE_COVERAGE: &str =
    "CREATE TEMP TABLE gristmill_coverage (store_id text, trans_date date) ON COMMIT DROP";

/// Prepares the temporary tables for joins from them to the target.
pub(crate) const ANALYZE_STAGE: &str = "ANALYZE pg_temp.gristmill_stage";

/// Prepares the temporary tables for joins from the target to them. Without keys, a planner that misjudges the target
/// compares every row with every other row.
pub(crate) const INDEX_STAGE: &str =
    "ALTER TABLE pg_temp.gristmill_stage ADD PRIMARY KEY (store_id, item_id, trans_date);
     ALTER TABLE pg_temp.gristmill_coverage ADD PRIMARY KEY (store_id, trans_date);
     ANALYZE pg_temp.gristmill_stage; ANALYZE pg_temp.gristmill_coverage";

pub(crate) const COPY_COVERAGE: &str =
    "COPY pg_temp.gristmill_coverage (store_id, trans_date) FROM STDIN (FORMAT binary)";

/// The statements that name the target or the ledger.
pub(crate) struct Sql {
    /// The target, qualified and quoted.
    pub table: String,
    ledger: String,
    days: String,
    standing: String,
    measures: Vec<String>,
    audited: bool,
    mode: LoadMode,
    /// How the target is loaded, as the table of standing runs records it.
    form: String,
    /// The target's name, as the ledger writes it.
    pub target: String,
}

impl Sql {
    pub(crate) fn new(schema: &str, target: &Target) -> Self {
        let qualified = |name: &str| format!("{}.{}", quoted(schema), quoted(name));
        Self {
            mode: target.mode,
            form: target.form(),
            target: target::qualified(schema, &target.table),
            table: qualified(&target.table),
            ledger: qualified(LEDGER),
            days: qualified(DAYS),
            standing: qualified(STANDING),
            measures: target.measures.iter().map(|name| quoted(name)).collect(),
            audited: target.audit,
        }
    }

    /// A fifth of each page stays free, so that a changed row fits into the same page and the key's index needs no
    /// update.
    pub(crate) fn create_table(&self) -> String {
        let audit = if self.audited {
            ", loaded_at timestamptz, run_id text"
        } else {
            ""
        };
        format!(
            "CREATE TABLE {} (store_id text NOT NULL, item_id text NOT NULL, trans_date date NOT NULL, {}{audit},
                 PRIMARY KEY (store_id, item_id, trans_date)) WITH (fillfactor = 80)",
            self.table,
            self.typed_measures()
        )
    }

    /// The tables beside the target, by name.
    pub(crate) fn create_ledger(&self) -> [(&'static str, String); 3] {
        let ledger = format!(
            "CREATE TABLE {} (run_id text NOT NULL, target text NOT NULL, scope text NOT NULL, sequence bigint NOT NULL,
                 rows bigint NOT NULL, digest text NOT NULL, loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                 PRIMARY KEY (target, run_id))",
            self.ledger
        );
        let days = format!(
            "CREATE TABLE {} (target text NOT NULL, store_id text NOT NULL, trans_date date NOT NULL, scope text NOT NULL,
                 PRIMARY KEY (target, store_id, trans_date))",
            self.days
        );
        let standing = format!(
            "CREATE TABLE {} (target text NOT NULL, scope text NOT NULL, run_id text NOT NULL, form text NOT NULL,
                 PRIMARY KEY (target, scope))",
            self.standing
        );
        [(LEDGER, ledger), (DAYS, days), (STANDING, standing)]
    }

    pub(crate) fn create_ledger_index(&self) -> String {
        format!(
            "CREATE INDEX {} ON {} (target, scope, sequence)",
            quoted(LEDGER_INDEX),
            self.ledger
        )
    }

    /// The temporary summary. A staged row with `gristmill_gone` names a row to delete.
    pub(crate) fn create_stage(&self) -> String {
        format!(
            "CREATE TEMP TABLE gristmill_stage (store_id text, item_id text, trans_date date, {},
                 gristmill_gone boolean NOT NULL DEFAULT false) ON COMMIT DROP",
            self.typed_measures()
        )
    }

    pub(crate) fn copy_stage(&self) -> String {
        format!(
            "COPY pg_temp.gristmill_stage ({}) FROM STDIN (FORMAT binary)",
            self.columns()
        )
    }

    /// A COPY whose rows end with the `gristmill_gone` flag.
    pub(crate) fn copy_changes(&self) -> String {
        format!(
            "COPY pg_temp.gristmill_stage ({}, gristmill_gone) FROM STDIN (FORMAT binary)",
            self.columns()
        )
    }

    /// Rows of the summary that the target lacks or holds with other amounts: the key, whether the target has it, the
    /// summary's amounts, the target's.
    pub(crate) fn differing(&self) -> String {
        format!(
            "SELECT s.store_id, s.item_id, s.trans_date::text, t.store_id IS NOT NULL, {}, {}
               FROM pg_temp.gristmill_stage s LEFT JOIN {} t ON {SAME_KEY}
              WHERE t.store_id IS NULL OR {} IS DISTINCT FROM {}
              ORDER BY s.store_id COLLATE \"C\", s.item_id COLLATE \"C\", s.trans_date",
            self.texts_of("s"),
            self.texts_of("t"),
            self.table,
            self.measures_of("t"),
            self.measures_of("s"),
        )
    }

    /// Rows of the target that the summary no longer has, as far as the mode covers them: the key, the amounts.
    pub(crate) fn surplus(&self) -> Option<String> {
        let surplus = surplus(self.mode)?;
        Some(format!(
            "SELECT t.store_id::text, t.item_id::text, t.trans_date::text, {} FROM {} t WHERE {surplus}
              ORDER BY t.store_id COLLATE \"C\", t.item_id COLLATE \"C\", t.trans_date",
            self.texts_of("t"),
            self.table
        ))
    }

    /// Updates existing rows that have other amounts. With audit columns, its parameter is the run's id.
    pub(crate) fn update(&self) -> String {
        format!(
            "UPDATE {} t SET {} FROM pg_temp.gristmill_stage s
              WHERE {SAME_KEY} AND NOT s.gristmill_gone AND {} IS DISTINCT FROM {}",
            self.table,
            self.set("s", "statement_timestamp()", "$1"),
            self.measures_of("t"),
            self.measures_of("s"),
        )
    }

    /// Inserts missing rows. With audit columns, its parameter is the run's id.
    ///
    /// If another session inserts such a row meanwhile, that row is updated.
    pub(crate) fn insert(&self) -> String {
        let (table, columns) = (&self.table, self.columns());
        let stamp = if self.audited {
            ", statement_timestamp(), $1"
        } else {
            ""
        };
        format!(
            "INSERT INTO {table} ({columns}{audit})
             SELECT {columns}{stamp} FROM pg_temp.gristmill_stage s
              WHERE NOT s.gristmill_gone AND NOT EXISTS (SELECT 1 FROM {table} t WHERE {SAME_KEY})
              ORDER BY store_id COLLATE \"C\", item_id COLLATE \"C\", trans_date
             ON CONFLICT (store_id, item_id, trans_date) DO UPDATE SET {set}",
            audit = self.audit_columns(),
            set = self.set("excluded", "excluded.loaded_at", "excluded.run_id"),
        )
    }

    pub(crate) fn row(&self) -> String {
        let select = self.select_rows();
        format!("{select} WHERE store_id = $1 AND item_id = $2 AND trans_date = DATE '1970-01-01' + $3::int4")
    }

    pub(crate) fn first_rows(&self) -> String {
        let select = self.select_rows();
        format!("{select} ORDER BY store_id COLLATE \"C\", item_id COLLATE \"C\", trans_date LIMIT $1")
    }

    pub(crate) fn row_count(&self) -> String {
        format!("SELECT count(*) FROM {}", self.table)
    }

    fn select_rows(&self) -> String {
        let amounts: Vec<String> = self.measures.iter().map(|name| format!("{name}::text")).collect();
        format!(
            "SELECT store_id::text, item_id::text, trans_date - DATE '1970-01-01', {} FROM {}",
            amounts.join(", "),
            self.table
        )
    }

    /// The assignments of an update.
    fn set(&self, from: &str, loaded_at: &str, run_id: &str) -> String {
        let measures = self.measures.iter().map(|name| format!("{name} = {from}.{name}"));
        let [loaded_at_column, run_id_column] = AUDIT;
        let audit = [
            format!("{loaded_at_column} = {loaded_at}"),
            format!("{run_id_column} = {run_id}"),
        ];
        let audit = audit.into_iter().filter(|_| self.audited);
        measures.chain(audit).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn audit_columns(&self) -> String {
        target::audit_columns(self.audited)
    }

    pub(super) fn columns(&self) -> String {
        target::columns(&self.measures)
    }

    fn typed_measures(&self) -> String {
        target::each(&self.measures, ", ", |name| format!("{name} numeric(18,2)"))
    }

    fn texts_of(&self, alias: &str) -> String {
        target::each(&self.measures, ", ", |name| format!("{alias}.{name}::text"))
    }

    fn measures_of(&self, alias: &str) -> String {
        let named = target::each(&self.measures, ", ", |name| format!("{alias}.{name}"));
        format!("ROW({named})")
    }
}

/// The condition for rows of the target that the summary no longer has; `None` if such rows stay.
fn surplus(mode: LoadMode) -> Option<String> {
    let reach = match mode {
        LoadMode::Upsert => return None,
        LoadMode::Reload => "",
        LoadMode::ReplaceDays => {
            "EXISTS (SELECT 1 FROM pg_temp.gristmill_coverage c
                      WHERE c.store_id = t.store_id AND c.trans_date = t.trans_date) AND"
        }
    };
    Some(format!(
        "{reach} NOT EXISTS (SELECT 1 FROM pg_temp.gristmill_stage s WHERE {SAME_KEY} AND NOT s.gristmill_gone)"
    ))
}

const SAME_KEY: &str = "t.store_id = s.store_id AND t.item_id = s.item_id AND t.trans_date = s.trans_date";
