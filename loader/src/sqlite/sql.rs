//! The SQL for SQLite, apart from the code that runs it.

mod steps;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr, Sqlite};

use crate::protocol::{Statement, Value};
use crate::target::{self, AUDIT, DAYS, KEYS, LEDGER, LEDGER_INDEX, STANDING, plain_or_quoted, quoted};
use crate::{LoadMode, Target};

/// Takes the write lock at once: a transaction that starts to write later can fail where it should wait.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

/// A column's name, its type, and whether an INSERT may leave it out.
///
/// Columns whose `hidden` is 2 or 3 are generated. An INTEGER PRIMARY KEY fills itself, but cannot be one of our keys.
pub(crate) const COLUMNS: &str =
    "SELECT name, type, \"notnull\" = 0 OR dflt_value IS NOT NULL OR hidden <> 0 FROM pragma_table_xinfo(?)";

/// The kind of a relation: `table`, `view`, or no row.
pub(crate) const KIND: &str =
    "SELECT type FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type IN ('table', 'view')";

/// The columns of each unique key that ON CONFLICT can infer, one row for each key and column. Leaves out partial keys,
/// and keys whose collation makes different texts equal.
pub(crate) const UNIQUE_KEYS: &str =
    "SELECT l.name, coalesce(x.name, '') FROM pragma_index_list(?) l, pragma_index_xinfo(l.name) x
      WHERE l.\"unique\" AND NOT l.partial AND x.key
        AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(l.name) y WHERE y.key AND y.coll <> 'BINARY')";

pub(crate) const CREATE_COVERAGE: &str = "CREATE TEMP TABLE gristmill_coverage (store_id TEXT NOT NULL,
      trans_date TEXT NOT NULL, PRIMARY KEY (store_id, trans_date)) STRICT, WITHOUT ROWID";

pub(crate) const CREATE_REMOVED: &str = "CREATE TEMP TABLE gristmill_removed (store_id TEXT NOT NULL,
      item_id TEXT NOT NULL, trans_date TEXT NOT NULL, PRIMARY KEY (store_id, item_id, trans_date)) STRICT, WITHOUT ROWID";

/// A multi-row insert into the temporary keys of removed rows.
pub(crate) fn insert_removed(rows: usize) -> SqlStr {
    insert(
        "temp.gristmill_removed (store_id, item_id, trans_date)",
        KEYS.len(),
        rows,
    )
}

/// A multi-row insert into the temporary coverage.
pub(crate) fn insert_coverage(rows: usize) -> SqlStr {
    insert("temp.gristmill_coverage (store_id, trans_date)", 2, rows)
}

/// The statements that name the target or the ledger.
///
/// Tables are WITHOUT ROWID, so that the key, which is most of a row, is stored once instead of twice.
pub(crate) struct Sql {
    /// The target, quoted.
    pub table: String,
    /// The target's name, as the ledger writes it.
    pub name: String,
    /// The same, as the other tables next to the target write it.
    folded_name: String,
    ledger: String,
    index: String,
    days: String,
    standing: String,
    measures: Vec<String>,
    audited: bool,
    mode: LoadMode,
    /// How the target is loaded, as the table of standing runs records it.
    form: String,
}

impl Sql {
    pub(crate) fn new(target: &Target) -> Self {
        let name = plain_or_quoted(&target.table);
        Self {
            mode: target.mode,
            form: target.form(),
            folded_name: name.to_ascii_lowercase(),
            name,
            table: quoted(&target.table),
            ledger: quoted(LEDGER),
            index: quoted(LEDGER_INDEX),
            days: quoted(DAYS),
            standing: quoted(STANDING),
            measures: target.measures.iter().map(|name| quoted(name)).collect(),
            audited: target.audit,
        }
    }

    fn create_table(&self) -> String {
        let audit: &[&str] = if self.audited { &AUDIT } else { &[] };
        self.create(&format!("TABLE main.{}", self.table), audit)
    }

    pub(crate) fn create_stage(&self) -> SqlStr {
        safe(self.create("TEMP TABLE gristmill_stage", &[]))
    }

    /// A multi-row insert into the temporary summary.
    pub(crate) fn insert_stage(&self, rows: usize) -> SqlStr {
        insert(
            &format!("temp.gristmill_stage ({})", self.columns()),
            KEYS.len() + self.measures.len(),
            rows,
        )
    }

    /// A multi-row insert into the target itself. With audit columns, the run's id is bound before the rows.
    pub(crate) fn insert_target(&self, rows: usize) -> SqlStr {
        let columns = KEYS.len() + self.measures.len();
        let into = format!("main.{} ({}{})", self.table, self.columns(), self.audit_columns());
        match self.audited {
            false => insert(&into, columns, rows),
            true => safe(format!(
                "INSERT INTO {into} SELECT v.*, {NOW}, r.id FROM (SELECT ? AS id) r, ({}) v",
                values(columns, rows)
            )),
        }
    }

    /// Whether the target holds a row of a covered store, or (for a reload) any row.
    pub(crate) fn holds_rows(&self) -> SqlStr {
        let table = &self.table;
        safe(match self.mode {
            LoadMode::Reload => format!("SELECT EXISTS (SELECT 1 FROM main.{table})"),
            // By store only, because the target's key begins with it.
            _ => format!(
                "SELECT EXISTS (SELECT 1 FROM (SELECT DISTINCT store_id FROM temp.gristmill_coverage) c
                                 WHERE EXISTS (SELECT 1 FROM main.{table} t WHERE t.store_id = c.store_id))"
            ),
        })
    }

    /// Rows of the summary that the target lacks or holds with other amounts: the key, whether the target has it, the
    /// summary's amounts, the target's.
    pub(crate) fn differing(&self) -> SqlStr {
        let table = &self.table;
        let theirs: Vec<String> = self
            .measures
            .iter()
            .map(|name| format!("CAST(t.{name} AS TEXT)"))
            .collect();
        let ours: Vec<String> = self.measures.iter().map(|name| format!("s.{name}")).collect();
        safe(format!(
            "SELECT s.store_id, s.item_id, s.trans_date, t.store_id IS NOT NULL, {}, {}
               FROM temp.gristmill_stage s LEFT JOIN main.{table} t ON {SAME_KEY}
              WHERE t.store_id IS NULL OR NOT ({})
              ORDER BY s.store_id, s.item_id, s.trans_date",
            ours.join(", "),
            theirs.join(", "),
            self.same_amounts(),
        ))
    }

    /// Rows of the target that the summary no longer has, as far as the mode covers them: the key, the amounts.
    pub(crate) fn surplus(&self) -> Option<SqlStr> {
        let surplus = surplus(self.mode)?;
        let amounts: Vec<String> = self
            .measures
            .iter()
            .map(|name| format!("CAST(t.{name} AS TEXT)"))
            .collect();
        Some(safe(format!(
            "SELECT t.store_id, t.item_id, t.trans_date, {} FROM main.{} t WHERE {surplus}
              ORDER BY t.store_id, t.item_id, t.trans_date",
            amounts.join(", "),
            self.table
        )))
    }

    /// How many of the staged keys the target lacks.
    pub(crate) fn count_new(&self) -> SqlStr {
        safe(format!(
            "SELECT count(*) FROM temp.gristmill_stage s
              WHERE NOT EXISTS (SELECT 1 FROM main.{} t WHERE {SAME_KEY})",
            self.table
        ))
    }

    /// Inserts and updates; leaves alone rows that are already right. With audit columns, its parameter is the run's id.
    pub(crate) fn upsert(&self) -> SqlStr {
        let table = &self.table;
        let audit: &[&str] = if self.audited { &AUDIT } else { &[] };
        let set: Vec<String> = self
            .measures
            .iter()
            .map(String::as_str)
            .chain(audit.iter().copied())
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        let stamp = if self.audited {
            format!(", {NOW}, ?")
        } else {
            String::new()
        };
        safe(format!(
            "INSERT INTO main.{table} ({columns}{audit})
             SELECT {columns}{stamp} FROM temp.gristmill_stage s
              WHERE NOT EXISTS (SELECT 1 FROM main.{table} t WHERE {SAME_KEY} AND {same})
              ORDER BY store_id, item_id, trans_date
             ON CONFLICT (store_id, item_id, trans_date) DO UPDATE SET {set}",
            columns = self.columns(),
            audit = self.audit_columns(),
            same = self.same_amounts(),
            set = set.join(", "),
        ))
    }

    pub(crate) fn row(&self) -> String {
        let select = self.select_rows();
        format!("{select} WHERE store_id = ? AND item_id = ? AND trans_date = ?")
    }

    pub(crate) fn first_rows(&self) -> String {
        let select = self.select_rows();
        format!("{select} ORDER BY store_id, item_id, trans_date LIMIT ?")
    }

    pub(crate) fn row_count(&self) -> SqlStr {
        safe(format!("SELECT count(*) FROM main.{}", self.table))
    }

    fn create(&self, what: &str, audit: &[&str]) -> String {
        let columns = self.measures.iter().map(String::as_str);
        let columns = columns.chain(audit.iter().copied());
        let columns: Vec<String> = columns.map(|name| format!("{name} TEXT")).collect();
        format!(
            "CREATE {what} (store_id TEXT NOT NULL, item_id TEXT NOT NULL, trans_date TEXT NOT NULL, {},
                 PRIMARY KEY (store_id, item_id, trans_date)) STRICT, WITHOUT ROWID",
            columns.join(", ")
        )
    }

    fn same_amounts(&self) -> String {
        target::each(&self.measures, " AND ", |name| format!("t.{name} IS s.{name}"))
    }

    fn select_rows(&self) -> String {
        format!("SELECT {} FROM main.{}", self.columns(), self.table)
    }

    fn audit_columns(&self) -> String {
        target::audit_columns(self.audited)
    }

    fn columns(&self) -> String {
        target::columns(&self.measures)
    }
}

/// The condition for rows of the target that the summary no longer has; `None` if such rows stay.
fn surplus(mode: LoadMode) -> Option<String> {
    let reach = match mode {
        LoadMode::Upsert => return None,
        LoadMode::Reload => "",
        // The stores come first: the target's key begins with them, so rows of other jobs' stores are not read.
        LoadMode::ReplaceDays => {
            "t.store_id IN (SELECT store_id FROM temp.gristmill_coverage)
             AND EXISTS (SELECT 1 FROM temp.gristmill_coverage c
                          WHERE c.store_id = t.store_id AND c.trans_date = t.trans_date) AND"
        }
    };
    Some(format!(
        "{reach} NOT EXISTS (SELECT 1 FROM temp.gristmill_stage s WHERE {SAME_KEY})"
    ))
}

const SAME_KEY: &str = "t.store_id = s.store_id AND t.item_id = s.item_id AND t.trans_date = s.trans_date";

/// The current time, in the ledger's format.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

fn insert(into: &str, columns: usize, rows: usize) -> SqlStr {
    safe(format!("INSERT INTO {into} {}", values(columns, rows)))
}

fn values(columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    format!("VALUES {}", vec![row; rows].join(","))
}

/// A statement of the protocol, with its values.
pub(crate) fn query(statement: Statement) -> Query<'static, Sqlite, SqliteArguments> {
    let query = sqlx::query(safe(statement.sql));
    let values = statement.values.into_iter();
    values.fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Number(number) => query.bind(number),
    })
}

/// Marks text as safe: every name in it went through `quoted`, and every value is bound.
fn safe(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}
