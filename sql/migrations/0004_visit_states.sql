-- Lists of values as domains, here and in the next three. PostgreSQL parses a CHECK constraint anew for each statement that writes its table, whatever the
-- statement sets; a domain is looked at only where its column is set, and parsed once a session. What stays a CHECK speaks of several columns.
-- A table a migration, so that one waits for no lock while it holds another; a domain gets its check last, so that no table is rewritten.
create domain visit_state as text;
create domain visit_class as text;
alter table visit
    drop constraint visit_check,
    alter column state type visit_state,
    alter column class type visit_class,
    add check (visit_no <> '' and (state = 'merged') = (merged_into is not null) and billed_line <= line_count);
alter domain visit_state add check (value in ('open', 'discharged', 'billed', 'settled', 'cancelled', 'merged'));
alter domain visit_class add check (value in ('outpatient', 'emergency', 'inpatient', 'unknown'));
