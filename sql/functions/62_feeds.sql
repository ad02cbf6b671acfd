-- What a feed sent, for people: counted by the daemons, kept here, shown as one document.

-- Adds what a daemon has counted since it last told, and the sequence numbers that it has seen.
--   p_feed..p_last: counts of messages, each feed, type and outcome once. p_age: microseconds since the last one; p_last: its MSH-10, or null.
--   p_line_feed, p_unlisted, p_price_differs: lines booked with such a warning, a row a feed.
--   p_of, p_first, p_until, p_unknown: of feed p_of the numbers p_first to p_until came, in this order, but for p_unknown at most, of which the
--    daemon does not know.
-- Locks the rows of counts in the order of their keys, then feed by feed its sequence: daemons do not wait for each other in a circle, and lanes
-- take none of them.
create or replace function feed_counts(p_feed int[], p_type text[], p_outcome text[], p_messages bigint[], p_age bigint[], p_last text[],
    p_line_feed int[], p_unlisted bigint[], p_price_differs bigint[], p_of int[], p_first bigint[], p_until bigint[], p_unknown bigint[]) returns void
language plpgsql security definer set search_path from current set enable_seqscan = off as $$
declare
    v_begun int[];      -- feeds with a count that is new today
    r record;
begin
    with kept as (
        insert into feed_message as m (feed_id, day, type, outcome, messages, last_at, last_id)
        select feed_id, current_date, type, outcome, messages, now() - age * interval '1 us', last_id
          from unnest(p_feed, p_type, p_outcome, p_messages, p_age, p_last) c (feed_id, type, outcome, messages, age, last_id)
         order by feed_id, type collate "C", outcome collate "C"
        on conflict (feed_id, day, type, outcome) do update
           set messages = m.messages + excluded.messages, last_at = greatest(m.last_at, excluded.last_at),
               last_id = case when excluded.last_at >= m.last_at then excluded.last_id else m.last_id end
        returning m.feed_id, m.xmax = 0 as begun
    )
    select array_agg(distinct feed_id) filter (where begun) into v_begun from kept;
    delete from feed_message where feed_id = any (v_begun) and day <= current_date - 31;
    insert into feed_lines as t (feed_id, day, shard, unlisted, price_differs)
    select feed_id, current_date, 32, unlisted, price_differs from unnest(p_line_feed, p_unlisted, p_price_differs) l (feed_id, unlisted,
        price_differs) order by feed_id
    on conflict (feed_id, day, shard) do update set unlisted = t.unlisted + excluded.unlisted, price_differs = t.price_differs + excluded.price_differs;
    for r in select feed_id, array_agg(first order by ord) as firsts, array_agg(until order by ord) as untils, sum(unknown)::bigint as unknown
               from unnest(p_of, p_first, p_until, p_unknown) with ordinality s (feed_id, first, until, unknown, ord) group by feed_id order by feed_id loop
        perform feed_sequence_note(r.feed_id, r.firsts, r.untils, r.unknown);
    end loop;
end $$;

-- Numbers of a feed came, as ranges in this order. At most 10,000 before the last one (SEQUENCE_LATE of the daemon) they came late, by another connection or
-- through another daemon, or again: they close what they fill of the gaps. Farther back, or with 0, the feed counts anew; also with 1, when it has counted
-- for a minute: what two daemons tell of its first numbers crosses. Told twice, numbers change nothing, but for p_unknown.
create or replace function feed_sequence_note(p_feed int, p_first bigint[], p_until bigint[], p_unknown bigint) returns void language plpgsql as $$
declare
    s feed_sequence;
    v_last bigint;
    v_from int := 1;    -- the first range since it counts anew
begin
    insert into feed_sequence (feed_id, last) values (p_feed, p_first[1] - 1) on conflict (feed_id) do nothing;
    select * into s from feed_sequence where feed_id = p_feed for update;
    v_last := s.last;
    for i in 1 .. cardinality(p_first) loop
        if v_last - p_first[i] > 10000 or v_last > p_until[i] and (p_first[i] = 0 or p_first[i] = 1 and s.anew_at < clock_timestamp() - interval '1 min') then
            perform feed_sequence_came(p_feed, p_first[v_from:i - 1], p_until[v_from:i - 1]);
            update feed_sequence set last = p_first[i] - 1, restarts = restarts + 1, anew_at = clock_timestamp() where feed_id = p_feed returning * into s;
            v_last := s.last;
            v_from := i;
        end if;
        v_last := greatest(v_last, p_until[i]);
    end loop;
    perform feed_sequence_came(p_feed, p_first[v_from:], p_until[v_from:]);
    update feed_sequence set unknown = unknown + p_unknown where feed_id = p_feed and p_unknown > 0;
end $$;

-- The same of one counting; the feed's sequence is locked. All at once: of a busy feed two daemons tell each other's gaps by the hundred.
-- Gaps in reach are kept to be closed, and of the others the newest twenty to be shown.
create or replace function feed_sequence_came(p_feed int, p_first bigint[], p_until bigint[]) returns void language plpgsql as $$
declare
    s feed_sequence;
    v_came int8multirange := (select range_agg(int8range(first, until, '[]')) from unnest(p_first, p_until) r (first, until));
    v_last bigint := (select max(until) from unnest(p_until) until);
    v_filled bigint;
    v_closed int;
    v_gaps int;
    v_missing bigint;
begin
    if v_came is null then
        return;
    end if;
    select * into s from feed_sequence where feed_id = p_feed;
    if lower(v_came) <= s.last then
        with filled as (
            update feed_gap g set missing = g.missing - v_came
              from (select gap_id, missing as before from feed_gap where feed_id = p_feed and at >= s.anew_at and missing && v_came) o
             where g.feed_id = p_feed and g.gap_id = o.gap_id
            returning o.before * v_came as closes, isempty(g.missing) as closed
        )
        select (select sum(upper(m) - lower(m)) from filled, unnest(closes) m), count(*) filter (where closed) into v_filled, v_closed from filled;
        if v_closed > 0 then
            delete from feed_gap where feed_id = p_feed and isempty(missing);
        end if;
    end if;
    with made as (
        insert into feed_gap (feed_id, at, before, after, missing)
        select p_feed, clock_timestamp(), lower(m) - 1, upper(m), int8multirange(m)
          from unnest(int8multirange(int8range(s.last + 1, greatest(s.last, v_last) + 1)) - v_came) m order by m
        returning after - before - 1 as missing
    )
    select count(*), sum(missing) into v_gaps, v_missing from made;
    if v_gaps > 0 then
        delete from feed_gap where feed_id = p_feed and (at < s.anew_at or after < v_last - 10000)
           and gap_id <= (select gap_id from feed_gap where feed_id = p_feed and (at < s.anew_at or after < v_last - 10000)
                           order by gap_id desc offset 20 limit 1);
    end if;
    update feed_sequence
       set last = greatest(last, v_last), gaps = gaps + v_gaps - coalesce(v_closed, 0), missing = missing + coalesce(v_missing, 0) - coalesce(v_filled, 0)
     where feed_id = p_feed;
end $$;

-- A part of a whole in per cent, with two decimals; null where there is no whole.
create or replace function percent(p_part numeric, p_whole numeric) returns numeric language sql immutable parallel safe as $$
    select round(100 * p_part / nullif(p_whole, 0), 2)
$$;

-- A feed for people: its watermark, and of the last p_days days, today's among them, its messages by type and outcome, newest first, and its lines; then the
-- gaps in its sequence numbers and the newest lines that came again in another message. Reads what is kept of these days, and no history.
-- No row where there is no such feed.
create or replace function feed_doc(p_feed text, p_days int, p_scope text[]) returns table (outcome text, doc text)
language plpgsql stable security definer set search_path from current set enable_seqscan = off as $$
declare
    f record;
    v_from date := current_date + 1 - least(greatest(p_days, 1), 31);
    m record;
    l record;
    warned record;
begin
    select d.*, y.code as facility, w.mark, w.seen_at into f
      from feed d join facility y using (facility_id) left join feed_watermark w using (feed_id)
     where d.name = p_feed and d.feed_id > 0 and in_scope(p_scope, y.code);
    if f.feed_id is null then
        return;
    end if;
    select coalesce(sum(messages), 0) as n, coalesce(sum(messages) filter (where k.outcome = 'accepted'), 0) as accepted,
           coalesce(sum(messages) filter (where k.outcome = 'ignored'), 0) as ignored,
           coalesce(sum(messages) filter (where k.outcome = 'unavailable'), 0) as unavailable,
           coalesce(sum(messages) filter (where k.outcome = 'visit_missing'), 0) as without
      into m from feed_message k where feed_id = f.feed_id and day >= v_from;
    select coalesce(sum(booked), 0) as booked, coalesce(sum(duplicate), 0) as duplicate, coalesce(sum(parked), 0) as parked
      into l from intake_tally where feed_id = f.feed_id and day >= v_from;
    select coalesce(sum(unlisted), 0) as unlisted, coalesce(sum(price_differs), 0) as price_differs, coalesce(sum(again), 0) as again,
           coalesce(sum(again_other), 0) as again_other
      into warned from feed_lines where feed_id = f.feed_id and day >= v_from;
    outcome := 'done';
    doc := json_build_object('feed', f.name, 'facility', f.facility, 'application', nullif(f.application, ''), 'active', f.active, 'waits', f.waits,
        'mark', iso_time(f.mark), 'lag_seconds', round(extract(epoch from now() - f.mark)),
        'last_at', iso_time(f.seen_at), 'silent_seconds', round(extract(epoch from now() - f.seen_at)),
        'from', to_char(v_from, 'YYYY-MM-DD'),
        'messages', json_build_object('received', m.n, 'accepted', m.accepted, 'ignored', m.ignored, 'unavailable', m.unavailable,
            'refused', m.n - m.accepted - m.ignored - m.unavailable, 'without_visit_no', m.without, 'without_visit_no_percent',
                percent(m.without, m.n - m.ignored),
            'by_type', (select coalesce(json_agg(json_build_object('type', k.type, 'outcome', k.outcome, 'messages', k.n, 'last_at', iso_time(k.last_at),
                                                                   'last_message', k.last_id) order by k.last_at desc, k.type, k.outcome), '[]')
                          from (select type, t.outcome, sum(messages) as n, max(last_at) as last_at, (array_agg(last_id order by last_at desc))[1] as last_id
                                  from feed_message t where feed_id = f.feed_id and day >= v_from group by type,
                                      t.outcome order by max(last_at) desc limit 200) k)),
        'lines', json_build_object('booked', l.booked, 'duplicate', l.duplicate, 'quarantined', l.parked,
            'unlisted', warned.unlisted, 'unlisted_percent', percent(warned.unlisted, l.booked),
            'price_differs', warned.price_differs, 'price_differs_percent', percent(warned.price_differs, l.booked),
            'again_same', warned.again, 'again_other', warned.again_other,
            'again', (select coalesce(json_agg(json_build_object('at', iso_time(a.at), 'visit_no', v.visit_no, 'source_line',
                a.source_line, 'message', a.message_id,
                                                                 'first_message', a.first_message_id, 'same_content',
                                                                     a.same_content) order by a.at desc, a.place), '[]')
                        from feed_again a left join visit v using (visit_id) where a.feed_id = f.feed_id and a.at is not null)),
        'sequence', (select json_build_object('last', s.last, 'since', iso_time(s.since), 'gaps', s.gaps, 'missing', s.missing, 'unknown',
            s.unknown, 'restarts', s.restarts,
                         'newest', (select coalesce(json_agg(json_build_object('at', iso_time(g.at), 'before', g.before, 'after', g.after,
                                        'missing', (select sum(upper(r) - lower(r)) from unnest(g.missing) r)) order by g.gap_id desc), '[]')
                                      from (select * from feed_gap where feed_id = f.feed_id order by gap_id desc limit 20) g))
                       from feed_sequence s where s.feed_id = f.feed_id))::text;
    return next;
end $$;
