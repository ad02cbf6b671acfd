-- What an operator is woken for, kept like the counts of 0010: what waits in quarantine by facility, and money that does not add up.

-- The facility that an entry belongs to when it comes: the one that the message names, where that is configured, else its feed's. What a stranger sent
-- belongs to none. It stays, whatever the settings say later, so that what was counted up is counted down.
alter table quarantine_waiting add column facility text collate "C" not null default 'unknown';
update quarantine_waiting w set facility = coalesce(named.code, own.code)
  from quarantine q join feed f using (feed_id) left join facility own on own.facility_id = f.facility_id left join facility named on named.code = q.facility_code
 where q.quarantine_id = w.quarantine_id and coalesce(named.code, own.code) is not null;

create or replace function quarantine_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'quarantine', reason, count(*) from fresh group by reason;
    with waits as (
        insert into quarantine_waiting (quarantine_id, held, facility)
        select q.quarantine_id, q.awaits_line is not null, coalesce(case when q.feed_id is not null then coalesce(named.code, own.code) end, 'unknown')
          from fresh q
          left join feed f using (feed_id)
          left join facility own on own.facility_id = f.facility_id
          left join facility named on named.code = q.facility_code
        returning facility
    )
    insert into kept_change select 'quarantine_facility', facility, count(*) from waits group by facility;
    return null;
end $$;

create or replace function resolution_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'quarantine', q.reason, -count(*) from fresh join quarantine q using (quarantine_id) group by q.reason;
    with gone as (
        delete from quarantine_waiting w using fresh where w.quarantine_id = fresh.quarantine_id returning w.facility
    )
    insert into kept_change select 'quarantine_facility', facility, -count(*) from gone group by facility;
    return null;
end $$;

insert into kept_count select 'quarantine_facility', facility, count(*) from quarantine_waiting group by facility;

-- Two differences, in fen, that every transaction leaves at 0. unused: what was captured, less what pays for bills, less what the journal has as credit.
-- unbooked: what was captured, less what the journal has on the accounts that money comes in on.
create function capture_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'money', name, sum(amount) from fresh, unnest(array['unused', 'unbooked']) name group by name;
    return null;
end $$;

create function application_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'money', 'unused', -sum(amount) from fresh where capture_id is not null having count(*) > 0;
    return null;
end $$;

create function journal_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change
    select 'money', case p.account when 'credit' then 'unused' else 'unbooked' end, sum(case p.account when 'credit' then p.amount else -p.amount end)
      from fresh, unnest(accounts, amounts) p (account, amount)
     where p.account <> 'receivable' and p.account not like 'revenue:%' group by 2;
    return null;
end $$;

-- In the order in which a capture writes them; from here to the commit nobody else writes.
lock table capture, application, journal in share row exclusive mode;
create trigger counted after insert on capture referencing new table as fresh for each statement execute function capture_counted();
create trigger counted after insert on application referencing new table as fresh for each statement execute function application_counted();
create trigger counted after insert on journal referencing new table as fresh for each statement execute function journal_counted();

insert into kept_count
select 'money', 'unused', coalesce((select sum(amount) from capture), 0) - coalesce((select sum(amount) from application where capture_id is not null), 0)
                          + coalesce((select sum(amount) from journal_posting where account = 'credit'), 0);
insert into kept_count
select 'money', 'unbooked', coalesce((select sum(amount) from capture), 0)
                            - coalesce((select sum(amount) from journal_posting where account not in ('receivable', 'credit') and account not like 'revenue:%'), 0);
