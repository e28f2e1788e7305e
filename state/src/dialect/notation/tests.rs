use super::*;

/// What both databases read instead of a text.
fn both(text: &str) -> [String; 2] {
    [expand(text, Dialect::Sqlite), expand(text, Dialect::Postgres)]
}

#[test]
fn what_both_understand_stays_as_it_is() {
    for text in [
        "SELECT a, 'it''s ?1 + +b, list(x)' FROM t WHERE a IS DISTINCT FROM b AND (c, d) IN (SELECT e, f FROM u)",
        "UPDATE t AS x SET rows = x.rows + 1, list = 2 WHERE x.at = '2026-11-23' -- – né",
        "",
    ] {
        assert_eq!(both(text), [text, text]);
    }
}

#[test]
fn parameters_have_numbers_and_perhaps_types() {
    let [sqlite, postgres] = both("SELECT ?1, ?2:int = 0, ?12:real, ?3:text, ?2");
    assert_eq!(sqlite, "SELECT ?1, ?2 = 0, ?12, ?3, ?2");
    assert_eq!(
        postgres,
        "SELECT $1, $2::bigint = 0, $12::double precision, ($3::text COLLATE \"C\"), $2"
    );
}

#[test]
fn a_list_has_values() {
    let [sqlite, postgres] =
        both("SELECT l.value FROM list(?2 int) l WHERE a IN (SELECT value FROM list(?1 text))");
    assert_eq!(
        sqlite,
        "SELECT l.value FROM jsonb_each(?2) l WHERE a IN (SELECT value FROM jsonb_each(?1))"
    );
    assert_eq!(
        postgres,
        "SELECT l.value FROM (SELECT e.value::bigint AS value, e.key - 1 AS key \
         FROM jsonb_array_elements_text($2::jsonb) WITH ORDINALITY AS e (value, key)) l \
         WHERE a IN (SELECT value FROM (SELECT e.value COLLATE \"C\" AS value, e.key - 1 AS key \
         FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS e (value, key)) AS list)"
    );
}

#[test]
fn rows_have_columns() {
    let text = "SELECT r.job, j.wave, r.is_on, r.key FROM rows(?1 job text, wave int,\n is_on bool) r JOIN j ON j.wave = r.wave";
    let [sqlite, postgres] = both(text);
    assert_eq!(
        sqlite,
        "SELECT r.value ->> 0, j.wave, r.value ->> 2, r.key FROM jsonb_each(?1) r JOIN j ON j.wave = r.value ->> 1"
    );
    assert_eq!(
        postgres,
        "SELECT r.job, j.wave, r.is_on, r.key FROM (SELECT (e.value ->> 0) COLLATE \"C\" AS job, \
         (e.value ->> 1)::bigint AS wave, (e.value ->> 2)::boolean::int::bigint AS is_on, e.key - 1 AS key \
         FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e (value, key)) r JOIN j ON j.wave = r.wave"
    );
}

#[test]
fn functions_differ() {
    let [sqlite, postgres] =
        both("SELECT greatest(a, least(b, ?1)), max(c), instr(d, e) WHERE f < beyond(?2)");
    assert_eq!(
        sqlite,
        "SELECT max(a, min(b, ?1)), max(c), instr(d, e) WHERE f < ?2 || CAST(x'ff' AS TEXT)"
    );
    assert_eq!(
        postgres,
        "SELECT greatest(a, least(b, $1)), max(c), strpos(d, e) WHERE f < $2 || chr(1114111)"
    );
    let [sqlite, postgres] = both("nanoseconds(?2:text)");
    assert_eq!(
        sqlite,
        "(CAST(strftime('%s', ?2) AS INTEGER) * 1000000000 + CAST(substr(?2, 21, 6) AS INTEGER) * 1000)"
    );
    assert_eq!(
        postgres,
        "CAST(extract(epoch FROM CAST(($2::text COLLATE \"C\") AS timestamptz)) * 1000000000 AS bigint)"
    );
}

#[test]
fn hints_are_for_sqlite() {
    let text = "SELECT a + 1, +b FROM c CROSS JOIN d ON d.e = c.e ORDER BY +c.b";
    let [sqlite, postgres] = both(text);
    assert_eq!(sqlite, text);
    assert_eq!(
        postgres,
        "SELECT a + 1, b FROM c JOIN d ON d.e = c.e ORDER BY c.b"
    );
}

#[test]
fn what_only_one_reads_is_left_out_for_the_other() {
    let [sqlite, postgres] = both("a sqlite{GROUP BY ?1} postgres{ORDER BY ?1:int, '{x'} b");
    assert_eq!(sqlite, "a GROUP BY ?1  b");
    assert_eq!(postgres, "a  ORDER BY $1::bigint, '{x' b");
}

fn for_mysql(text: &str) -> String {
    expand(text, Dialect::MySql)
}

#[test]
fn arrays_are_tables_of_json_for_mysql() {
    let text = "SELECT r.job, r.key, l.value, +r.lines FROM rows(?1 job text, lines int,\n is_on bool) r \
                CROSS JOIN list(?2 text) l ON l.key = r.key WHERE job IN (SELECT value FROM list(?3 int))";
    assert_eq!(
        for_mysql(text),
        "SELECT r.job, (r.\"key\" - 1), l.value, r.\"lines\" FROM JSON_TABLE(?1, '$[*]' COLUMNS (\"key\" FOR ORDINALITY, \
         job LONGTEXT PATH '$[0]', \"lines\" BIGINT PATH '$[1]', is_on BIGINT PATH '$[2]')) r \
         STRAIGHT_JOIN JSON_TABLE(?2, '$[*]' COLUMNS (\"key\" FOR ORDINALITY, value LONGTEXT PATH '$')) l \
         ON (l.\"key\" - 1) = (r.\"key\" - 1) WHERE job IN (SELECT value FROM \
         JSON_TABLE(?3, '$[*]' COLUMNS (\"key\" FOR ORDINALITY, value BIGINT PATH '$')) AS list)"
    );
}

#[test]
fn mysql_has_words_of_its_own() {
    assert_eq!(
        for_mysql(
            "INSERT INTO t (a, b) SELECT ?1:text, f.rows FROM f WHERE true \
             ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = t.c + 1, rows = excluded.rows"
        ),
        "INSERT INTO t (a, b) SELECT ?1, f.\"rows\" FROM f WHERE true \
         ON DUPLICATE KEY UPDATE b = VALUES(b), c = t.c + 1, \"rows\" = VALUES(\"rows\")"
    );
    assert_eq!(
        for_mysql("INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT (a, b) DO NOTHING"),
        "INSERT INTO t (a, b) VALUES (?1, ?2) ON DUPLICATE KEY UPDATE t.a = t.a"
    );
    assert_eq!(
        for_mysql(
            "WITH w (a) AS MATERIALIZED (SELECT CAST(b AS bigint), CAST(c AS TEXT) FROM t) SELECT a IS NOT DISTINCT FROM ?1"
        ),
        "WITH w (a) AS (SELECT CAST(b AS SIGNED), CAST(c AS CHAR) FROM t) SELECT a <=> ?1"
    );
    assert_eq!(
        for_mysql("nanoseconds(?2:text), beyond(a)"),
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', CAST(left(?2, 26) AS DATETIME(6))) * 1000, a || '\u{10ffff}'"
    );
    assert_eq!(for_mysql("a sqlite{b} postgres{c} mysql{d} others{e}"), "a   d ");
}

#[test]
fn updates_and_deletions_join_for_mysql() {
    assert_eq!(
        for_mysql(
            "\n UPDATE t AS x SET a = j.a, b = coalesce(?2, x.b)\n FROM rows(?1 k text, a int) j\n WHERE x.k = j.k"
        ),
        "UPDATE JSON_TABLE(?1, '$[*]' COLUMNS (\"key\" FOR ORDINALITY, k LONGTEXT PATH '$[0]', \
         a BIGINT PATH '$[1]')) j STRAIGHT_JOIN t AS x SET x.a = j.a, x.b = coalesce(?2, x.b) WHERE x.k = j.k"
    );
    assert_eq!(
        for_mysql("UPDATE t SET a = NULL FROM t found WHERE found.k = t.k"),
        "UPDATE t, t found SET t.a = NULL WHERE found.k = t.k"
    );
    assert_eq!(
        for_mysql("UPDATE t AS x mysql{FORCE INDEX (i)} SET a = 1 FROM t found WHERE found.k = x.k"),
        "UPDATE t AS x FORCE INDEX (i), t found SET x.a = 1 WHERE found.k = x.k"
    );
    let alone = "UPDATE t SET a = (SELECT max(b) FROM u) WHERE k = ?1";
    assert_eq!(for_mysql(alone), alone);
    assert_eq!(
        for_mysql("DELETE FROM t WHERE k IN (SELECT value FROM list(?1 int)) AND a = 1"),
        "DELETE t FROM JSON_TABLE(?1, '$[*]' COLUMNS (\"key\" FOR ORDINALITY, value BIGINT PATH '$')) l \
         STRAIGHT_JOIN t ON t.k = l.value WHERE a = 1"
    );
}

#[test]
fn parameters_of_mysql_are_bound_in_the_order_in_which_they_stand() {
    let positional =
        positional("SELECT ?2, '?1;', ?1 FROM \"a;?\" WHERE b = ?2; DELETE FROM t WHERE a = ?12");
    let texts: Vec<_> = positional.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "SELECT ?, '?1;', ? FROM \"a;?\" WHERE b = ?",
            " DELETE FROM t WHERE a = ?"
        ]
    );
    let places: Vec<_> = positional.iter().map(|part| part.places.clone()).collect();
    assert_eq!(places, [vec![1, 0, 1], vec![11]]);
}
