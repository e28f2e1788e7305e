//! The warehouse: SQLite and Postgres behind one trait
