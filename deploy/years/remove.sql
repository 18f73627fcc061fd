-- Takes a year out of tables that cut.sql cut, if all its reports are frozen: docs/scaling.md
--   psql --single-transaction --set=ON_ERROR_STOP=1 --command="SET rata.year = 2020" --file=deploy/years/remove.sql
DO $$
DECLARE
    old_year int := current_setting('rata.year');
    name text; item record;
BEGIN
    FOR item IN SELECT region_code, period FROM progress AS report WHERE year = old_year AND NOT EXISTS
        (SELECT FROM quarter WHERE (region_code, period) = (report.region_code, report.period) AND state = 'frozen')
    LOOP
        RAISE EXCEPTION 'Not frozen: % %', item.region_code, item.period;
    END LOOP;
    -- each before the tables that it refers to
    FOREACH name IN ARRAY '{coverage_service,coverage,progress_milestone,progress_recipient,progress_output,
        progress_component,progress_spending,progress}'::text[]
    LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION years.%I', name, name || '_' || old_year);
        FOR item IN SELECT conname FROM pg_constraint
            WHERE conrelid = format('years.%I', name || '_' || old_year)::regclass AND contype = 'f'
            -- those of single referenced parts go with it; PostgreSQL 15 refuses to drop them
            AND conparentid = 0
        LOOP
            EXECUTE format('ALTER TABLE years.%I DROP CONSTRAINT IF EXISTS %I', name || '_' || old_year, item.conname);
        END LOOP;
    END LOOP;
END $$;
