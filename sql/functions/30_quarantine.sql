-- Quarantine: what could not be booked, kept with its bytes and a reason, until a replay or a person resolves it.

-- The bytes that are here: those of a message that nobody waits for may be archived.
create or replace view quarantine_kept as
    select message_id, bytes from quarantine_bytes union all select message_id, bytes from quarantine_bytes_again;

-- Keeps one message and what is wrong in it, a row a line (ordinal from 1; 0 is the whole message). A thing that is there already
-- is not kept twice; it counts as a duplicate: the same is what one feed sent as one operation (a method and its target, or hl7) in the same bytes.
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
          from quarantine_message m where sha256 = v_sha;
    end if;
    with kept as (
        insert into quarantine (message_id, ordinal, feed_id, reason, detail, location, facility_code, visit_no, source_line, awaits_line)
        select v_message, q.ordinal, p_feed, q.reason, q.detail, q.location, q.facility, q.visit_no, q.source_line, q.awaits
          from unnest(p_ordinal, p_reason, p_detail, p_location, p_facility, p_visit_no, p_source_line, p_awaits)
               q (ordinal, reason, detail, location, facility, visit_no, source_line, awaits)
        on conflict (message_id, ordinal, reason) do nothing
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

-- Says how a quarantined thing ended. Once: a second call is 'repeated'. A replay counts its line once more, as booked or
-- duplicate; the books take the resolved ones off the parked ones, so that received stays what was received.
create or replace function quarantine_resolve(p_id bigint, p_outcome text, p_by text, p_scope text[]) returns text
language plpgsql security definer set search_path from current as $$
begin
    if not exists (select from quarantine_entry q where q.quarantine_id = p_id and in_scope(p_scope, q.facility)) then
        return 'quarantine_unknown';
    end if;
    insert into quarantine_resolution (quarantine_id, outcome, resolved_by) values (p_id, p_outcome, p_by)
    on conflict do nothing;
    return case when found then 'done' else 'repeated' end;
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
    insert into quarantine (message_id, ordinal, feed_id, reason, detail, location, facility_code, visit_no, source_line)
    select message_id, ordinal, feed_id, p_reason, p_detail, p_location, facility_code, visit_no, source_line
      from quarantine where quarantine_id = p_id
    on conflict (message_id, ordinal, reason) do nothing;
    return 'done';
end $$;

create or replace view quarantine_open as
    select q.*, m.content_type, m.peer from quarantine q join quarantine_message m using (message_id)
     where not exists (select 1 from quarantine_resolution r where r.quarantine_id = q.quarantine_id);

-- Held reversals whose original has arrived since, oldest first, with the bytes to replay: of so many only as few as have a megabyte together, and
-- one at least. (The length of what is stored apart is known without reading it.)
create or replace function quarantine_ready(p_limit int)
returns table (quarantine_id bigint, feed_id int, content_type text, bytes bytea, ordinal int, operation text)
language sql stable security definer set search_path from current as $$
    select quarantine_id, feed_id, content_type, bytes, ordinal, operation from (
    select q.quarantine_id, q.feed_id, m.content_type, k.bytes, q.ordinal, m.operation,
           sum(octet_length(k.bytes)) over (order by q.quarantine_id) - octet_length(k.bytes) as before
      from quarantine_waiting w join quarantine q using (quarantine_id) join quarantine_message m using (message_id)
      join quarantine_kept k using (message_id)
     where w.held
       and exists (select 1 from facility f join visit v on v.facility_id = f.facility_id
                     join charge c on c.visit_id = coalesce(v.merged_into, v.visit_id) and c.feed_id = q.feed_id and c.source_line = q.awaits_line
                    where f.code = q.facility_code and v.visit_no = visit_named(f.facility_id, q.visit_no, null, null)
                      and c.sent_as = line_known_as(c.visit_id, q.feed_id, q.awaits_line, case when v.merged_into is null then '' else v.visit_no end, null))
     order by q.quarantine_id limit p_limit) ready
     where before < 1000000 order by quarantine_id
$$;

create or replace function quarantine_bytes(p_id bigint, p_scope text[])
returns table (quarantine_id bigint, feed_id int, content_type text, bytes bytea, ordinal int, operation text)
language sql stable security definer set search_path from current as $$
    select q.quarantine_id, q.feed_id, m.content_type, k.bytes, q.ordinal, m.operation
      from quarantine_entry q join quarantine_message m using (message_id) join quarantine_kept k using (message_id) where q.quarantine_id = p_id and in_scope(p_scope, q.facility)
$$;

-- Entries after this one, oldest first; next is the last one's id where there are more.
create or replace function quarantine_list(p_state text, p_limit int, p_scope text[], p_after bigint, out outcome text, out doc text)
language sql stable security definer set search_path from current as $$
    select 'done', json_build_object('quarantine', coalesce(json_agg(d order by id), '[]'),
                                     'next', case when count(*) = p_limit then max(id) end)::text from (
        select q.quarantine_id as id, json_build_object('id', q.quarantine_id, 'received_at', iso_time(q.received_at), 'feed', q.feed, 'reason', q.reason,
                   'detail', q.detail, 'location', q.location, 'facility', q.facility_code, 'visit_no', q.visit_no,
                   'source_line', q.source_line, 'state', case when r.outcome is null then 'waiting' else 'resolved' end,
                   'outcome', r.outcome) as d
          from (select quarantine_id from quarantine_waiting where p_state = 'waiting' and quarantine_id > p_after
                union all
                select quarantine_id from quarantine where p_state in ('all', 'resolved') and quarantine_id > p_after) listed
          join quarantine_entry q using (quarantine_id)
          left join quarantine_resolution r using (quarantine_id)
         where (p_state <> 'resolved' or r.outcome is not null) and in_scope(p_scope, q.facility)
         order by id limit p_limit) q
$$;
