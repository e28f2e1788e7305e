//! Whether a role may do more than read.
//!
//! A question is answered in a transaction that can only read, whatever the role may do. But a role that could write would
//! be one mistake away from it, and the state database's own reads everything, so neither is taken.

use tokio_postgres::{Client, Error};

/// What the role may do beyond reading, and how that is taken from it; the gravest first. Whoever is a member of a role may
/// become it, and some roles that every server has may read files or end sessions.
const PROBLEM: &str = "
    WITH me AS (
        SELECT *, pg_catalog.quote_ident(rolname) AS name FROM pg_catalog.pg_roles WHERE rolname = session_user),
    relation AS (
        SELECT c.oid, c.relkind, c.relowner, c.oid::pg_catalog.regclass::text AS name
          FROM pg_catalog.pg_class c
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
           AND c.relnamespace NOT IN ('pg_catalog'::pg_catalog.regnamespace, 'pg_toast'::pg_catalog.regnamespace,
                                      'information_schema'::pg_catalog.regnamespace)),
    owned AS (
        SELECT r.name, r.relowner AS owner FROM relation r
         UNION ALL SELECT pg_catalog.format('the schema %I', n.nspname), n.nspowner FROM pg_catalog.pg_namespace n
         UNION ALL SELECT pg_catalog.format('the database %I', d.datname), d.datdba FROM pg_catalog.pg_database d),
    problem (gravity, text) AS (
        SELECT 1, pg_catalog.format('it is a superuser; create a role that may only read, and name that') FROM me
         WHERE rolsuper
        UNION ALL
        SELECT 2, pg_catalog.format('it owns %s; create a role of its own that may only read, and name that', o.name)
          FROM owned o JOIN me ON me.oid = o.owner
        UNION ALL
        SELECT 3, pg_catalog.format('it is a member of the role %I; REVOKE %1$I FROM %s', g.rolname, me.name)
          FROM me JOIN pg_catalog.pg_auth_members m ON m.member = me.oid
          JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
        UNION ALL
        SELECT 4, pg_catalog.format('it may do more than read; ALTER ROLE %s NOCREATEDB NOCREATEROLE NOREPLICATION '
                                    'NOBYPASSRLS', name) FROM me
         WHERE rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
        UNION ALL
        SELECT 5, pg_catalog.format('it may write %s; REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %1$s FROM %s, PUBLIC',
                                    r.name, me.name)
          FROM me, relation r
         WHERE CASE WHEN r.relkind <> 'S'
               THEN pg_catalog.has_table_privilege(r.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                    OR pg_catalog.has_any_column_privilege(r.oid, 'INSERT, UPDATE') END
        UNION ALL
        SELECT 5, pg_catalog.format('it may change the sequence %s; REVOKE USAGE, UPDATE ON SEQUENCE %1$s FROM %s, PUBLIC',
                                    r.name, me.name)
          FROM me, relation r
         WHERE CASE WHEN r.relkind = 'S' THEN pg_catalog.has_sequence_privilege(r.oid, 'USAGE, UPDATE') END)
    SELECT text FROM problem ORDER BY gravity, text LIMIT 1";

/// Returns what the role of a session may do beyond reading, and how that is taken from it.
pub(super) async fn problem(client: &Client) -> Result<Option<String>, Error> {
    let row = client.query_opt(PROBLEM, &[]).await?;
    Ok(row.map(|row| row.get(0)))
}
