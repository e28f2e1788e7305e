//! The state database: files, versions, jobs, runs and what a job waits for
