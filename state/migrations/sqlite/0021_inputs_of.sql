-- SQLite looks for the runs that name a run whenever one is added or removed.
CREATE INDEX job_run_inputs_of ON job_run (inputs_of) WHERE inputs_of IS NOT NULL;
