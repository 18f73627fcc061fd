-- Adds the part of a year to tables that cut.sql cut, before the first report of that year: docs/scaling.md
--   psql --single-transaction --set=ON_ERROR_STOP=1 --command="SET rata.year = 2037" --file=deploy/years/add.sql
DO $$
DECLARE
    new_year int := current_setting('rata.year');
    name text;
BEGIN
    FOREACH name IN ARRAY '{progress,progress_spending,progress_component,progress_output,progress_recipient,
        progress_milestone,coverage,coverage_service}'::text[]
    LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION years.%I', name, name || '_later');
        EXECUTE format('CREATE TABLE years.%I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name || '_' || new_year, name, new_year, new_year + 1);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION years.%I FOR VALUES FROM (%L) TO (MAXVALUE)', name, name || '_later', new_year + 1);
    END LOOP;
END $$;
