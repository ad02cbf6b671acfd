-- Quarantine: what could not be booked, kept with its bytes and a reason, until a replay or a person resolves it.

-- The bytes that are here: those of a message that nobody waits for may be archived.
create or replace view quarantine_kept as
    select message_id, bytes from quarantine_bytes union all select message_id, bytes from quarantine_bytes_again;

-- The number of the next row for a thing that is wrong in a message: as often as it was kept before, when all of these are resolved; while one waits, that
-- one's, and another cannot be kept.
create or replace function quarantine_again(p_message bigint, p_ordinal int, p_reason text) returns int language plpgsql stable as $$
begin
    return (select case when count(w.quarantine_id) > 0 then max(q.again) else coalesce(max(q.again) + 1, 0) end
              from quarantine q left join quarantine_waiting w using (quarantine_id)
             where q.message_id = p_message and q.ordinal = p_ordinal and q.reason = p_reason);
end $$;

-- Keeps one message and what is wrong in it, a row a line (ordinal from 1; 0 is the whole message). A thing that is there already
-- is not kept twice; it counts as a duplicate: the same is what one feed sent as one operation (a method and its target, or hl7) in the same bytes. A held
-- reversal of which nothing waits any more (it was dismissed) is kept again: its sender is told that it waits.
-- p_lines: how many of the rows are charge lines. Returns the new rows' ids.
create or replace function quarantine_put(p_feed int, p_content_type text, p_peer text, p_bytes bytea,
    p_ordinal int[], p_reason text[], p_detail text[], p_location text[], p_facility text[], p_visit_no text[],
    p_source_line text[], p_awaits text[], p_lines int, p_operation text default '') returns bigint[]
language plpgsql security definer set search_path from current as $$
declare
    v_sha bytea := sha256(convert_to(coalesce(p_feed::text, '') || chr(10) || p_operation || chr(10), 'UTF8') || p_bytes);
    v_message bigint;
    v_ids bigint[];
    v_new int;
    v_archived boolean := false;
begin
    insert into quarantine_message (feed_id, content_type, operation, peer, sha256)
    values (p_feed, p_content_type, p_operation, p_peer, v_sha)
    on conflict (sha256) do nothing
    returning message_id into v_message;
    if v_message is not null then
        insert into quarantine_bytes (message_id, bytes) values (v_message, p_bytes);
    else
        select message_id, not exists (select from quarantine_kept k where k.message_id = m.message_id) into v_message, v_archived
          from quarantine_message m where sha256 = v_sha for key share;     -- which the answer waits for: the standby may not have the first one
    end if;
    with kept as (
        insert into quarantine (message_id, ordinal, again, feed_id, reason, detail, location, facility_code, visit_no, source_line, awaits_line)
        select v_message, q.ordinal, case when q.awaits is null then 0 else quarantine_again(v_message, q.ordinal, q.reason) end,
               p_feed, q.reason, q.detail, q.location, q.facility, q.visit_no, q.source_line, q.awaits
          from unnest(p_ordinal, p_reason, p_detail, p_location, p_facility, p_visit_no, p_source_line, p_awaits)
               q (ordinal, reason, detail, location, facility, visit_no, source_line, awaits)
        on conflict (message_id, ordinal, reason, again) do nothing
        returning quarantine_id, ordinal
    )
    select array_agg(quarantine_id), count(*) filter (where ordinal > 0) into v_ids, v_new from kept;
    if v_archived and v_ids is not null then    -- what waits has its bytes here
        insert into quarantine_bytes_again (message_id, bytes) values (v_message, p_bytes) on conflict do nothing;
    end if;
    if p_feed is not null and p_lines > 0 then
        insert into intake_tally as t (feed_id, day, shard, parked, duplicate)
        values (p_feed, current_date, pg_backend_pid() % 32, v_new, p_lines - v_new)
        on conflict (feed_id, day, shard) do update
           set parked = t.parked + excluded.parked, duplicate = t.duplicate + excluded.duplicate;
    end if;
    return v_ids;
end $$;

-- Entries with the name of their feed and the code of the facility they belong to: the one that the message names, where that is configured, else its
-- feed's. What a stranger sent belongs to none, whatever it names: only a scope of all facilities covers it.
create or replace view quarantine_entry as
    select q.*, f.name as feed, case when q.feed_id is not null then coalesce(named.code, own.code) end as facility
      from quarantine q
      left join feed f using (feed_id)
      left join facility own on own.facility_id = f.facility_id
      left join facility named on named.code = q.facility_code;

-- Says how a quarantined thing ended. Once: a second call is 'repeated'. A replay counts its line once more, as booked or duplicate; the books take the
-- resolved ones off the parked ones, so that received stays what was received. Where two replays of one line ended, one of them found the other's line: that
-- duplicate was received by nobody, and is taken back.
create or replace function quarantine_end(p_id bigint, p_outcome text, p_by text, p_why text) returns text language plpgsql as $$
begin
    insert into quarantine_resolution (quarantine_id, outcome, resolved_by, why) values (p_id, p_outcome, p_by, p_why)
    on conflict do nothing;
    if found then
        return 'done';
    elsif p_outcome in ('posted', 'late', 'duplicate') then
        insert into intake_tally as t (feed_id, day, shard, duplicate)
        select feed_id, current_date, pg_backend_pid() % 32, -1 from quarantine where quarantine_id = p_id and ordinal > 0 and feed_id is not null
        on conflict (feed_id, day, shard) do update set duplicate = t.duplicate - 1;
    end if;
    return 'repeated';
end $$;

-- The same, as far as the scope covers the entry.
create or replace function quarantine_resolve(p_id bigint, p_outcome text, p_by text, p_scope text[]) returns text
language plpgsql security definer set search_path from current as $$
begin
    if not exists (select from quarantine_entry q where q.quarantine_id = p_id and in_scope(p_scope, q.facility)) then
        return 'quarantine_unknown';
    end if;
    return quarantine_end(p_id, p_outcome, p_by, null);
end $$;

-- A replay found another reason than the one it waited for: the entry ends as superseded, and the line waits under its real reason.
create or replace function quarantine_supersede(p_id bigint, p_reason text, p_detail text, p_location text, p_by text, p_scope text[])
returns text
language plpgsql security definer set search_path from current as $$
begin
    if not exists (select from quarantine where quarantine_id = p_id and reason <> p_reason)
       or quarantine_resolve(p_id, 'superseded', p_by, p_scope) <> 'done' then
        return 'repeated';
    end if;
    with kept as (
        insert into quarantine (message_id, ordinal, again, feed_id, reason, detail, location, facility_code, visit_no, source_line)
        select message_id, ordinal, quarantine_again(message_id, ordinal, p_reason), feed_id, p_reason, p_detail, p_location, facility_code, visit_no, source_line
          from quarantine where quarantine_id = p_id
        on conflict (message_id, ordinal, reason, again) do nothing
        returning feed_id, ordinal
    )
    insert into intake_tally as t (feed_id, day, shard, parked)
    select feed_id, current_date, pg_backend_pid() % 32, 1 from kept where ordinal > 0 and feed_id is not null
    on conflict (feed_id, day, shard) do update set parked = t.parked + 1;
    return 'done';
end $$;

-- What became of replayed entries: of those with an outcome of a booking that they ended so, of those with another reason that they wait under that one.
-- Entries that may not be resolved by this scope are left alone. In the order of their ids, each locked by its resolution.
create or replace function quarantine_replayed(p_id bigint[], p_outcome text[], p_detail text[], p_location text[], p_by text, p_scope text[]) returns void
language plpgsql security definer set search_path from current as $$
declare
    r record;
begin
    for r in select * from unnest(p_id, p_outcome, p_detail, p_location) e (id, outcome, detail, location) order by id loop
        if exists (select from outcomes() o where o.name = r.outcome and o.is_done) then
            perform quarantine_resolve(r.id, r.outcome, p_by, p_scope);
        else
            perform quarantine_supersede(r.id, r.outcome, r.detail, r.location, p_by, p_scope);
        end if;
    end loop;
end $$;

create or replace view quarantine_open as
    select q.*, m.content_type, m.peer from quarantine q join quarantine_message m using (message_id)
     where not exists (select 1 from quarantine_resolution r where r.quarantine_id = q.quarantine_id);

-- The entries of these ids with what a replay needs: as many as have a megabyte together, and one message at least, message by message. The bytes stand in
-- the first row of each message's lines, and of each message as a whole; rows without them are more of the one before. (The length of what is stored apart
-- is known without reading it.)
create or replace function quarantine_rows(p_ids bigint[])
returns table (quarantine_id bigint, feed_id int, content_type text, bytes bytea, ordinal int, operation text)
language sql stable as $$
    select quarantine_id, feed_id, content_type, case when first then bytes end, ordinal, operation from (
        select o.*, sum(case when first then octet_length(bytes) else 0 end) over (order by message_id, is_line, quarantine_id) - octet_length(bytes) as before
          from (select q.quarantine_id, q.message_id, q.feed_id, m.content_type, k.bytes, q.ordinal, m.operation, q.ordinal > 0 as is_line,
                       row_number() over (partition by q.message_id, q.ordinal > 0 order by q.quarantine_id) = 1 as first
                  from unnest(p_ids) i (id) join quarantine q on q.quarantine_id = i.id join quarantine_message m using (message_id)
                  join quarantine_kept k using (message_id)) o) e
     where before < 1000000 order by message_id, is_line, quarantine_id
$$;

-- Held reversals whose original has arrived since, oldest first, as quarantine_rows gives them.
create or replace function quarantine_ready(p_limit int)
returns table (quarantine_id bigint, feed_id int, content_type text, bytes bytea, ordinal int, operation text)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
        select r.* from quarantine_rows(array(
            select q.quarantine_id from quarantine_waiting w join quarantine q using (quarantine_id)
             where w.held
               and exists (select 1 from facility f join visit v on v.facility_id = f.facility_id
                             join charge c on c.visit_id = coalesce(v.merged_into, v.visit_id) and c.feed_id = q.feed_id and c.source_line = q.awaits_line
                            where f.code = q.facility_code and v.visit_no = visit_named(f.facility_id, q.visit_no, 'any', null)
                              and c.sent_as = line_known_as(c.visit_id, q.feed_id, q.awaits_line, case when v.merged_into is null then '' else v.visit_no end, null))
             order by q.quarantine_id limit p_limit)) r;
end $$;

-- One entry, to be replayed; ended: how it did, where it is resolved.
create or replace function quarantine_bytes(p_id bigint, p_scope text[])
returns table (quarantine_id bigint, feed_id int, content_type text, bytes bytea, ordinal int, operation text, ended text)
language sql stable security definer set search_path from current as $$
    select q.quarantine_id, q.feed_id, m.content_type, k.bytes, q.ordinal, m.operation, r.outcome
      from quarantine_entry q join quarantine_message m using (message_id) join quarantine_kept k using (message_id)
      left join quarantine_resolution r on r.quarantine_id = q.quarantine_id
     where q.quarantine_id = p_id and in_scope(p_scope, q.facility)
$$;

-- The entries that a filter means, by time. A filter is an object, each of its members may be left out: id; state (waiting, resolved or all; else waiting);
-- feed (a name, or unknown: a stranger's); reason; from and until (times, without the last); visit (a number); text (in the detail, the line's id or the
-- visit's number, whatever its case); order (newest or oldest first; else oldest).
-- Goes on behind the entry p_after (0: from the beginning), looks at p_look entries at most, of which as much of the filter is true as an index knows, and
-- takes p_limit of them. next: behind which entry there may be more; null at the end.
create or replace function quarantine_pick(p_filter jsonb, p_limit int, p_look int, p_after bigint, p_scope text[], out ids bigint[], out next bigint)
language plpgsql stable set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
set enable_bitmapscan = off as $$
declare
    v_state constant text := coalesce(p_filter ->> 'state', 'waiting');
    v_newest constant boolean := coalesce(p_filter ->> 'order', 'oldest') = 'newest';
    v_direction constant text := case when v_newest then ' desc' else '' end;
    v_feed constant int := coalesce((select feed_id from feed where name = p_filter ->> 'feed'), case p_filter ->> 'feed' when 'unknown' then -1 else -2 end);
    v_waiting constant boolean := v_state = 'waiting' and not p_filter ?| array['visit', 'id'];
    v_after_at constant timestamptz := (select received_at from quarantine where quarantine_id = p_after);
    v_looked text;
begin
    v_looked := format('select l.quarantine_id, l.received_at from %s l where true', case when v_waiting then 'quarantine_waiting' else 'quarantine' end)
        || case when p_filter ? 'id' then ' and l.quarantine_id = ($1 ->> ''id'')::bigint' else '' end
        || case when p_filter ? 'feed' then case when v_waiting then ' and l.feed_id = $2' else ' and coalesce(l.feed_id, -1) = $2' end else '' end
        || case when p_filter ? 'reason' then ' and l.reason = $1 ->> ''reason''' else '' end
        || case when p_filter ? 'visit' then ' and l.visit_no = $1 ->> ''visit''' else '' end
        || case when p_filter ? 'from' then ' and l.received_at >= ($1 ->> ''from'')::timestamptz' else '' end
        || case when p_filter ? 'until' then ' and l.received_at < ($1 ->> ''until'')::timestamptz' else '' end
        || case when v_after_at is null then '' when v_newest then ' and (l.received_at, l.quarantine_id) < ($3, $4)'
                else ' and (l.received_at, l.quarantine_id) > ($3, $4)' end
        || format(' order by l.received_at%1$s, l.quarantine_id%1$s', v_direction);
    execute format('select array_agg(quarantine_id order by received_at%1$s, quarantine_id%1$s) from (select q.quarantine_id, q.received_at'
                   ' from (%2$s limit $6) l join quarantine_entry q using (quarantine_id) where in_scope($5, q.facility)', v_direction, v_looked)
        || case when v_state = 'waiting' and not v_waiting then ' and exists (select from quarantine_waiting w where w.quarantine_id = l.quarantine_id)'
                when v_state = 'resolved' then ' and exists (select from quarantine_resolution r where r.quarantine_id = l.quarantine_id)' else '' end
        || case when p_filter ? 'text'
                then ' and position(lower($1 ->> ''text'') in lower(concat_ws(chr(10), q.detail, q.source_line, q.visit_no))) > 0' else '' end
        || format(' order by l.received_at%1$s, l.quarantine_id%1$s limit $7) found', v_direction)
       into ids using p_filter, v_feed, v_after_at, p_after, p_scope, p_look, p_limit;
    ids := coalesce(ids, '{}');
    if cardinality(ids) = p_limit then
        next := ids[p_limit];
    else
        execute format('select quarantine_id from (%s) l offset $5 - 1 limit 1', v_looked) into next using p_filter, v_feed, v_after_at, p_after, p_look;
    end if;
end $$;

-- An entry, for people and programs.
create or replace view quarantine_doc as
    select q.quarantine_id, json_build_object('id', q.quarantine_id, 'received_at', iso_time(q.received_at), 'feed', q.feed, 'reason', q.reason,
               'detail', q.detail, 'location', q.location, 'facility', q.facility_code, 'visit_no', q.visit_no,
               'source_line', q.source_line, 'state', case when r.outcome is null then 'waiting' else 'resolved' end,
               'outcome', r.outcome, 'by', r.resolved_by, 'why', r.why) as doc
      from quarantine_entry q left join quarantine_resolution r using (quarantine_id);

-- A page of them; next is the id behind which there may be more.
create or replace function quarantine_list(p_filter jsonb, p_limit int, p_after bigint, p_scope text[], out outcome text, out doc text)
language plpgsql stable security definer set search_path from current as $$
declare
    v record;
begin
    select * into v from quarantine_pick(p_filter, p_limit, 20000, p_after, p_scope);
    outcome := 'done';
    doc := json_build_object('quarantine', (select coalesce(json_agg(d.doc order by i.ord), '[]')
                                             from unnest(v.ids) with ordinality i (id, ord) join quarantine_doc d on d.quarantine_id = i.id),
                             'next', v.next);
end $$;

-- What a replay or dismissal of them would be of: how many, by feed and reason, and the first few of them.
create or replace function quarantine_summary(p_filter jsonb, p_after bigint, p_scope text[], out outcome text, out doc text)
language plpgsql stable security definer set search_path from current as $$
declare
    v record;
begin
    select * into v from quarantine_pick(p_filter, 50000, 50000, p_after, p_scope);
    outcome := 'done';
    doc := json_build_object('matching', cardinality(v.ids),
        'by', (select coalesce(json_agg(json_build_object('feed', coalesce(f.name, 'unknown'), 'reason', c.reason, 'count', c.n) order by c.n desc, f.name, c.reason), '[]')
                 from (select q.feed_id, q.reason, count(*) as n from unnest(v.ids) i (id) join quarantine q on q.quarantine_id = i.id group by q.feed_id, q.reason) c
                 left join feed f using (feed_id)),
        'examples', (select coalesce(json_agg(d.doc order by i.ord), '[]')
                       from unnest(v.ids[1:5]) with ordinality i (id, ord) join quarantine_doc d on d.quarantine_id = i.id),
        'next', v.next);
end $$;

-- Says of the waiting ones that they need no booking, p_limit at a time; by whom and why stays. Each is locked by its resolution, in the order of the ids:
-- what somebody else resolves meanwhile is left alone.
create or replace function quarantine_dismiss(p_filter jsonb, p_limit int, p_after bigint, p_by text, p_why text, p_scope text[], out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
declare
    v record;
    v_done bigint;
begin
    select * into v from quarantine_pick(p_filter || '{"state": "waiting"}', p_limit, 20000, p_after, p_scope);
    insert into quarantine_resolution (quarantine_id, outcome, resolved_by, why)
    select id, 'dismissed', p_by, p_why from unnest(v.ids) i (id) order by id
    on conflict do nothing;
    get diagnostics v_done = row_count;
    outcome := 'done';
    doc := json_build_object('dismissed', v_done, 'next', v.next);
end $$;

-- The waiting ones that a filter means, as quarantine_rows gives them, and in each row `next`: behind which entry there may be more. Where none of those
-- looked at is meant and more may come, one row says so, with nothing but `next`.
create or replace function quarantine_replayable(p_filter jsonb, p_limit int, p_after bigint, p_scope text[])
returns table (quarantine_id bigint, feed_id int, content_type text, bytes bytea, ordinal int, operation text, next bigint)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
declare
    v record;
    v_most int;
begin
    select * into v from quarantine_pick(p_filter || '{"state": "waiting", "order": "oldest"}', p_limit, 20000, p_after, p_scope);
    -- those in front of the first whose bytes were too many: they come in the order of the filter
    select min(i.ord) - 1 into v_most from unnest(v.ids) with ordinality i (id, ord)
     where i.id not in (select r.quarantine_id from quarantine_rows(v.ids) r);
    v_most := coalesce(v_most, cardinality(v.ids));
    if v_most < cardinality(v.ids) then
        v.next := v.ids[greatest(v_most, 1)];
        v.ids := v.ids[1:greatest(v_most, 1)];
    end if;
    return query select r.*, v.next from quarantine_rows(v.ids) r;
    if not found and v.next is not null then
        return query select null::bigint, null::int, null::text, null::bytea, null::int, null::text, v.next;
    end if;
end $$;
