-- When the summary of a run was recorded: what came before is merging, what came after is loading. NULL for runs that got
-- no summary, and for those of before this was recorded.
ALTER TABLE job_run ADD COLUMN summarized_timestamp TEXT
    CHECK (summarized_timestamp LIKE '____-__-__T__:__:__.______Z');
