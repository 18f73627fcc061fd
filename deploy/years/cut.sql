-- Cuts the tables of reports and coverage by year, into parts in the schema `years`: docs/scaling.md. Once, with the
-- service stopped. It copies the tables. Reports before the first and after the last year have a part each.
--   psql --single-transaction --set=ON_ERROR_STOP=1 --file=deploy/years/cut.sql
CREATE SCHEMA years;
DO $$
DECLARE
    last_year int := extract(year FROM now()) + 10;
    -- each after the tables that it refers to
    names text[] := '{progress,progress_spending,progress_component,progress_output,progress_recipient,
        progress_milestone,coverage,coverage_service}';
    first_year int; name text; item record;
BEGIN
    SELECT left(coalesce(least((SELECT min(period) FROM progress), (SELECT min(period) FROM coverage)), now()::text), 4)
        INTO first_year;
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('ALTER TABLE %I SET SCHEMA years', name);
    END LOOP;
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('CREATE TABLE %1$I (LIKE years.%1$I INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE (period)', name);
        FOR item IN SELECT conname, pg_get_constraintdef(oid) AS rule FROM pg_constraint
            WHERE conrelid = format('years.%I', name)::regclass AND contype IN ('p', 'u', 'c')
        LOOP
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I %s', name, item.conname, item.rule);
        END LOOP;
        EXECUTE format('CREATE TABLE years.%I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)', name || '_earlier', name, first_year);
        FOR year IN first_year..last_year LOOP
            EXECUTE format('CREATE TABLE years.%I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name || '_' || year, name, year, year + 1);
        END LOOP;
        EXECUTE format('CREATE TABLE years.%I PARTITION OF %I FOR VALUES FROM (%L) TO (MAXVALUE)', name || '_later', name, last_year + 1);
        EXECUTE format('INSERT INTO %1$I SELECT * FROM years.%1$I', name);
        FOR item IN SELECT pg_get_indexdef(indexrelid) AS rule FROM pg_index
            WHERE indrelid = format('years.%I', name)::regclass
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        LOOP
            EXECUTE replace(item.rule, ' ON years.', ' ON ');
        END LOOP;
        FOR item IN SELECT conname, pg_get_constraintdef(oid) AS rule FROM pg_constraint
            WHERE conrelid = format('years.%I', name)::regclass AND contype = 'f'
        LOOP
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I %s', name, item.conname, replace(item.rule, ' years.', ' '));
        END LOOP;
        EXECUTE format('ANALYZE %I', name);
    END LOOP;
    FOR number IN REVERSE array_length(names, 1)..1 LOOP
        EXECUTE format('DROP TABLE years.%I', names[number]);
    END LOOP;
END $$;
