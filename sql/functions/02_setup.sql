-- What the configuration says, brought into the database at start and at reload.

-- Facilities and feeds by name; a feed that is no longer configured is made inactive, and no bill waits for it.
-- p: {"facilities": [{"code", "name", "grace_s", "late_grace_s", "due_hours", "outpatient_limit",
--     "inpatient_limit", "visit_amount", "visit_day_amount", "close": {class: rule}}], "feeds": [{"name", "facility", "application", "waits"}]}
-- Returns {"facilities": {code: id}, "feeds": {name: id}}. Locks the two tables' rows in code and name order. Where the schema has facilities and the
-- settings name none of them it is another hospital's, and nothing is changed.
create or replace function setup_apply(p json) returns json
language plpgsql security definer set search_path from current as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(current_schema || '.setup', 0));
    if exists (select from facility)
       and not exists (select from facility where code in (select f ->> 'code' from json_array_elements(p -> 'facilities') f)) then
        raise exception 'schema % is another hospital''s: it has facilities %, and the settings name none of them', current_schema,
            (select string_agg(code, ', ' order by code) from (select code from facility order by code limit 20) few);
    end if;
    insert into facility (code, name, grace, late_grace, due_after, outpatient_limit, inpatient_limit, visit_amount, visit_day_amount)
    select f.code, f.name, make_interval(secs => f.grace_s), make_interval(secs => f.late_grace_s),
           make_interval(hours => f.due_hours), f.outpatient_limit, f.inpatient_limit, nullif(f.visit_amount, 0), nullif(f.visit_day_amount, 0)
      from json_to_recordset(p -> 'facilities') f (code text, name text, grace_s float8, late_grace_s float8,
                                                   due_hours int, outpatient_limit bigint, inpatient_limit bigint, visit_amount bigint,
                                                   visit_day_amount bigint)
     order by f.code
    on conflict (code) do update
       set name = excluded.name, grace = excluded.grace, late_grace = excluded.late_grace,
           due_after = excluded.due_after, outpatient_limit = excluded.outpatient_limit,
           inpatient_limit = excluded.inpatient_limit, visit_amount = excluded.visit_amount, visit_day_amount = excluded.visit_day_amount;
    perform close_rules_apply(p);
    insert into feed (name, facility_id, application, waits)
    select f.name, facility.facility_id, f.application, f.waits
      from json_to_recordset(p -> 'feeds') f (name text, facility text, application text, waits boolean)
      join facility on facility.code = f.facility
     where f.name <> 'visitbill'     -- feed 0 is the daemon's own
     order by f.name
    on conflict (name) do update
       set facility_id = excluded.facility_id, application = excluded.application, waits = excluded.waits,
           active = true;
    insert into feed_again (feed_id, place)
    select feed_id, place from feed f, generate_series(1, 10) place
     where feed_id > 0 and not exists (select from feed_again a where a.feed_id = f.feed_id);
    update feed set active = false
     where feed_id > 0 and active
       and name not in (select f ->> 'name' from json_array_elements(p -> 'feeds') f);
    return json_build_object(
        'facilities', (select json_object_agg(code, facility_id) from facility),
        'feeds', (select json_object_agg(name, feed_id) from feed));
end $$;

-- Close rules as the settings say them: "idle 4h", "daily 23:30"; anything else is no rule. Where one changed, the open visits of its class are looked at anew.
create or replace function close_rules_apply(p json) returns void language plpgsql as $$
begin
    with said as (
        select f.facility_id, r.key::visit_class as class,
               case when split_part(r.value, ' ', 1) = 'idle' then split_part(r.value, ' ', 2)::interval end as idle,
               case when split_part(r.value, ' ', 1) = 'daily' then split_part(r.value, ' ', 2)::time end as daily
          from json_to_recordset(p -> 'facilities') s (code text, close json) join facility f using (code)
         cross join lateral json_each_text(s.close) r
    ), gone as (
        delete from close_rule c using said s where (c.facility_id, c.class) = (s.facility_id, s.class) and s.idle is null and s.daily is null
        returning c.facility_id, c.class
    ), kept as (
        insert into close_rule as c (facility_id, class, idle, daily)
        select * from said where idle is not null or daily is not null order by facility_id, class
        on conflict (facility_id, class) do update set idle = excluded.idle, daily = excluded.daily where (c.idle, c.daily) is distinct from (excluded.idle, excluded.daily)
        returning c.*
    ), ended as (
        delete from visit_ending e using visit v, gone g where v.visit_id = e.visit_id and (v.facility_id, v.class) = (g.facility_id, g.class)
    )
    insert into visit_ending as e (visit_id, look_at)
    select v.visit_id, close_rule_end(k::close_rule, v.opened_at) from kept k join visit v using (facility_id, class) where v.state = 'open' order by v.visit_id
    on conflict (visit_id) do update set look_at = excluded.look_at;
end $$;

-- What a daemon with these merchants and feeds alone would leave lying: merchants with live attempts, and feeds with lines in quarantine that wait
-- for their original; how many of each. Looks only at live attempts, and at the held
-- lines of feeds that are not named. kind: merchant or feed.
create or replace function reload_orphans(p_merchants text[], p_feeds text[]) returns table (kind text, name text, live bigint)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
    select 'merchant', p.merchant, count(*)
      from payment p
     where p.state in ('created', 'pending', 'unknown') and p.merchant <> '' and p.merchant <> all (coalesce(p_merchants, '{}'))
     group by p.merchant
    union all
    select 'feed', f.name, held.lines
      from feed f
     cross join lateral (select count(*) as lines from quarantine q
                          join quarantine_waiting w using (quarantine_id) where w.held and q.feed_id = f.feed_id) held
     where f.feed_id > 0 and f.name <> all (coalesce(p_feeds, '{}')) and held.lines > 0
     order by 1, 2;
end $$;

-- Moves watermarks forward. p_age: microseconds since the newest message of the feed came; null: now. Rows are touched in feed order, so two daemons
-- cannot wait for each other.
create or replace function feed_marks(p_feed int[], p_mark timestamptz[], p_age bigint[]) returns void
language plpgsql security definer set search_path from current as $$
begin
    insert into feed_watermark as w (feed_id, mark, seen_at)
    select f, max(m), now() - min(coalesce(a, 0)) * interval '1 us' from unnest(p_feed, p_mark, p_age) as t (f, m, a) group by f order by f
    on conflict (feed_id) do update
       set mark = greatest(w.mark, excluded.mark), seen_at = greatest(w.seen_at, excluded.seen_at);
end $$;

-- Price list rows from `visitbillctl items import`; a row that is there is replaced. Returns the rows changed.
create or replace function items_import(p_facility text, p json) returns bigint
language plpgsql security definer set search_path from current as $$
declare
    v_facility int := (select facility_id from facility where code = p_facility);
    v_rows bigint;
begin
    if v_facility is null then
        raise exception 'facility % is not configured', p_facility;
    end if;
    insert into item (facility_id, code, valid_from, national_code, name, unit, category, class, self_pay_e4, unit_price_e6)
    select v_facility, i.code, i.valid_from, i.national_code, i.name, i.unit, i.category, i.class, i.self_pay_e4, i.unit_price_e6
      from json_to_recordset(p) i (code text, valid_from date, national_code text, name text, unit text,
           category smallint, class text, self_pay_e4 int, unit_price_e6 bigint)
    on conflict (facility_id, code, valid_from) do update
       set national_code = excluded.national_code, name = excluded.name, unit = excluded.unit,
           category = excluded.category, class = excluded.class, self_pay_e4 = excluded.self_pay_e4,
           unit_price_e6 = excluded.unit_price_e6, active = true
     where item is distinct from excluded;
    get diagnostics v_rows = row_count;
    return v_rows;
end $$;

-- Entries of a price list that a feed sent, each {place, ends, day: from then on, as days since 1970, code, name, unit, national_code, class, category,
-- unit_price_e6, self_pay_e4}. What an entry does not say stays as it was on that day. An outcome each: done, repeated, item_unknown, item_incomplete. Takes
-- the lock of the facility's price list.
create or replace function items_keep(p_facility int, p_entries json) returns text[]
language plpgsql security definer set search_path from current as $$
declare
    e record;
    old item;
    v_day date;
    v_outcomes text[] := '{}';
begin
    perform pg_advisory_xact_lock(hashtextextended(current_schema || '.items', p_facility));
    for e in select * from json_to_recordset(p_entries) r (place int, ends boolean, day int, code text, name text, unit text, national_code text, class text,
                  category smallint, unit_price_e6 bigint, self_pay_e4 int) order by place loop
        v_day := date '1970-01-01' + e.day;
        select * into old from item where facility_id = p_facility and code = e.code and valid_from <= v_day order by valid_from desc limit 1;
        if e.ends and old.code is null then
            v_outcomes[e.place + 1] := 'item_unknown';
            continue;
        elsif not e.ends and (coalesce(e.name, old.name) is null or coalesce(e.category, old.category) is null
                              or coalesce(e.unit_price_e6, old.unit_price_e6) is null) then
            v_outcomes[e.place + 1] := 'item_incomplete';
            continue;
        end if;
        if (old.active, old.name, old.unit, old.national_code, old.class, old.category, old.unit_price_e6, old.self_pay_e4)
           is not distinct from (not e.ends, coalesce(e.name, old.name), coalesce(e.unit, old.unit), coalesce(e.national_code, old.national_code),
               coalesce(e.class, old.class), coalesce(e.category, old.category), coalesce(e.unit_price_e6, old.unit_price_e6), coalesce(e.self_pay_e4, old.self_pay_e4)) then
            v_outcomes[e.place + 1] := 'repeated';
            continue;
        end if;
        insert into item (facility_id, code, valid_from, national_code, name, unit, category, class, self_pay_e4, unit_price_e6, active)
        values (p_facility, e.code, v_day, coalesce(e.national_code, old.national_code), coalesce(e.name, old.name), coalesce(e.unit, old.unit),
                coalesce(e.category, old.category), coalesce(e.class, old.class), coalesce(e.self_pay_e4, old.self_pay_e4, 0),
                coalesce(e.unit_price_e6, old.unit_price_e6), not e.ends)
        on conflict (facility_id, code, valid_from) do update
           set national_code = excluded.national_code, name = excluded.name, unit = excluded.unit, category = excluded.category, class = excluded.class,
               self_pay_e4 = excluded.self_pay_e4, unit_price_e6 = excluded.unit_price_e6, active = excluded.active;
        v_outcomes[e.place + 1] := 'done';
    end loop;
    return v_outcomes;
end $$;

-- The partitions of a table by number: from first_id, up to but without next_id; as they were made, widths may differ over the years.
create or replace function partitions_of(p_table text) returns table (name text, first_id bigint, next_id bigint) language sql stable as $$
    select c.relname::text, b[1]::bigint, b[2]::bigint
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
     cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$FROM \('?(\d+)'?\) TO \('?(\d+)'?\)$r$) b
     where i.inhparent = p_table::regclass
$$;

-- Makes sure that a table's partition of that number and p_ahead more exist, p_width numbers each. Returns how many it made.
create or replace function partitions_up_to(p_table text, p_newest bigint, p_width bigint, p_ahead int) returns int language plpgsql as $$
declare
    v_end bigint;
    v_name text;
    v_made int := 0;
begin
    loop
        select coalesce(max(next_id), 0) into v_end from partitions_of(p_table);
        exit when v_end > p_newest + p_ahead * p_width;
        v_name := p_table || '_' || v_end;
        -- attached rather than created in place: that waits for no reader and holds up no posting
        execute format('create table %I (like %I including defaults including constraints)', v_name, p_table);
        execute format('alter table %I attach partition %I for values from (%s) to (%s)', p_table, v_name, v_end, (v_end / p_width + 1) * p_width);
        execute format(case p_table when 'charge' then 'create trigger no_truncate before truncate on %I for each statement execute function refuse_change()'
                                    else 'create trigger append_only before update or delete or truncate on %I for each statement execute function refuse_change()' end,
                       v_name);
        v_made := v_made + 1;
    end loop;
    return v_made;
end $$;

-- Makes sure that the partitions of the newest visit, event, journal entry and quarantined message and p_ahead more of each exist; of charge p_width
-- visits each, of the others about as many as such visits make. Attaching one of journal takes a lock on bill that waits for writers: not for long.
create or replace function partitions_ahead(p_width bigint default 1000000, p_ahead int default 1) returns int
language plpgsql security definer set search_path from current set lock_timeout = '5s' as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(current_schema || '.partitions', 0));
    return partitions_up_to('charge', coalesce((select max(visit_id) from visit), 1), p_width, p_ahead)
         + partitions_up_to('event', coalesce((select max(event_id) from event), 1), p_width * 8, p_ahead)
         + partitions_up_to('journal', coalesce((select max(entry_id) from journal), 1), p_width * 4, p_ahead)
         + partitions_up_to('quarantine_bytes', coalesce((select max(message_id) from quarantine_message), 1), greatest(p_width / 10, 1), p_ahead);
end $$;
