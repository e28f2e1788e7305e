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
