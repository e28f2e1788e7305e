-- Who waits for a task, or for the answer to one, is told when there is one, instead of by the next look.

CREATE FUNCTION ring_for_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY gristmill_tasks;
    RETURN NULL;
END $$;

CREATE FUNCTION ring_for_answers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY gristmill_answers;
    RETURN NULL;
END $$;

CREATE TRIGGER task_handed_out AFTER INSERT ON task FOR EACH STATEMENT EXECUTE FUNCTION ring_for_tasks();

CREATE TRIGGER task_answered AFTER UPDATE OF result ON task FOR EACH STATEMENT EXECUTE FUNCTION ring_for_answers();
