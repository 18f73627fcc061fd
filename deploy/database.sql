-- Creates the role `rata` and its database, both without a password: PostgreSQL lets the system user `rata` take the
-- role (`peer`). Run it as PostgreSQL's administrator; a second run changes nothing. docs/install.md
SELECT 'CREATE ROLE rata LOGIN CREATEDB'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rata') \gexec
SELECT $$CREATE DATABASE rata OWNER rata TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'$$
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'rata') \gexec
