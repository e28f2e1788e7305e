//! The statements about which scope owns which store and day, and what of a summary the target still holds.

use super::{COVERAGE, STAGE, Sql, literal};
use crate::target::{DAYS, quoted};

impl Sql {
    /// Returns a row if the target still holds a run on the run's days: see `gristmill_standing` in docs/redshift.md.
    pub(in crate::redshift) fn stands(&self, scope: &str, run_id: &str, form: &str) -> String {
        format!(
            "SELECT run_id FROM {standing} WHERE target = {target} AND scope = {scope} AND run_id = {run} AND form = {form}
                AND run_id = (SELECT run_id FROM {ledger} WHERE target = {target} AND scope = {scope}
                               ORDER BY sequence DESC LIMIT 1)",
            standing = self.standing,
            ledger = self.ledger,
            target = self.target,
            scope = literal(scope),
            run = literal(run_id),
            form = literal(form),
        )
    }

    /// Takes over the staged days, and records that the target holds the run's summary.
    pub(in crate::redshift) fn take_days(&self, scope: &str, run_id: &str, form: &str) -> [String; 5] {
        let Self {
            days,
            standing,
            target,
            ..
        } = self;
        let (scope, run_id, form) = (literal(scope), literal(run_id), literal(form));
        let name = quoted(DAYS);
        let same_day =
            format!("{name}.store_id = {COVERAGE}.store_id AND {name}.trans_date = {COVERAGE}.trans_date");
        [
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

    /// Forgets which scopes own which days, and all summaries that the target held.
    pub(in crate::redshift) fn forget_days(&self) -> [String; 2] {
        let Self {
            days,
            standing,
            target,
            ..
        } = self;
        [
            format!("DELETE FROM {standing} WHERE target = {target}"),
            format!("DELETE FROM {days} WHERE target = {target}"),
        ]
    }

    /// Removes the days that other scopes have loaded since from the staged days.
    pub(in crate::redshift) fn leave_days(&self, scope: &str) -> String {
        let (name, scope) = (quoted(DAYS), literal(scope));
        format!(
            "DELETE FROM {COVERAGE} USING {} WHERE {name}.target = {} AND {name}.scope <> {scope}
                AND {name}.store_id = {COVERAGE}.store_id AND {name}.trans_date = {COVERAGE}.trans_date",
            self.days, self.target
        )
    }

    /// Removes the rows of days that are not covered from the staged rows.
    pub(in crate::redshift) fn leave_rows(&self) -> String {
        format!(
            "DELETE FROM {STAGE} WHERE NOT EXISTS (SELECT 1 FROM {COVERAGE}
               WHERE {COVERAGE}.store_id = {STAGE}.store_id AND {COVERAGE}.trans_date = {STAGE}.trans_date)"
        )
    }
}
