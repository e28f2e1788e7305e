-- Archives and their members: each member is a file of its own. The row of an archive says how many members it had, and
-- how many of them a feed matched; the row of a member says which archive it was read from.
ALTER TABLE ingested_file_status ADD COLUMN members INTEGER CHECK (members >= 0);
ALTER TABLE ingested_file_status ADD COLUMN members_read INTEGER CHECK (members_read >= 0);
ALTER TABLE ingested_file_status ADD COLUMN archive TEXT;

CREATE INDEX file_of_archive ON ingested_file_status (archive) WHERE archive IS NOT NULL;
