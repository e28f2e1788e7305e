//! The statements of the protocol's steps, and the questions to the ledger and the tables beside it.
//!
//! `gristmill_standing` names, for a target and a scope, the run whose summary the target holds on all days that the
//! run covers. This is true as long as the row exists: a load of another scope that takes over one of these days
//! deletes the row in its own transaction. `gristmill_days` records which scope owns each day; it is written only
//! where that changes.
//!
//! To SQLite, `Sales` and `sales` are the same table, so these two store the target's name in lower case.

use sqlx::SqlStr;

use super::{Sql, safe, surplus};
use crate::protocol::{Entries, Statement, Step};
use crate::{Base, Load};

impl Sql {
    /// Creates the tables beside the target, and the ledger's index, where they are absent.
    pub(in crate::sqlite) fn create_ledger(&self) -> [SqlStr; 4] {
        let Self {
            ledger,
            index,
            days,
            standing,
            ..
        } = self;
        [
            safe(format!(
                "CREATE TABLE IF NOT EXISTS main.{ledger} (run_id TEXT NOT NULL, target TEXT NOT NULL,
                     scope TEXT NOT NULL, sequence INTEGER NOT NULL, rows INTEGER NOT NULL, digest TEXT NOT NULL,
                     loaded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
                     PRIMARY KEY (target, run_id)) STRICT, WITHOUT ROWID"
            )),
            safe(format!(
                "CREATE INDEX IF NOT EXISTS main.{index} ON {ledger} (target, scope, sequence)"
            )),
            safe(format!(
                "CREATE TABLE IF NOT EXISTS main.{days} (target TEXT NOT NULL, store_id TEXT NOT NULL,
                     trans_date TEXT NOT NULL, scope TEXT NOT NULL, PRIMARY KEY (target, store_id, trans_date))
                     STRICT, WITHOUT ROWID"
            )),
            safe(format!(
                "CREATE TABLE IF NOT EXISTS main.{standing} (target TEXT NOT NULL, scope TEXT NOT NULL,
                     run_id TEXT NOT NULL, form TEXT NOT NULL, PRIMARY KEY (target, scope)) STRICT, WITHOUT ROWID"
            )),
        ]
    }

    /// The statements of a step, in their order.
    pub(in crate::sqlite) fn step(&self, step: Step<'_>) -> Vec<Statement> {
        let Self {
            table,
            ledger,
            days,
            standing,
            ..
        } = self;
        match step {
            Step::CreateTarget => vec![Statement::new(self.create_table(), [])],
            Step::ForgetLoads => vec![Statement::new(
                format!("DELETE FROM main.{ledger} WHERE target = ?"),
                [self.name.as_str().into()],
            )],
            Step::ForgetDays => {
                let forget = |table| {
                    let sql = format!("DELETE FROM main.{table} WHERE target = ?");
                    Statement::new(sql, [self.folded_name.as_str().into()])
                };
                vec![forget(standing), forget(days)]
            }
            Step::DeleteRemoved => vec![Statement::new(
                format!(
                    "DELETE FROM main.{table} WHERE (store_id, item_id, trans_date) IN
                         (SELECT store_id, item_id, trans_date FROM temp.gristmill_removed)"
                ),
                [],
            )],
            Step::DeleteSurplus => surplus(self.mode)
                .map(|surplus| Statement::new(format!("DELETE FROM main.{table} AS t WHERE {surplus}"), []))
                .into_iter()
                .collect(),
            Step::TakeDays(load) => self.take_days(load),
            Step::LeaveDays(load) => vec![Statement::new(
                format!(
                    "DELETE FROM temp.gristmill_coverage AS c WHERE EXISTS
                         (SELECT 1 FROM main.{days} d WHERE d.target = ? AND d.store_id = c.store_id
                                                        AND d.trans_date = c.trans_date AND d.scope <> ?)"
                ),
                [self.folded_name.as_str().into(), load.scope.as_str().into()],
            )],
            Step::LeaveRows => vec![Statement::new(
                "DELETE FROM temp.gristmill_stage AS s WHERE NOT EXISTS
                     (SELECT 1 FROM temp.gristmill_coverage c
                       WHERE c.store_id = s.store_id AND c.trans_date = s.trans_date)",
                [],
            )],
            Step::Record(load) => vec![Statement::new(
                format!(
                    "INSERT INTO main.{ledger} (run_id, target, scope, sequence, rows, digest)
                     VALUES (?, ?, ?, ?, ?, ?)"
                ),
                [
                    load.run_id.as_str().into(),
                    self.name.as_str().into(),
                    load.scope.as_str().into(),
                    load.sequence.into(),
                    (load.rows as i64).into(),
                    load.digest.as_str().into(),
                ],
            )],
        }
    }

    fn take_days(&self, load: &Load) -> Vec<Statement> {
        let Self { days, standing, .. } = self;
        let of_scope = || [self.folded_name.as_str().into(), load.scope.as_str().into()];
        let [target, scope] = of_scope();
        vec![
            Statement::new(
                format!(
                    "DELETE FROM main.{standing} WHERE target = ?1 AND scope <> ?2 AND scope IN
                         (SELECT d.scope FROM temp.gristmill_coverage c JOIN main.{days} d
                              ON d.target = ?1 AND d.store_id = c.store_id AND d.trans_date = c.trans_date)"
                ),
                of_scope(),
            ),
            Statement::new(
                format!(
                    "INSERT INTO main.{days} (target, store_id, trans_date, scope)
                     SELECT ?1, c.store_id, c.trans_date, ?2 FROM temp.gristmill_coverage c
                      WHERE NOT EXISTS
                            (SELECT 1 FROM main.{days} d WHERE d.target = ?1 AND d.store_id = c.store_id
                                                           AND d.trans_date = c.trans_date AND d.scope = ?2)
                      ORDER BY c.store_id, c.trans_date
                     ON CONFLICT (target, store_id, trans_date) DO UPDATE SET scope = excluded.scope"
                ),
                of_scope(),
            ),
            Statement::new(
                format!(
                    "INSERT INTO main.{standing} (target, scope, run_id, form) VALUES (?, ?, ?, ?)
                     ON CONFLICT (target, scope) DO UPDATE SET run_id = excluded.run_id, form = excluded.form"
                ),
                [
                    target,
                    scope,
                    load.run_id.as_str().into(),
                    self.form.as_str().into(),
                ],
            ),
        ]
    }

    /// Returns a row if the target still holds the base on the base's days.
    pub(in crate::sqlite) fn stands(&self, load: &Load, base: &Base) -> Statement {
        let Self { ledger, standing, .. } = self;
        Statement::new(
            format!(
                "SELECT 1 FROM main.{standing} WHERE target = ?1 AND scope = ?2 AND run_id = ?3 AND form = ?4
                    AND run_id = (SELECT run_id FROM main.{ledger} WHERE target = ?5 AND scope = ?2
                                   ORDER BY sequence DESC LIMIT 1)"
            ),
            [
                self.folded_name.as_str().into(),
                load.scope.as_str().into(),
                base.run_id.as_str().into(),
                self.form.as_str().into(),
                self.name.as_str().into(),
            ],
        )
    }

    /// Entries of the ledger.
    pub(in crate::sqlite) fn entries(&self, which: Entries<'_>) -> Statement {
        let ledger = &self.ledger;
        let select = format!(
            "SELECT run_id, target, scope, sequence, rows, digest, loaded_at FROM main.{ledger} WHERE target = ?1"
        );
        let target = self.name.as_str().into();
        match which {
            Entries::OfRun(run_id) => {
                Statement::new(format!("{select} AND run_id = ?2"), [target, run_id.into()])
            }
            Entries::After(scope, sequence) => Statement::new(
                format!("{select} AND scope = ?2 AND sequence > ?3 ORDER BY sequence DESC LIMIT 1"),
                [target, scope.into(), sequence.into()],
            ),
            Entries::Newest(scope) => Statement::new(
                format!("{select} AND scope = ?2 ORDER BY sequence DESC LIMIT 1"),
                [target, scope.into()],
            ),
            Entries::NewestOfEach => Statement::new(
                format!(
                    "{select} AND (scope, sequence) IN
                         (SELECT scope, max(sequence) FROM main.{ledger} WHERE target = ?1 GROUP BY scope)
                      ORDER BY sequence"
                ),
                [target],
            ),
        }
    }
}
