"""What a site's state says while it is at work: looked up beside the product, and past the proxies."""

import json
import subprocess

import auditor_databases

# Everything in one answer.
LOOK = """
SELECT json_build_object(
    'holder', (SELECT pid FROM service_lease WHERE lease_until > clock_timestamp()),
    'arrivals', (SELECT coalesce(json_agg(json_build_array(s.submission_id, f.file_url, s.stamp_modified_ns, s.stamp_inode,
                                                           s.outcome)), '[]')
                   FROM submission s JOIN ingested_file_status f ON f.file_id = s.file_id WHERE s.submission_id > {newest}),
    'failed', (SELECT coalesce(json_agg(json_build_array(file_url, last_error)), '[]')
                 FROM ingested_file_status WHERE last_update_status = 'FAILED'),
    'given up', (SELECT coalesce(json_agg(json_build_array(run_id, error)), '[]') FROM job_run r
                  WHERE state = 'FAILED' AND NOT EXISTS (SELECT 1 FROM job_run l WHERE l.job_config_id = r.job_config_id
                                                            AND l.wave = r.wave AND l.sequence > r.sequence)),
    'runs', (SELECT coalesce(json_agg(json_build_array(run_id, state)), '[]')
               FROM job_run WHERE state IN ('QUEUED', 'RUNNING')),
    'completed', (SELECT count(*) FROM job_run WHERE state = 'COMPLETED'),
    'waves', (SELECT coalesce(json_agg(json_build_array(job_config_id, wave)), '[]') FROM open_wave),
    'tasks', (SELECT coalesce(json_agg(json_build_array(epoch, task_id)), '[]') FROM task WHERE worker IS NOT NULL),
    'left', (SELECT coalesce(json_agg(l.what), '[]')
               FROM (SELECT 'waits: ' || subject || ': ' || reason AS what FROM waiting
                      UNION ALL SELECT 'attempt at ' || file_url FROM file_attempt
                      UNION ALL SELECT 'to match: ' || file_id FROM file_to_match
                      UNION ALL SELECT 'task ' || task_id FROM task) l))
"""

DECISIONS = {"accept": "ACCEPTED", "withdraw": "WITHDRAWN"}


class State:
    """The state database, and what was last seen there."""

    def __init__(self, url):
        self.database = auditor_databases.Postgres(url)
        self.newest = 0
        # The arrivals that were recorded, by file and stamp; and the decisions.
        self.recorded, self.decided = set(), set()
        # The tasks that workers were seen to have.
        self.tasks = set()
        # None until something was seen.
        self.seen = None

    def look(self):
        """Looks, if the server answers and has the tables."""
        try:
            seen = json.loads(self.database.run(LOOK.format(newest=self.newest)))
        except (auditor_databases.Unreachable, subprocess.TimeoutExpired):
            return
        for number, name, modified, inode, outcome in seen["arrivals"]:
            self.newest = max(self.newest, number)
            if outcome in DECISIONS.values():
                self.decided.add((name, outcome))
            elif outcome != "FAILED":
                self.recorded.add((name, modified, inode))
        self.tasks |= set(map(tuple, seen["tasks"]))
        self.seen = seen

    def has(self, sending):
        """Whether it is known that a sending was recorded."""
        if sending.decides:
            return (sending.name, DECISIONS[sending.decides]) in self.decided
        return (sending.name, *sending.stamp) in self.recorded

    def holder(self):
        """The process that holds the lease."""
        return self.seen and self.seen["holder"]

    def running(self):
        """How many runs are in progress."""
        return len([run for run in self.seen["runs"] if run[1] == "RUNNING"]) if self.seen else 0

    def end_lease(self):
        """Ends the lease that was seen, as if the rest of its time had passed."""
        ended = "UPDATE service_lease SET lease_until = clock_timestamp() - interval '1 s'"
        try:
            self.database.run(f"{ended} WHERE pid = {self.seen['holder']}")
        except auditor_databases.Unreachable:
            # Then it ends by itself.
            pass

    def lost(self):
        """The arrivals that were recorded once, and are not any more."""
        there = self.database.ask(
            "f.file_url, s.stamp_modified_ns, s.stamp_inode",
            "FROM submission s JOIN ingested_file_status f ON f.file_id = s.file_id",
        )
        return sorted(self.recorded - set(there))
