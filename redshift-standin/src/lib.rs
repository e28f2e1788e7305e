//! For tests only: a server that behaves as Redshift does, before a private Postgres.
