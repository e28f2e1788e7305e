//! The SQL for MySQL and MariaDB, apart from the code that runs it.
//!
//! No statement names a temporary table twice, which MySQL refuses (error 1137). The order of joins is written down
//! (`STRAIGHT_JOIN`), and so is how each table is looked up (`FORCE INDEX`): the server believes tables that were just filled,
//! or filled before it crashed, to be empty, and would read all of such a table for each row of another.

mod steps;

use mysql_async::Value;

use crate::protocol;
use crate::target::{self, AUDIT, DAYS, KEYS, LEDGER, LEDGER_INDEX, STANDING};
use crate::{LoadMode, Target};

/// A table next to the ledger, with a row for each target, which its loads lock.
pub(super) const LOCKS: &str = "gristmill_locks";

/// Makes a session independent of the server's settings. Values that do not fit are errors; times are in UTC. It waits for
/// the locks of others as long as they take, and may itself be idle for long: a load waits for its files to be stored.
pub(super) const SETTINGS: &str =
    "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00',
     SESSION autocommit = 1, SESSION sql_safe_updates = 0, SESSION innodb_lock_wait_timeout = 86400,
     SESSION wait_timeout = 28800";

/// Each statement sees what is committed by then, so the ledger is seen as it is after the wait for the lock. A stricter
/// level would also lock gaps between rows, and so bring deadlocks.
pub(super) const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

pub(super) const BEGIN: &str = "START TRANSACTION";

/// The server's version, and how it compares the names of databases and tables: 0 if case counts.
pub(super) const SERVER: &str = "SELECT @@version, CAST(@@lower_case_table_names AS SIGNED)";

/// A row if there is such a database that this user may see.
pub(super) const SCHEMA_EXISTS: &str = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?";

/// Relations of a database with about this name, whose case may differ: name, kind, engine.
pub(super) const RELATIONS: &str = "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";

/// Columns of a table: name, type, collation, and whether an INSERT may leave it out. MySQL writes the collation's name
/// into a type only if it is asked.
pub(super) const COLUMNS: &str = "SELECT COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME,
            CASE WHEN IS_NULLABLE = 'YES' OR COLUMN_DEFAULT IS NOT NULL
                   OR EXTRA LIKE '%auto_increment%' OR EXTRA LIKE '%GENERATED%' THEN 1 ELSE 0 END
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";

/// The parts of each unique key in their order: its name, the column, and 1 if the key has all of the column.
pub(super) const UNIQUE_KEYS: &str =
    "SELECT INDEX_NAME, COLUMN_NAME, CASE WHEN SUB_PART IS NULL THEN 1 ELSE 0 END
       FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0
      ORDER BY INDEX_NAME, SEQ_IN_INDEX";

/// The longest text of a key, in characters of up to four bytes. With two of them and a date, a key has 1,531 bytes; an
/// index takes 3,072, or 1,536 where a page of InnoDB has 8 KiB.
const KEY_LENGTH: usize = 191;

/// Which of the two a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    MariaDb,
    MySql,
}

impl Product {
    /// Tells it by the server's version.
    pub(super) fn of_version(version: &str) -> Self {
        match version.to_ascii_lowercase().contains("mariadb") {
            true => Self::MariaDb,
            false => Self::MySql,
        }
    }

    /// The collation in which texts are equal only if their bytes are, blanks at the end included.
    pub(super) const fn collation(self) -> &'static str {
        match self {
            Self::MariaDb => "utf8mb4_nopad_bin",
            Self::MySql => "utf8mb4_0900_bin",
        }
    }
}

/// Quotes an identifier, whatever characters it has.
pub(super) fn quoted(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "``"))
}

/// A parameter's value, as the driver takes it.
pub(super) fn value(value: protocol::Value) -> Value {
    match value {
        protocol::Value::Text(text) => text.into(),
        protocol::Value::Number(number) => number.into(),
    }
}

/// The target's unique key on the three key columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The name of its index, quoted.
    pub name: String,
    /// Whether the store is its first column, so that it finds all rows of a store.
    pub begins_with_store: bool,
}

impl Default for Key {
    /// That of a table that gristmill has created.
    fn default() -> Self {
        Self {
            name: quoted("PRIMARY"),
            begins_with_store: true,
        }
    }
}

/// The statements that name the target or the ledger.
pub(super) struct Sql {
    /// The target, qualified and quoted.
    pub table: String,
    /// The target's name, as the ledger writes it.
    pub target: String,
    /// Whether the server takes names of tables for the same whose case differs.
    pub is_folded: bool,
    schema: String,
    ledger: String,
    days: String,
    standing: String,
    locks: String,
    /// The temporary tables: the staged rows, the keys to be removed, the staged days, and the stores of those.
    stage: String,
    removed: String,
    coverage: String,
    stores: String,
    /// How rows of the target are looked up.
    pub key: Key,
    measures: Vec<String>,
    audited: bool,
    mode: LoadMode,
    /// How the target is loaded, as the table of standing runs records it.
    form: String,
    /// The type of a text that is part of a key, and that of a longer one.
    key_text: String,
    long_text: String,
}

impl Sql {
    pub(super) fn new(schema: &str, target: &Target, product: Product, is_folded: bool) -> Self {
        let qualified = |name: &str| format!("{}.{}", quoted(schema), quoted(name));
        let name = target::qualified(schema, &target.table);
        let text = |name: &str| format!("{name} CHARACTER SET utf8mb4 COLLATE {}", product.collation());
        Self {
            mode: target.mode,
            form: target.form(),
            target: if is_folded { name.to_lowercase() } else { name },
            is_folded,
            schema: schema.to_owned(),
            table: qualified(&target.table),
            ledger: qualified(LEDGER),
            days: qualified(DAYS),
            standing: qualified(STANDING),
            locks: qualified(LOCKS),
            stage: qualified("gristmill_stage"),
            removed: qualified("gristmill_removed"),
            coverage: qualified("gristmill_coverage"),
            stores: qualified("gristmill_stores"),
            key: Key::default(),
            measures: target.measures.iter().map(|name| quoted(name)).collect(),
            audited: target.audit,
            key_text: text(&format!("varchar({KEY_LENGTH})")),
            long_text: text("text"),
        }
    }

    /// The database that the target is in.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// The tables beside the target, by name.
    pub(super) fn create_ledger(&self) -> [(&'static str, String); 3] {
        let (text, end) = (&self.key_text, "ENGINE = InnoDB");
        let ledger = format!(
            "CREATE TABLE IF NOT EXISTS {} (run_id {text} NOT NULL, target {text} NOT NULL, scope {text} NOT NULL,
                 sequence bigint NOT NULL, `rows` bigint NOT NULL, digest {text} NOT NULL, loaded_at datetime(6) NOT NULL,
                 PRIMARY KEY (target, run_id), KEY {} (target, scope, sequence)) {end}",
            self.ledger,
            quoted(LEDGER_INDEX),
        );
        let days = format!(
            "CREATE TABLE IF NOT EXISTS {} (target {text} NOT NULL, store_id {text} NOT NULL, trans_date date NOT NULL,
                 scope {text} NOT NULL, PRIMARY KEY (target, store_id, trans_date)) {end}",
            self.days
        );
        let standing = format!(
            "CREATE TABLE IF NOT EXISTS {} (target {text} NOT NULL, scope {text} NOT NULL, run_id {text} NOT NULL,
                 form {} NOT NULL, PRIMARY KEY (target, scope)) {end}",
            self.standing, self.long_text
        );
        [(LEDGER, ledger), (DAYS, days), (STANDING, standing)]
    }

    pub(super) fn create_locks(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (target {} NOT NULL PRIMARY KEY, taken bigint NOT NULL DEFAULT 0)
                 ENGINE = InnoDB",
            self.locks, self.key_text
        )
    }

    /// Locks the row of a target to the end of the transaction; its parameter is the target. Touches none if there is none
    /// yet.
    ///
    /// The row is changed, and not only read `FOR UPDATE`: servers that replicate to each other (Galera, group replication)
    /// do not tell each other of locks, but of two transactions that change the same row they let only one commit.
    pub(super) fn lock(&self) -> String {
        format!("UPDATE {} SET taken = taken + 1 WHERE target = ?", self.locks)
    }

    /// Adds the row of a target if it is absent.
    pub(super) fn add_lock(&self) -> String {
        format!("INSERT IGNORE INTO {} (target) VALUES (?)", self.locks)
    }

    fn create_target(&self) -> String {
        let audit = match self.audited {
            true => format!(", loaded_at datetime(6), run_id {}", self.key_text),
            false => String::new(),
        };
        self.create(&format!("TABLE {}", self.table), &audit)
    }

    pub(super) fn create_stage(&self) -> String {
        self.create(&format!("TEMPORARY TABLE {}", self.stage), "")
    }

    fn create(&self, what: &str, audit: &str) -> String {
        let typed: Vec<String> = self
            .measures
            .iter()
            .map(|name| format!("{name} decimal(18,2)"))
            .collect();
        format!(
            "CREATE {what} ({}, {}{audit}, PRIMARY KEY (store_id, item_id, trans_date)) ENGINE = InnoDB",
            self.typed_keys(),
            typed.join(", "),
        )
    }

    fn typed_keys(&self) -> String {
        let text = &self.key_text;
        format!("store_id {text} NOT NULL, item_id {text} NOT NULL, trans_date date NOT NULL")
    }

    /// Creates the temporary keys of rows to be removed.
    pub(super) fn create_removed(&self) -> String {
        format!(
            "CREATE TEMPORARY TABLE {} ({}, PRIMARY KEY (store_id, item_id, trans_date)) ENGINE = InnoDB",
            self.removed,
            self.typed_keys()
        )
    }

    /// Creates the temporary coverage, and its stores.
    pub(super) fn create_coverage(&self) -> [String; 2] {
        let text = &self.key_text;
        [
            format!(
                "CREATE TEMPORARY TABLE {} (store_id {text} NOT NULL, trans_date date NOT NULL,
                     PRIMARY KEY (store_id, trans_date)) ENGINE = InnoDB",
                self.coverage
            ),
            format!(
                "CREATE TEMPORARY TABLE {} (store_id {text} NOT NULL PRIMARY KEY) ENGINE = InnoDB",
                self.stores
            ),
        ]
    }

    /// A multi-row insert into the temporary summary.
    pub(super) fn insert_stage(&self, rows: usize) -> String {
        let into = format!("{} ({})", self.stage, self.columns());
        insert(&into, KEYS.len() + self.measures.len(), rows)
    }

    /// A multi-row insert into the target itself. With audit columns, each row ends with the run's id.
    pub(super) fn insert_target(&self, rows: usize) -> String {
        let into = format!("{} ({}{})", self.table, self.columns(), self.audit_columns());
        let columns = KEYS.len() + self.measures.len();
        match self.audited {
            false => insert(&into, columns, rows),
            true => {
                let row = format!("({},UTC_TIMESTAMP(6),?)", vec!["?"; columns].join(","));
                format!("INSERT INTO {into} VALUES {}", vec![row; rows].join(","))
            }
        }
    }

    /// A multi-row insert into the temporary keys of removed rows.
    pub(super) fn insert_removed(&self, rows: usize) -> String {
        insert(
            &format!("{} ({})", self.removed, KEYS.join(", ")),
            KEYS.len(),
            rows,
        )
    }

    /// A multi-row insert into the temporary coverage.
    pub(super) fn insert_coverage(&self, rows: usize) -> String {
        insert(&format!("{} (store_id, trans_date)", self.coverage), 2, rows)
    }

    /// A multi-row insert into the stores of the temporary coverage.
    pub(super) fn insert_stores(&self, rows: usize) -> String {
        insert(&format!("{} (store_id)", self.stores), 1, rows)
    }

    /// The target as `t`, looked up by its key.
    fn target_by_key(&self) -> String {
        format!("{} t FORCE INDEX ({})", self.table, self.key.name)
    }

    /// A row if the target holds a row of a covered store, or (for a reload) any row.
    pub(super) fn holds_rows(&self) -> String {
        let Self { table, stores, .. } = self;
        let target = self.target_by_key();
        match (self.mode, self.key.begins_with_store) {
            (LoadMode::Reload, _) => format!("SELECT 1 FROM {table} LIMIT 1"),
            // By store only, because the target's key begins with it.
            (_, true) => {
                format!("SELECT 1 FROM {stores} p STRAIGHT_JOIN {target} ON t.store_id = p.store_id LIMIT 1")
            }
            (_, false) => format!(
                "SELECT 1 FROM {table} t STRAIGHT_JOIN {stores} p {BY_KEY} ON p.store_id = t.store_id LIMIT 1"
            ),
        }
    }

    /// Rows of the summary that the target lacks or holds with other amounts: the key, whether the target has it, the
    /// summary's amounts, the target's.
    pub(super) fn differing(&self) -> String {
        format!(
            "SELECT s.store_id, s.item_id, CAST(s.trans_date AS CHAR), t.store_id IS NOT NULL, {}, {}
               FROM {} s LEFT JOIN {} ON {SAME_KEY}
              WHERE t.store_id IS NULL OR NOT ({})
              ORDER BY s.store_id, s.item_id, s.trans_date",
            self.measures_of("s"),
            self.measures_of("t"),
            self.stage,
            self.target_by_key(),
            self.same_amounts(),
        )
    }

    /// Rows of the target that the summary no longer has, as far as the mode covers them: the key, the amounts.
    pub(super) fn surplus(&self) -> Option<String> {
        let surplus = self.surplus_rows()?;
        Some(format!(
            "SELECT t.store_id, t.item_id, CAST(t.trans_date AS CHAR), {} FROM {surplus}
              ORDER BY t.store_id, t.item_id, t.trans_date",
            self.measures_of("t"),
        ))
    }

    /// The FROM and WHERE for rows of the target, `t`, that the summary no longer has; `None` if such rows stay.
    ///
    /// If the target's key begins with the store, the stores come first, so that rows of other jobs' stores are not read.
    fn surplus_rows(&self) -> Option<String> {
        let Self {
            table,
            stage,
            coverage,
            stores,
            ..
        } = self;
        let covered = format!(
            "STRAIGHT_JOIN {coverage} c {BY_KEY} ON c.store_id = t.store_id AND c.trans_date = t.trans_date"
        );
        let reach = match (self.mode, self.key.begins_with_store) {
            (LoadMode::Upsert, _) => return None,
            (LoadMode::Reload, _) => format!("{table} t"),
            (LoadMode::ReplaceDays, true) => format!(
                "{stores} p STRAIGHT_JOIN {} ON t.store_id = p.store_id {covered}",
                self.target_by_key()
            ),
            (LoadMode::ReplaceDays, false) => format!("{table} t {covered}"),
        };
        Some(format!(
            "{reach} LEFT JOIN {stage} s {BY_KEY} ON {SAME_KEY} WHERE s.store_id IS NULL"
        ))
    }

    /// Updates existing rows that have other amounts. With audit columns, its parameter is the run's id.
    pub(super) fn update(&self) -> String {
        let measures = self.measures.iter().map(|name| format!("t.{name} = s.{name}"));
        let [loaded_at, run_id] = AUDIT;
        let audit = [
            format!("t.{loaded_at} = UTC_TIMESTAMP(6)"),
            format!("t.{run_id} = ?"),
        ];
        let audit = audit.into_iter().filter(|_| self.audited);
        format!(
            "UPDATE {} s STRAIGHT_JOIN {} ON {SAME_KEY} SET {} WHERE NOT ({})",
            self.stage,
            self.target_by_key(),
            measures.chain(audit).collect::<Vec<_>>().join(", "),
            self.same_amounts(),
        )
    }

    /// Inserts missing rows. With audit columns, its parameter is the run's id.
    ///
    /// ON DUPLICATE KEY UPDATE is not used, since it takes any unique key for the one that it is meant for.
    pub(super) fn insert(&self) -> String {
        let columns: Vec<String> = KEYS
            .iter()
            .map(|name| format!("s.{name}"))
            .chain(self.measures.iter().map(|name| format!("s.{name}")))
            .collect();
        format!(
            "INSERT INTO {} ({}{}) SELECT {}{} FROM {} s LEFT JOIN {} ON {SAME_KEY}
              WHERE t.store_id IS NULL ORDER BY s.store_id, s.item_id, s.trans_date",
            self.table,
            self.columns(),
            self.audit_columns(),
            columns.join(", "),
            if self.audited { ", UTC_TIMESTAMP(6), ?" } else { "" },
            self.stage,
            self.target_by_key(),
        )
    }

    pub(super) fn row(&self) -> String {
        let select = self.select_rows();
        format!("{select} WHERE store_id = ? AND item_id = ? AND trans_date = ?")
    }

    pub(super) fn first_rows(&self) -> String {
        let select = self.select_rows();
        format!("{select} ORDER BY store_id, item_id, trans_date LIMIT ?")
    }

    pub(super) fn row_count(&self) -> String {
        format!("SELECT count(*) FROM {}", self.table)
    }

    fn select_rows(&self) -> String {
        format!(
            "SELECT store_id, item_id, CAST(trans_date AS CHAR), {} FROM {}",
            self.measures.join(", "),
            self.table
        )
    }

    fn same_amounts(&self) -> String {
        target::each(&self.measures, " AND ", |name| format!("t.{name} <=> s.{name}"))
    }

    fn measures_of(&self, alias: &str) -> String {
        target::each(&self.measures, ", ", |name| format!("{alias}.{name}"))
    }

    fn audit_columns(&self) -> String {
        target::audit_columns(self.audited)
    }

    fn columns(&self) -> String {
        target::columns(&self.measures)
    }
}

/// How our own tables are looked up.
const BY_KEY: &str = "FORCE INDEX (`PRIMARY`)";

const SAME_KEY: &str = "t.store_id = s.store_id AND t.item_id = s.item_id AND t.trans_date = s.trans_date";

fn insert(into: &str, columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    format!("INSERT INTO {into} VALUES {}", vec![row; rows].join(","))
}

#[cfg(test)]
mod tests;
