use super::*;
use crate::Load;
use crate::protocol::Step;

fn sql(mode: LoadMode) -> Sql {
    let target = Target::new("Mart.Sales", vec!["odd `name`".into()], mode).unwrap();
    Sql::new("Mart", &target, Product::MySql, false)
}

#[test]
fn a_server_is_known_by_its_version() {
    for (version, product) in [
        ("10.11.14-MariaDB-0+deb12u2", Product::MariaDb),
        ("11.4.2-MariaDB-log", Product::MariaDb),
        ("5.5.5-10.6.1-mariadb", Product::MariaDb),
        ("8.0.36", Product::MySql),
        ("8.4.0-commercial", Product::MySql),
        ("8.0.35-27-percona", Product::MySql),
    ] {
        assert_eq!(Product::of_version(version), product, "{version}");
    }
}

#[test]
fn names_are_quoted_and_folded_where_the_server_folds_them() {
    let exact = sql(LoadMode::Upsert);
    assert_eq!(
        (exact.table.as_str(), exact.target.as_str()),
        ("`Mart`.`Sales`", "Mart.Sales")
    );
    assert!(exact.insert().contains("`odd ``name```"));
    let target = Target::new("Sales", vec!["m".into()], LoadMode::Upsert).unwrap();
    let folded = Sql::new("Mart", &target, Product::MariaDb, true);
    assert_eq!(
        (folded.table.as_str(), folded.target.as_str()),
        ("`Mart`.`Sales`", "mart.sales")
    );
}

/// MariaDB, on which the other tests run, would allow it.
#[test]
fn no_statement_names_a_temporary_table_twice() {
    for mode in [LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload] {
        let sql = sql(mode);
        let load = Load {
            run_id: "r".into(),
            scope: "s".into(),
            sequence: 1,
            summary: "s".into(),
            coverage: "c".into(),
            rows: 1,
            digest: "d".into(),
            base: None,
            is_safe: None,
        };
        let steps = [
            Step::DeleteRemoved,
            Step::DeleteSurplus,
            Step::TakeDays(&load),
            Step::LeaveDays(&load),
            Step::LeaveRows,
        ];
        let steps = steps
            .into_iter()
            .flat_map(|step| sql.step(step))
            .map(|statement| statement.sql);
        let others = [sql.holds_rows(), sql.differing(), sql.update(), sql.insert()];
        for statement in steps.chain(others).chain(sql.surplus()) {
            for table in [&sql.stage, &sql.removed, &sql.coverage, &sql.stores] {
                assert!(statement.matches(table.as_str()).count() <= 1, "{statement}");
            }
        }
    }
}
