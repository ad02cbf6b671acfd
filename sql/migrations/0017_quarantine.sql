-- Quarantine after a bad night: what waits is found by its feed, its reason and its time, at the cost of what is shown; why something was resolved is kept; a
-- reversal that came again after it was dismissed waits again.

-- All locks first, briefly, in the order in which entries are written: where one is not to be had at once, nobody is made to wait for long.
do $$
declare
    v_end timestamptz := clock_timestamp() + interval '60 s';
begin
    set local lock_timeout = '500ms';
    loop
        begin
            lock table quarantine_message, quarantine, quarantine_resolution, quarantine_waiting, intake_tally in access exclusive mode;
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

alter table quarantine_resolution add column why text;              -- of a person, in their words

-- again: how often the same had come and been resolved before.
alter table quarantine add column again int not null default 0;
alter table quarantine drop constraint quarantine_message_id_ordinal_reason_key, add unique (message_id, ordinal, reason, again);

-- Lists go by time, oldest or newest first. A stranger's feed is -1. All of it, and what waits of it.
create index quarantine_time on quarantine (received_at, quarantine_id);
create index quarantine_feed on quarantine (coalesce(feed_id, -1), received_at, quarantine_id);
create index quarantine_reason on quarantine (reason, received_at, quarantine_id);
create index quarantine_visit on quarantine (visit_no) where visit_no is not null;

alter table quarantine_waiting add column feed_id int, add column reason text, add column received_at timestamptz;
update quarantine_waiting w set feed_id = coalesce(q.feed_id, -1), reason = q.reason, received_at = q.received_at
  from quarantine q where q.quarantine_id = w.quarantine_id;
alter table quarantine_waiting alter column feed_id set not null, alter column reason set not null, alter column received_at set not null;
create index quarantine_waiting_time on quarantine_waiting (received_at, quarantine_id);
create index quarantine_waiting_feed on quarantine_waiting (feed_id, received_at, quarantine_id);
create index quarantine_waiting_reason on quarantine_waiting (reason, received_at, quarantine_id);

create or replace function quarantine_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'quarantine', reason, count(*) from fresh group by reason;
    with waits as (
        insert into quarantine_waiting (quarantine_id, held, facility, feed_id, reason, received_at)
        select q.quarantine_id, q.awaits_line is not null, coalesce(case when q.feed_id is not null then coalesce(named.code, own.code) end, 'unknown'),
               coalesce(q.feed_id, -1), q.reason, q.received_at
          from fresh q
          left join feed f using (feed_id)
          left join facility own on own.facility_id = f.facility_id
          left join facility named on named.code = q.facility_code
        returning facility
    )
    insert into kept_change select 'quarantine_facility', facility, count(*) from waits group by facility;
    return null;
end $$;

-- parked counts the rows of lines, from now on also those under a reason that a replay found: so that a row that is gone is missed.
insert into intake_tally as t (feed_id, day, shard, parked)
select coalesce(q.feed_id, p.feed_id), current_date, 0, coalesce(q.rows, 0) - coalesce(p.parked, 0)
  from (select feed_id, count(*) as rows from quarantine where ordinal > 0 and feed_id is not null group by feed_id) q
  full join (select feed_id, sum(parked) as parked from intake_tally group by feed_id) p using (feed_id)
 where coalesce(q.rows, 0) <> coalesce(p.parked, 0)
on conflict (feed_id, day, shard) do update set parked = t.parked + excluded.parked;
