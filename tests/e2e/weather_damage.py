"""Proves that the auditor sees errors: each damage to an audited site must be noticed, and is undone then.

It is for a site whose state and warehouse are on servers.
"""

import shutil

# A time, as the state has it.
NOW = "'2026-11-23T08:15:00.000000Z'"


def of_warehouse(audit):
    """Damages of the warehouse: what is damaged, what the auditor says of it, how it is damaged, and how that is undone."""
    run = audit.warehouse.run
    key, sums = next((key, sums) for key, sums in sorted(audit.model.rows.items()) if sums[0] is not None)
    of_day = f"item_id = '{key[1]}' AND trans_date = '{key[2]}'"
    row = f"store_id = '{key[0]}' AND {of_day}"
    target, ledger = "UPDATE sales_summary SET", "UPDATE gristmill_ledger SET"
    entries = audit.warehouse.ask("scope, sequence, run_id, loaded_at", "FROM gristmill_ledger")
    entries.sort(key=lambda entry: entry[:2])
    loaded = entries[0][2]
    told = "the rows of the warehouse"
    yield (
        "an amount",
        told,
        lambda: run(f"{target} sale_amount = sale_amount + 0.01 WHERE {row}"),
        lambda: run(f"{target} sale_amount = sale_amount - 0.01 WHERE {row}"),
    )
    yield (
        "a row that is in the wrong store",
        told,
        lambda: run(f"{target} store_id = '999' WHERE {row}"),
        lambda: run(f"{target} store_id = '{key[0]}' WHERE store_id = '999' AND {of_day}"),
    )
    yield (
        "a row too many",
        told,
        lambda: run("INSERT INTO sales_summary (store_id, item_id, trans_date) VALUES ('999', 'I', '2026-01-01')"),
        lambda: run("DELETE FROM sales_summary WHERE store_id = '999'"),
    )
    yield (
        "a run that the ledger lacks",
        "the ledger: [",
        lambda: run(f"{ledger} run_id = 'no' WHERE run_id = '{loaded}'"),
        lambda: run(f"{ledger} run_id = '{loaded}' WHERE run_id = 'no'"),
    )
    yield (
        "a sequence of the ledger",
        "the ledger: [",
        lambda: run(f"{ledger} sequence = sequence + 1 WHERE run_id = '{loaded}'"),
        lambda: run(f"{ledger} sequence = sequence - 1 WHERE run_id = '{loaded}'"),
    )
    # Two loads of one scope, the later one first.
    for (scope, _, first, at), (other, _, second, later) in zip(entries, entries[1:]):
        if scope == other and at != later:
            swapped = [(first, later), (second, at)], [(first, at), (second, later)]
            damage, undo = (
                "; ".join(f"{ledger} loaded_at = '{moment}' WHERE run_id = '{name}'" for name, moment in order)
                for order in swapped
            )
            yield "the order of loads", "was loaded after", lambda: run(damage), lambda: run(undo)
            break


def of_state(audit):
    """Damages of the state, likewise."""
    run, ask = audit.state.run, audit.state.ask
    (loaded,) = ask("run_id", "FROM job_run WHERE outcome = 'LOADED' ORDER BY sequence")[0]
    (file,) = ask("file_url", "FROM files WHERE feed = 'sales' ORDER BY file_url")[0]
    of_run = "cause, incomplete, inputs_digest, as_of_submission, queued_timestamp"
    for number, state in enumerate(("RUNNING", "QUEUED")):
        values = f"'left-{number}', job_config_id, wave, {number} + 7, '{state}', {of_run}"
        insert = f"INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, {of_run})"
        damage = f"{insert} SELECT {values} FROM job_run WHERE run_id = '{loaded}'"
        yield (
            f"a run that is {state}",
            "the run left-",
            lambda damage=damage: run(damage),
            lambda: run("DELETE FROM job_run WHERE run_id LIKE 'left-%'"),
        )
    waits = f"'file', 'x', NULL, NULL, {NOW}, 'because', 1, {NOW}"
    yield (
        "something that waits",
        "rows of waiting",
        lambda: run(f"INSERT INTO waiting VALUES ({waits})"),
        lambda: run("DELETE FROM waiting"),
    )
    yield (
        "an attempt that is left",
        "rows of file_attempt",
        lambda: run("INSERT INTO file_attempt VALUES ('x', 1, 1, 1, 1)"),
        lambda: run("DELETE FROM file_attempt"),
    )
    of_file = "file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp"
    values = f"'IL-x.tdf', 'sales', 'REJECTED', {NOW}, {NOW}"
    yield (
        "a file that nobody sent",
        "the files: ",
        lambda: run(f"INSERT INTO ingested_file_status ({of_file}) VALUES ({values})"),
        lambda: run("DELETE FROM ingested_file_status WHERE file_url = 'IL-x.tdf'; DELETE FROM file_to_match"),
    )
    status = f"UPDATE ingested_file_status SET last_update_status = '{{}}' WHERE file_url = '{file}'"
    yield (
        "a file's status",
        "the files: ",
        lambda: run(status.format("SUBMITTED")),
        lambda: run(status.format(audit.model.statuses[file])),
    )
    yield (
        "a count of a trigger",
        "tally_submission",
        lambda: run("UPDATE tally_submission SET submissions = submissions + 1"),
        lambda: run("UPDATE tally_submission SET submissions = submissions - 1"),
    )
    stamp = "stamp_bytes, stamp_modified_ns, stamp_inode, written_ns"
    columns = f"file_id, version_id, outcome, error, submitted_timestamp, {stamp}"
    yield (
        "an arrival that was recorded twice",
        "arrivals that were recorded",
        lambda: run(f"INSERT INTO submission ({columns}) SELECT {columns} FROM submission ORDER BY submission_id LIMIT 1"),
        # MySQL looks up nothing in the table that it deletes from, but in what was taken out of it before.
        lambda: run(
            "DELETE FROM submission WHERE submission_id ="
            " (SELECT newest FROM (SELECT max(submission_id) AS newest FROM submission) s)"
        ),
    )


def of_lake(audit):
    """Damages of the lake, likewise."""
    lake = audit.lake
    partials = audit.state.ask("partial_object", 'FROM versions WHERE in_force = 1 AND "rows" > 0 ORDER BY file_url')
    one, other = (lake / name for (name,) in [row for row in partials if row[0]][:2])
    unnamed, spooled, aside = lake / "summaries" / "nobody.parquet", audit.scratch / "_spool" / "7", lake / "aside"

    def swap():
        shutil.copy(one, aside)
        shutil.copy(other, one)

    yield "an object that is gone", "objects that are missing", lambda: one.rename(aside), lambda: aside.rename(one)
    yield "an object with another's content", ": version (", swap, lambda: aside.rename(one)
    yield (
        "a summary that nobody names",
        "objects that nobody names",
        lambda: shutil.copy(one, unnamed),
        unnamed.unlink,
    )
    yield "a file in the spool", "the spool", lambda: shutil.copy(one, spooled), spooled.unlink


def unnoticed(audit, tell):
    """Damages a site that is as it should be. Returns what the auditor does not notice."""
    missed = []
    for what, notice, damage, undo in [*of_warehouse(audit), *of_state(audit), *of_lake(audit)]:
        damage()
        noticed = [wrong for wrong in audit.run() if notice in wrong]
        undo()
        tell(f"damaged: {what}; noticed: {noticed[0][:80] if noticed else 'nothing'}")
        if not noticed:
            missed.append(f"the auditor does not notice {what}")
    if wrong := audit.run():
        missed.append(f"the damages were not undone: {wrong}")
    return missed
