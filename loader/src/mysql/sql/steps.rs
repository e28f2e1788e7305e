//! The statements of the protocol's steps, and the questions to the ledger and the tables beside it.
//!
//! `gristmill_standing` names, for a target and a scope, the run whose summary the target holds on all days that the
//! run covers. This is true as long as the row exists: a load of another scope that takes over one of these days
//! deletes the row in its own transaction. `gristmill_days` records which scope owns each day; it is written only
//! where that changes.

use super::{BY_KEY, SAME_KEY, Sql};
use crate::protocol::{Entries, Statement, Step};
use crate::{Base, Load};

/// What joins a staged day, `c`, with its owner, `d`. Its parameter is the target.
const SAME_DAY: &str = "d.target = ? AND d.store_id = c.store_id AND d.trans_date = c.trans_date";

impl Sql {
    /// The statements of a step, in their order.
    pub(in crate::mysql) fn step(&self, step: Step<'_>) -> Vec<Statement> {
        let Self {
            ledger,
            days,
            standing,
            stage,
            removed,
            coverage,
            ..
        } = self;
        let target = || self.target.as_str().into();
        match step {
            Step::CreateTarget => vec![Statement::new(self.create_target(), [])],
            Step::ForgetLoads => vec![Statement::new(
                format!("DELETE FROM {ledger} WHERE target = ?"),
                [target()],
            )],
            Step::ForgetDays => {
                let forget =
                    |table| Statement::new(format!("DELETE FROM {table} WHERE target = ?"), [target()]);
                vec![forget(standing), forget(days)]
            }
            Step::DeleteRemoved => vec![Statement::new(
                format!(
                    "DELETE t FROM {removed} s STRAIGHT_JOIN {} ON {SAME_KEY}",
                    self.target_by_key()
                ),
                [],
            )],
            Step::DeleteSurplus => self
                .surplus_rows()
                .map(|surplus| Statement::new(format!("DELETE t FROM {surplus}"), []))
                .into_iter()
                .collect(),
            Step::TakeDays(load) => self.take_days(load),
            Step::LeaveDays(load) => vec![Statement::new(
                format!(
                    "DELETE c FROM {coverage} c STRAIGHT_JOIN {days} d {BY_KEY} ON {SAME_DAY} WHERE d.scope <> ?"
                ),
                [target(), load.scope.as_str().into()],
            )],
            Step::LeaveRows => vec![Statement::new(
                format!(
                    "DELETE s FROM {stage} s LEFT JOIN {coverage} c {BY_KEY}
                         ON c.store_id = s.store_id AND c.trans_date = s.trans_date WHERE c.store_id IS NULL"
                ),
                [],
            )],
            Step::Record(load) => vec![Statement::new(
                format!(
                    "INSERT INTO {ledger} (run_id, target, scope, sequence, `rows`, digest, loaded_at)
                     VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))"
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
        let Self {
            days,
            standing,
            coverage,
            ..
        } = self;
        let target = || self.target.as_str().into();
        let scope = || load.scope.as_str().into();
        vec![
            Statement::new(
                format!(
                    "DELETE o FROM {coverage} c STRAIGHT_JOIN {days} d {BY_KEY} ON {SAME_DAY}
                         STRAIGHT_JOIN {standing} o {BY_KEY} ON o.target = d.target AND o.scope = d.scope WHERE d.scope <> ?"
                ),
                [target(), scope()],
            ),
            Statement::new(
                format!(
                    "UPDATE {coverage} c STRAIGHT_JOIN {days} d {BY_KEY} ON {SAME_DAY} SET d.scope = ? WHERE d.scope <> ?"
                ),
                [target(), scope(), scope()],
            ),
            Statement::new(
                format!(
                    "INSERT INTO {days} (target, store_id, trans_date, scope)
                     SELECT ?, c.store_id, c.trans_date, ? FROM {coverage} c LEFT JOIN {days} d {BY_KEY} ON {SAME_DAY}
                      WHERE d.target IS NULL ORDER BY c.store_id, c.trans_date"
                ),
                [target(), scope(), target()],
            ),
            Statement::new(
                format!("REPLACE INTO {standing} (target, scope, run_id, form) VALUES (?, ?, ?, ?)"),
                [
                    target(),
                    scope(),
                    load.run_id.as_str().into(),
                    self.form.as_str().into(),
                ],
            ),
        ]
    }

    /// Returns a row if the target still holds the base on the base's days.
    pub(in crate::mysql) fn stands(&self, load: &Load, base: &Base) -> Statement {
        let Self { ledger, standing, .. } = self;
        Statement::new(
            format!(
                "SELECT 1 FROM {standing} WHERE target = ? AND scope = ? AND run_id = ? AND form = ?
                    AND run_id = (SELECT run_id FROM {ledger} WHERE target = ? AND scope = ?
                                   ORDER BY sequence DESC LIMIT 1)"
            ),
            [
                self.target.as_str().into(),
                load.scope.as_str().into(),
                base.run_id.as_str().into(),
                self.form.as_str().into(),
                self.target.as_str().into(),
                load.scope.as_str().into(),
            ],
        )
    }

    /// Entries of the ledger.
    pub(in crate::mysql) fn entries(&self, which: Entries<'_>) -> Statement {
        let ledger = &self.ledger;
        let select = format!(
            "SELECT run_id, target, scope, sequence, `rows`, digest,
                    CONCAT(LEFT(DATE_FORMAT(loaded_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z')
               FROM {ledger} WHERE target = ?"
        );
        let target = || self.target.as_str().into();
        match which {
            Entries::OfRun(run_id) => {
                Statement::new(format!("{select} AND run_id = ?"), [target(), run_id.into()])
            }
            Entries::After(scope, sequence) => Statement::new(
                format!("{select} AND scope = ? AND sequence > ? ORDER BY sequence DESC LIMIT 1"),
                [target(), scope.into(), sequence.into()],
            ),
            Entries::Newest(scope) => Statement::new(
                format!("{select} AND scope = ? ORDER BY sequence DESC LIMIT 1"),
                [target(), scope.into()],
            ),
            Entries::NewestOfEach => Statement::new(
                format!(
                    "{select} AND (scope, sequence) IN
                         (SELECT scope, max(sequence) FROM {ledger} WHERE target = ? GROUP BY scope)
                      ORDER BY sequence"
                ),
                [target(), target()],
            ),
        }
    }
}
