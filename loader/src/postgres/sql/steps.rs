//! The statements of the protocol's steps, and the questions to the ledger and the tables beside it.
//!
//! `gristmill_standing` names, for a target and a scope, the run whose summary the target holds on all days that the
//! run covers. This is true as long as the row exists: a load of another scope that takes over one of these days
//! deletes the row in its own transaction. `gristmill_days` records which scope owns each day; it is written only
//! where that changes.

use super::{SAME_KEY, Sql, surplus};
use crate::protocol::{Entries, Statement, Step};
use crate::{Base, Load};

impl Sql {
    /// The statements of a step, in their order.
    pub(in crate::postgres) fn step(&self, step: Step<'_>) -> Vec<Statement> {
        let Self {
            table,
            ledger,
            days,
            standing,
            ..
        } = self;
        let target = || self.target.as_str().into();
        match step {
            Step::CreateTarget => vec![Statement::new(self.create_table(), [])],
            Step::ForgetLoads => vec![Statement::new(
                format!("DELETE FROM {ledger} WHERE target = $1"),
                [target()],
            )],
            Step::ForgetDays => {
                let forget = |table| {
                    Statement::new(format!("DELETE FROM {table} WHERE target = $1"), [target()])
                };
                vec![forget(standing), forget(days)]
            }
            Step::DeleteRemoved => vec![Statement::new(
                format!(
                    "DELETE FROM {table} t USING pg_temp.gristmill_stage s WHERE {SAME_KEY} AND s.gristmill_gone"
                ),
                [],
            )],
            Step::DeleteSurplus => surplus(self.mode)
                .map(|surplus| Statement::new(format!("DELETE FROM {table} t WHERE {surplus}"), []))
                .into_iter()
                .collect(),
            Step::TakeDays(load) => self.take_days(load),
            Step::LeaveDays(load) => vec![Statement::new(
                format!(
                    "DELETE FROM pg_temp.gristmill_coverage c USING {days} d
                      WHERE d.target = $1 AND d.store_id = c.store_id AND d.trans_date = c.trans_date AND d.scope <> $2"
                ),
                [target(), load.scope.as_str().into()],
            )],
            Step::LeaveRows => vec![Statement::new(
                "DELETE FROM pg_temp.gristmill_stage s WHERE NOT EXISTS
                     (SELECT 1 FROM pg_temp.gristmill_coverage c
                       WHERE c.store_id = s.store_id AND c.trans_date = s.trans_date)",
                [],
            )],
            Step::Record(load) => vec![Statement::new(
                format!(
                    "INSERT INTO {ledger} (run_id, target, scope, sequence, rows, digest)
                     VALUES ($1, $2, $3, $4, $5, $6)"
                ),
                [
                    load.run_id.as_str().into(),
                    target(),
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
        let of_scope = || [self.target.as_str().into(), load.scope.as_str().into()];
        let [target, scope] = of_scope();
        vec![
            Statement::new(
                format!(
                    "DELETE FROM {standing} WHERE target = $1 AND scope <> $2 AND scope IN
                         (SELECT d.scope FROM pg_temp.gristmill_coverage c
                            JOIN {days} d ON d.target = $1 AND d.store_id = c.store_id AND d.trans_date = c.trans_date)"
                ),
                of_scope(),
            ),
            Statement::new(
                format!(
                    "INSERT INTO {days} (target, store_id, trans_date, scope)
                     SELECT $1, c.store_id, c.trans_date, $2 FROM pg_temp.gristmill_coverage c
                      WHERE NOT EXISTS (SELECT 1 FROM {days} d WHERE d.target = $1 AND d.store_id = c.store_id
                                                                 AND d.trans_date = c.trans_date AND d.scope = $2)
                     ON CONFLICT (target, store_id, trans_date) DO UPDATE SET scope = excluded.scope"
                ),
                of_scope(),
            ),
            Statement::new(
                format!(
                    "INSERT INTO {standing} (target, scope, run_id, form) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (target, scope) DO UPDATE SET run_id = excluded.run_id, form = excluded.form"
                ),
                [target, scope, load.run_id.as_str().into(), self.form.as_str().into()],
            ),
        ]
    }

    /// Returns a row if the target still holds the base on the base's days.
    pub(in crate::postgres) fn stands(&self, load: &Load, base: &Base) -> Statement {
        let Self { ledger, standing, .. } = self;
        Statement::new(
            format!(
                "SELECT 1 FROM {standing} WHERE target = $1 AND scope = $2 AND run_id = $3 AND form = $4
                    AND run_id = (SELECT run_id FROM {ledger} WHERE target = $1 AND scope = $2
                                   ORDER BY sequence DESC LIMIT 1)"
            ),
            [
                self.target.as_str().into(),
                load.scope.as_str().into(),
                base.run_id.as_str().into(),
                self.form.as_str().into(),
            ],
        )
    }

    /// Entries of the ledger.
    pub(in crate::postgres) fn entries(&self, which: Entries<'_>) -> Statement {
        let ledger = &self.ledger;
        let select = format!(
            "SELECT run_id, target, scope, sequence, rows, digest,
                    to_char(loaded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
               FROM {ledger} WHERE target = $1"
        );
        let target = self.target.as_str().into();
        match which {
            Entries::OfRun(run_id) => {
                Statement::new(format!("{select} AND run_id = $2"), [target, run_id.into()])
            }
            Entries::After(scope, sequence) => Statement::new(
                format!("{select} AND scope = $2 AND sequence > $3 ORDER BY sequence DESC LIMIT 1"),
                [target, scope.into(), sequence.into()],
            ),
            Entries::Newest(scope) => Statement::new(
                format!("{select} AND scope = $2 ORDER BY sequence DESC LIMIT 1"),
                [target, scope.into()],
            ),
            Entries::NewestOfEach => Statement::new(
                format!(
                    "{select} AND (scope, sequence) IN
                         (SELECT scope, max(sequence) FROM {ledger} WHERE target = $1 GROUP BY scope)
                      ORDER BY sequence"
                ),
                [target],
            ),
        }
    }
}
