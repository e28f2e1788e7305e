"""What a site's state says while it is at work: looked up beside the product, and past the proxies."""

import subprocess

import auditor_databases

# What is looked up, all as of one moment: columns, and where they are.
LOOK = {
    "holder": ("pid", "FROM service_lease WHERE lease_until > {now}"),
    "arrivals": (
        "s.submission_id, f.file_url, s.stamp_modified_ns, s.stamp_inode, s.outcome",
        "FROM submission s JOIN ingested_file_status f ON f.file_id = s.file_id WHERE s.submission_id > {newest}",
    ),
    "failed": ("file_url, last_error", "FROM ingested_file_status WHERE last_update_status = 'FAILED'"),
    "given up": (
        "run_id, error",
        "FROM job_run r WHERE state = 'FAILED' AND NOT EXISTS (SELECT 1 FROM job_run l WHERE l.job_config_id = r.job_config_id"
        " AND l.wave = r.wave AND l.sequence > r.sequence)",
    ),
    "runs": ("run_id, state", "FROM job_run WHERE state IN ('QUEUED', 'RUNNING')"),
    "completed": ("count(*)", "FROM job_run WHERE state = 'COMPLETED'"),
    "waves": ("job_config_id, wave", "FROM open_wave"),
    "tasks": ("epoch, task_id", "FROM task WHERE worker IS NOT NULL"),
    "left": (
        "what, subject",
        "FROM (SELECT 'waits' AS what, concat(subject, ': ', reason) AS subject FROM waiting"
        " UNION ALL SELECT 'attempt at', file_url FROM file_attempt"
        " UNION ALL SELECT 'to match', concat(file_id) FROM file_to_match"
        " UNION ALL SELECT 'task', task_id FROM task) l",
    ),
}

DECISIONS = {"accept": "ACCEPTED", "withdraw": "WITHDRAWN"}


class State:
    """The state database, and what was last seen there."""

    def __init__(self, url, has_inodes):
        # Without, an object's stamp is told apart by its time alone, and here each version of a file has another one.
        self.has_inodes = has_inodes
        self.database = auditor_databases.database(url)
        self.newest = 0
        # The arrivals that were recorded, by file and stamp; and the decisions.
        self.recorded, self.decided = set(), set()
        # The tasks that workers were seen to have.
        self.tasks = set()
        # None until something was seen.
        self.seen = None

    def look(self):
        """Looks, if the server answers and has the tables."""
        where = {"newest": self.newest, "now": self.database.NOW}
        questions = {of: (columns, rest.format(**where)) for of, (columns, rest) in LOOK.items()}
        try:
            seen = self.database.ask_all(questions)
        except (auditor_databases.Unreachable, subprocess.TimeoutExpired):
            return
        for number, name, modified, inode, outcome in seen["arrivals"]:
            self.newest = max(self.newest, number)
            if outcome in DECISIONS.values():
                self.decided.add((name, outcome))
            elif outcome != "FAILED":
                self.recorded.add(self.arrival(name, modified, inode))
        self.tasks |= set(seen["tasks"])
        self.seen = seen

    def arrival(self, name, modified, inode):
        return name, modified, inode if self.has_inodes else None

    def has(self, sending):
        """Whether it is known that a sending was recorded."""
        if sending.decides:
            return (sending.name, DECISIONS[sending.decides]) in self.decided
        return (sending.name, *sending.stamp) in self.recorded

    def holder(self):
        """The process that holds the lease."""
        return self.seen["holder"][0][0] if self.seen and self.seen["holder"] else None

    def running(self):
        """How many runs are in progress."""
        return len([run for run in self.seen["runs"] if run[1] == "RUNNING"]) if self.seen else 0

    def end_lease(self):
        """Ends the lease that was seen, as if the rest of its time had passed."""
        ended = f"UPDATE service_lease SET lease_until = {self.database.NOW} - interval '1' second"
        try:
            self.database.run(f"{ended} WHERE pid = {self.holder()}")
        except auditor_databases.Unreachable:
            # Then it ends by itself.
            pass

    def lost(self):
        """The arrivals that were recorded once, and are not any more."""
        there = self.database.ask(
            "f.file_url, s.stamp_modified_ns, s.stamp_inode",
            "FROM submission s JOIN ingested_file_status f ON f.file_id = s.file_id",
        )
        return sorted(self.recorded - {self.arrival(*arrival) for arrival in there}, key=str)
