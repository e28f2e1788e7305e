//! The statements of the protocol's steps, and the questions to the ledger and the tables beside it: see
//! `gristmill_standing` in docs/redshift.md.

use super::{COVERAGE, REMOVED, STAGE, Sql, literal};
use crate::protocol::{Entries, Step};
use crate::redshift::settings::Layout;
use crate::target::{DAYS, quoted};
use crate::{Base, Load, LoadMode};

impl Sql {
    /// The statements of a step, in their order.
    pub(in crate::redshift) fn step(&self, step: Step<'_>, layout: &Layout) -> Vec<String> {
        let Self {
            table,
            ledger,
            days,
            standing,
            target,
            ..
        } = self;
        match step {
            Step::CreateTarget => vec![self.create_table(layout)],
            Step::ForgetLoads => vec![format!("DELETE FROM {ledger} WHERE target = {target}")],
            Step::ForgetDays => vec![
                format!("DELETE FROM {standing} WHERE target = {target}"),
                format!("DELETE FROM {days} WHERE target = {target}"),
            ],
            Step::DeleteRemoved => vec![format!(
                "DELETE FROM {table} USING {REMOVED} WHERE {}",
                self.same_key(REMOVED)
            )],
            Step::DeleteSurplus => self.delete_surplus().into_iter().collect(),
            Step::TakeDays(load) => self.take_days(load),
            Step::LeaveDays(load) => {
                let (name, scope) = (quoted(DAYS), literal(&load.scope));
                vec![format!(
                    "DELETE FROM {COVERAGE} USING {days} WHERE {name}.target = {target} AND {name}.scope <> {scope}
                        AND {name}.store_id = {COVERAGE}.store_id AND {name}.trans_date = {COVERAGE}.trans_date"
                )]
            }
            Step::LeaveRows => vec![format!(
                "DELETE FROM {STAGE} WHERE NOT EXISTS (SELECT 1 FROM {COVERAGE}
                   WHERE {COVERAGE}.store_id = {STAGE}.store_id AND {COVERAGE}.trans_date = {STAGE}.trans_date)"
            )],
            Step::Record(load) => vec![format!(
                "INSERT INTO {ledger} (run_id, target, scope, sequence, summary_rows, digest, loaded_at)
                 VALUES ({}, {target}, {}, {}, {}, {}, SYSDATE)",
                literal(&load.run_id),
                literal(&load.scope),
                load.sequence,
                load.rows,
                literal(&load.digest)
            )],
        }
    }

    fn delete_surplus(&self) -> Option<String> {
        let (table, name, same_key) = (&self.table, &self.name, self.same_key(STAGE));
        let gone = format!("NOT EXISTS (SELECT 1 FROM {STAGE} WHERE {same_key})");
        match self.mode {
            LoadMode::Upsert => None,
            LoadMode::Reload => Some(format!("DELETE FROM {table} WHERE {gone}")),
            LoadMode::ReplaceDays => Some(format!(
                "DELETE FROM {table} USING {COVERAGE} WHERE {name}.store_id = {COVERAGE}.store_id
                    AND {name}.trans_date = {COVERAGE}.trans_date AND {gone}"
            )),
        }
    }

    fn take_days(&self, load: &Load) -> Vec<String> {
        let Self {
            days,
            standing,
            target,
            form,
            ..
        } = self;
        let (scope, run_id, name) = (literal(&load.scope), literal(&load.run_id), quoted(DAYS));
        let same_day =
            format!("{name}.store_id = {COVERAGE}.store_id AND {name}.trans_date = {COVERAGE}.trans_date");
        vec![
            format!(
                "DELETE FROM {standing} WHERE target = {target} AND scope <> {scope} AND scope IN
                     (SELECT {name}.scope FROM {days} JOIN {COVERAGE} ON {same_day} WHERE {name}.target = {target})"
            ),
            format!(
                "UPDATE {days} SET scope = {scope} FROM {COVERAGE}
                  WHERE {name}.target = {target} AND {name}.scope <> {scope} AND {same_day}"
            ),
            format!(
                "INSERT INTO {days} (target, store_id, trans_date, scope)
                 SELECT {target}, {COVERAGE}.store_id, {COVERAGE}.trans_date, {scope} FROM {COVERAGE}
                   LEFT JOIN {days} ON {name}.target = {target} AND {same_day} WHERE {name}.store_id IS NULL"
            ),
            format!("DELETE FROM {standing} WHERE target = {target} AND scope = {scope}"),
            format!(
                "INSERT INTO {standing} (target, scope, run_id, form) VALUES ({target}, {scope}, {run_id}, {form})"
            ),
        ]
    }

    /// Returns a row if the target still holds the base on the base's days.
    pub(in crate::redshift) fn stands(&self, load: &Load, base: &Base) -> String {
        let Self {
            ledger,
            standing,
            target,
            form,
            ..
        } = self;
        let (scope, run_id) = (literal(&load.scope), literal(&base.run_id));
        format!(
            "SELECT run_id FROM {standing} WHERE target = {target} AND scope = {scope} AND run_id = {run_id} AND form = {form}
                AND run_id = (SELECT run_id FROM {ledger} WHERE target = {target} AND scope = {scope}
                               ORDER BY sequence DESC LIMIT 1)"
        )
    }

    /// Entries of the ledger. The newest of each scope come after older ones with the number of another scope's newest,
    /// if there are any.
    pub(in crate::redshift) fn entries(&self, which: Entries<'_>) -> String {
        let Self { ledger, target, .. } = self;
        let which = match which {
            Entries::OfRun(run_id) => format!("run_id = {}", literal(run_id)),
            Entries::After(scope, sequence) => format!(
                "scope = {} AND sequence > {sequence} ORDER BY sequence DESC LIMIT 1",
                literal(scope)
            ),
            Entries::Newest(scope) => {
                format!("scope = {} ORDER BY sequence DESC LIMIT 1", literal(scope))
            }
            Entries::NewestOfEach => format!(
                "sequence IN (SELECT MAX(sequence) FROM {ledger} WHERE target = {target} GROUP BY scope)
                  ORDER BY sequence"
            ),
        };
        format!(
            "SELECT run_id, target, scope, sequence, summary_rows, digest,
                    TO_CHAR(loaded_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM {ledger} WHERE target = {target} AND {which}"
        )
    }
}
