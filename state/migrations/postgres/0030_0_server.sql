-- What the server and the database must be.
--
-- The files of this number are one migration. What is made lies in the schema that comes first in the search path, and
-- finds its own tables there, whatever search path the one who writes has.

DO $$
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'its server is PostgreSQL %, and 14 or newer is needed: upgrade it, or use another server',
            current_setting('server_version');
    END IF;
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'its encoding is %, and must be UTF8: create another with ENCODING ''UTF8''',
            current_setting('server_encoding');
    END IF;
END $$;

SELECT set_config('search_path', quote_ident(current_schema()), true);
