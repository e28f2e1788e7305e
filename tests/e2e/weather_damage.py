"""Proves that the auditor sees errors: each damage to an audited site must be noticed, and each is undone.

It is for a site whose state is on a Postgres server.
"""

import shutil


def damages(audit):
    """What is damaged, what is told of it, how it is damaged and undone. Damages of databases are SQL, those of the lake are functions."""
    warehouse, state, lake = audit.warehouse.run, audit.state.run, audit.lake
    key, sums = next((key, sums) for key, sums in sorted(audit.model.rows.items()) if sums[0] is not None)
    row = f"store_id = '{key[0]}' AND item_id = '{key[1]}' AND trans_date = '{key[2]}'"
    run, job, wave = audit.state.ask("run_id, job_config_id, wave", "FROM job_run WHERE outcome = 'LOADED' ORDER BY sequence")[0]
    (file,) = next(iter(audit.state.ask("file_url", "FROM files WHERE feed = 'sales' ORDER BY file_url")))
    partials = [name for (name,) in audit.state.ask("partial_object", "FROM versions WHERE in_force = 1 AND partial_object IS NOT NULL ORDER BY file_url")]
    scopes = audit.warehouse.ask("scope, count(*)", "FROM gristmill_ledger GROUP BY scope HAVING count(*) > 1 ORDER BY scope")
    unnamed, spooled, aside = lake / "summaries" / "nobody.parquet", lake / "_spool" / "7", lake / "aside"

    def put(path):
        return lambda: shutil.copy(lake / partials[0], path)

    def swap():
        shutil.copy(lake / partials[0], aside)
        shutil.copy(lake / partials[1], lake / partials[0])

    yield ("an amount", "the rows of the warehouse", lambda: warehouse(f"UPDATE sales_summary SET sale_amount = sale_amount + 0.01 WHERE {row}"),
           lambda: warehouse(f"UPDATE sales_summary SET sale_amount = sale_amount - 0.01 WHERE {row}"))
    yield ("a row that is in the wrong store", "the rows of the warehouse",
           lambda: warehouse(f"UPDATE sales_summary SET store_id = '999' WHERE {row}"),
           lambda: warehouse(f"UPDATE sales_summary SET store_id = '{key[0]}' WHERE {row.replace(key[0], '999', 1)}"))
    yield ("a row too many", "the rows of the warehouse",
           lambda: warehouse("INSERT INTO sales_summary (store_id, item_id, trans_date) VALUES ('999', 'I', '2026-01-01')"),
           lambda: warehouse("DELETE FROM sales_summary WHERE store_id = '999'"))
    yield ("a run that the ledger lacks", "the ledger: [", lambda: warehouse(f"UPDATE gristmill_ledger SET run_id = 'no' WHERE run_id = '{run}'"),
           lambda: warehouse(f"UPDATE gristmill_ledger SET run_id = '{run}' WHERE run_id = 'no'"))
    yield ("a sequence", "the ledger: [", lambda: warehouse(f"UPDATE gristmill_ledger SET sequence = sequence + 1 WHERE run_id = '{run}'"),
           lambda: warehouse(f"UPDATE gristmill_ledger SET sequence = sequence - 1 WHERE run_id = '{run}'"))
    if scopes:
        of_scope = f"scope = '{scopes[0][0]}'"
        entries = audit.warehouse.ask("run_id, sequence, loaded_at", f"FROM gristmill_ledger WHERE {of_scope}")
        entries.sort(key=lambda entry: entry[1])
        (first, _, at), (_, _, last_at) = entries[0], entries[-1]
        late = f"UPDATE gristmill_ledger SET loaded_at = '{last_at}' WHERE run_id = '{first}'"
        if "mysql" not in getattr(audit.warehouse.url, "scheme", ""):
            late = late.replace(f"'{last_at}'", f"'{last_at}'::timestamptz + interval '1 s'")
        yield ("the order of loads", "was loaded after", lambda: warehouse(late),
               lambda: warehouse(f"UPDATE gristmill_ledger SET loaded_at = '{at}' WHERE run_id = '{first}'"))
    columns = ("run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest, as_of_submission, queued_timestamp")
    for number, state_of_run in enumerate(("RUNNING", "QUEUED")):
        yield (f"a run that is {state_of_run}", "the run left-",
               lambda state_of_run=state_of_run, number=number: state(
                   f"INSERT INTO job_run ({columns}) SELECT 'left-{number}', job_config_id, wave, {number} + 7, '{state_of_run}', cause,"
                   f" incomplete, inputs_digest, as_of_submission, queued_timestamp FROM job_run WHERE run_id = '{run}'"),
               lambda number=number: state(f"DELETE FROM job_run WHERE run_id = 'left-{number}'"))
    yield ("something that waits", "rows of waiting",
           lambda: state("INSERT INTO waiting VALUES ('file', 'x', NULL, NULL, now_as_text(), 'because', 1, now_as_text())"),
           lambda: state("DELETE FROM waiting"))
    yield ("an attempt that is left", "rows of file_attempt", lambda: state("INSERT INTO file_attempt VALUES ('x', 1, 1, 1, 1)"),
           lambda: state("DELETE FROM file_attempt"))
    yield ("a file that nobody sent", "the files: ",
           lambda: state("INSERT INTO ingested_file_status (file_url, feed, last_update_status, last_update_timestamp,"
                         " submitted_timestamp) VALUES ('IL-x.tdf', 'sales', 'REJECTED', now_as_text(), now_as_text())"),
           lambda: state("DELETE FROM ingested_file_status WHERE file_url = 'IL-x.tdf'; DELETE FROM file_to_match"))
    yield ("a file's status", "the files: ",
           lambda: state(f"UPDATE ingested_file_status SET last_update_status = 'SUBMITTED' WHERE file_url = '{file}'"),
           lambda: state(f"UPDATE ingested_file_status SET last_update_status = '{audit.model.statuses[file]}' WHERE file_url = '{file}'"))
    copied = "file_id, version_id, outcome, error, submitted_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode, written_ns"
    yield ("an arrival that was recorded twice", "arrivals that were recorded",
           lambda: state(f"INSERT INTO submission ({copied}) SELECT {copied} FROM submission ORDER BY submission_id LIMIT 1"),
           lambda: state("DELETE FROM submission WHERE submission_id = (SELECT max(submission_id) FROM submission)"))
    yield ("an object that is gone", "objects that are missing", lambda: (lake / partials[0]).rename(aside), lambda: aside.rename(lake / partials[0]))
    yield ("an object with another's content", ": version (", swap, lambda: aside.rename(lake / partials[0]))
    yield ("a summary that nobody names", "objects that nobody names", put(unnamed), lambda: unnamed.unlink())
    yield ("a file in the spool", "the spool", put(spooled), lambda: spooled.unlink())


def unnoticed(audit, tell):
    """Damages a site that is as it should be. Returns what the auditor does not notice."""
    missed = []
    for what, notice, damage, undo in list(damages(audit)):
        damage()
        noticed = [wrong for wrong in audit.run() if notice in wrong]
        undo()
        tell(f"damaged: {what}; noticed: {noticed[0][:120] if noticed else 'nothing'}")
        if not noticed:
            missed.append(f"the auditor does not notice {what}")
    if wrong := audit.run():
        missed.append(f"the damages were not undone: {wrong}")
    return missed
