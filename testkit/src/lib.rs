//! Private servers and the DuckDB oracle for the tests
