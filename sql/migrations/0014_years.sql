-- Years: event, journal and the bytes of quarantine become partitions by their numbers, as charge is by visits, so that settled years can be exported and
-- dropped (sql/functions/80_archive.sql). The tables that are there become the first partitions: attached, not copied.

-- All locks first, briefly: where one is not to be had at once, nobody is made to wait for long, and none is held while another is waited for.
do $$
declare
    v_end timestamptz := clock_timestamp() + interval '60 s';
begin
    set local lock_timeout = '500ms';
    loop
        begin
            lock table bill in share row exclusive mode;
            lock table journal, event, quarantine_message, quarantine in access exclusive mode;
            exit;
        exception when lock_not_available then
            if clock_timestamp() > v_end then
                raise;
            end if;
            perform pg_sleep(0.2 + random() / 2);
        end;
    end loop;
    set local lock_timeout = '60s';
end $$;

drop view journal_posting;
drop view if exists quarantine_open;    -- made anew with the functions

-- The bytes stay where they are: the table becomes their first partition, and what is said of a message moves out of it.
alter table quarantine drop constraint quarantine_message_id_fkey;
alter table quarantine_message rename to quarantine_bytes_0;
alter index quarantine_message_pkey rename to quarantine_bytes_0_pkey;
alter table quarantine_bytes_0 drop constraint quarantine_message_sha256_key;
create table quarantine_message (like quarantine_bytes_0 including defaults including constraints);
alter table quarantine_message drop column bytes;
do $$
declare
    v_next bigint;
    v_columns text := (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                        where attrelid = 'quarantine_message'::regclass and attnum > 0 and not attisdropped);
begin
    execute format('select last_value + is_called::int from %s', pg_get_serial_sequence('quarantine_bytes_0', 'message_id')) into v_next;
    execute format('insert into quarantine_message (%1$s) select %1$s from quarantine_bytes_0', v_columns);
    alter table quarantine_bytes_0 alter column message_id drop identity;
    execute format('alter table quarantine_message alter column message_id add generated always as identity (start with %s)', v_next);
    execute (select 'alter table quarantine_bytes_0 ' || string_agg(format('drop column %I', attname), ', ') from pg_attribute
              where attrelid = 'quarantine_bytes_0'::regclass and attnum > 0 and not attisdropped and attname not in ('message_id', 'bytes'));
end $$;
alter table quarantine_message add primary key (message_id), add unique (sha256), add foreign key (feed_id) references feed;
alter table quarantine add foreign key (message_id) references quarantine_message;
create trigger append_only before update or delete or truncate on quarantine_message
    for each statement execute function refuse_change();

-- What came again after its first copy was archived with its range.
create table quarantine_bytes_again (
    message_id bigint primary key references quarantine_message,
    bytes      bytea not null
);
create trigger append_only before update or delete or truncate on quarantine_bytes_again
    for each statement execute function refuse_change();

-- Puts a partitioned table in the place of a plain one that is numbered by p_key, with its defaults, checks, numbers and triggers. The plain one is
-- called TABLE_0 from now on, and is to be attached. Triggers that are more than append_only fire for the whole from now on.
create function pg_temp.become_whole(p_table text, p_key text) returns void language plpgsql as $$
declare
    v_old text := p_table || '_0';
    v_next bigint;
    v_triggers text[] := (select array_agg(pg_get_triggerdef(oid)) from pg_trigger where tgrelid = p_table::regclass and not tgisinternal);
    v_sql text;
begin
    execute format('select last_value + is_called::int from %s', pg_get_serial_sequence(p_table, p_key)) into v_next;
    execute format('alter table %I rename to %I', p_table, v_old);
    for v_sql in select format('alter index %I rename to %I', c.relname, replace(c.relname, p_table, v_old))
                   from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = v_old::regclass loop
        execute v_sql;
    end loop;
    for v_sql in select format('drop trigger %I on %I', tgname, v_old) from pg_trigger
                  where tgrelid = v_old::regclass and not tgisinternal and tgname <> 'append_only' loop
        execute v_sql;
    end loop;
    execute format('alter table %I alter column %I drop identity', v_old, p_key);
    execute format('create table %I (like %I including defaults including constraints) partition by range (%I)', p_table, v_old, p_key);
    execute format('alter table %I add primary key (%I)', p_table, p_key);
    execute format('alter table %I alter column %I add generated always as identity (start with %s)', p_table, p_key, v_next);
    foreach v_sql in array v_triggers loop
        execute v_sql;
    end loop;
end $$;

-- Its range is whole widths, and has room for the next number.
create function pg_temp.become_part(p_table text, p_key text, p_width bigint) returns void language plpgsql as $$
declare
    v_next bigint;
begin
    execute format('select coalesce(max(%I), 0) + 1 from %I', p_key, p_table || '_0') into v_next;
    execute format('alter table %I attach partition %I for values from (0) to (%s)', p_table, p_table || '_0', (v_next / p_width + 1) * p_width);
end $$;

select pg_temp.become_whole('event', 'event_id');
create index event_visit on event (visit_id);
select pg_temp.become_part('event', 'event_id', 8000000);

select pg_temp.become_whole('journal', 'entry_id');
alter table journal add foreign key (bill_id) references bill;
create index journal_visit on journal (visit_id);
select pg_temp.become_part('journal', 'entry_id', 4000000);
create view journal_posting as
    select j.entry_id, j.at, j.kind, j.visit_id, j.bill_id, j.capture_id, p.account, p.amount
      from journal j, unnest(j.accounts, j.amounts) p (account, amount);

create table quarantine_bytes (
    message_id bigint primary key references quarantine_message,
    bytes      bytea not null
) partition by range (message_id);
create trigger append_only before update or delete or truncate on quarantine_bytes
    for each statement execute function refuse_change();
select pg_temp.become_part('quarantine_bytes', 'message_id', 100000);

-- What was exported and dropped, a row a partition. The sums stand in for its rows wherever books and audit add up.
create domain archived_relation as text check (value in ('charge', 'event', 'journal', 'quarantine_bytes'));
create table archive (
    archive_id  bigint generated always as identity primary key,
    relation    archived_relation not null,
    first_id    bigint not null,                -- of the range, both included: visits, events, entries, messages
    last_id     bigint not null,
    row_count   bigint not null,
    amount      bigint,                         -- fen: of lines their sum, of entries their debits
    subtotals   bigint[],                       -- of lines: categories 01 to 14, fen
    transfers   bigint,                         -- of lines: those of feed 0, which merges made
    sha256      bytea not null,                 -- of the content of the file
    file        text not null,                  -- its name; where it is kept is not ours to know
    archived_at timestamptz not null default now(),
    archived_by text not null,
    unique (relation, first_id),
    unique (relation, last_id),
    unique (file),
    check (first_id <= last_id and row_count >= 0 and octet_length(sha256) = 32 and file <> '' and archived_by <> ''
           and (relation in ('charge', 'journal')) = (amount is not null) and (relation = 'charge') = (subtotals is not null)
           and (relation = 'charge') = (transfers is not null)),
    check (subtotals is null or (array_length(subtotals, 1) = 14 and total_of(subtotals) = amount))
);
create table archive_account (                  -- of entries: what they add up to on each account
    archive_id bigint not null references archive,
    account    text not null references account,
    amount     bigint not null,
    primary key (archive_id, account)
);
create trigger append_only before update or delete or truncate on archive
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on archive_account
    for each statement execute function refuse_change();

drop function pg_temp.become_whole(text, text);
drop function pg_temp.become_part(text, text, bigint);
