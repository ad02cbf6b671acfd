-- What a feed sent, for people: counted by the daemons, kept here, shown as one document.

-- Adds what a daemon has counted since it last told, and the sequence numbers that it has seen.
--   p_feed..p_last: counts of messages, each feed, type and outcome once. p_age: microseconds since the last one; p_last: its MSH-10, or null.
--   p_line_feed, p_unlisted, p_price_differs: lines booked with such a warning, a row a feed.
--   p_of, p_first, p_until: of feed p_of the numbers p_first to p_until came, without a gap, in this order.
-- Locks the rows of counts in the order of their keys, then feed by feed its sequence: daemons do not wait for each other in a circle, and lanes take none of them.
create or replace function feed_counts(p_feed int[], p_type text[], p_outcome text[], p_messages bigint[], p_age bigint[], p_last text[],
    p_line_feed int[], p_unlisted bigint[], p_price_differs bigint[], p_of int[], p_first bigint[], p_until bigint[]) returns void
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
    select feed_id, current_date, 32, unlisted, price_differs from unnest(p_line_feed, p_unlisted, p_price_differs) l (feed_id, unlisted, price_differs) order by feed_id
    on conflict (feed_id, day, shard) do update set unlisted = t.unlisted + excluded.unlisted, price_differs = t.price_differs + excluded.price_differs;
    for r in select * from unnest(p_of, p_first, p_until) with ordinality s (feed_id, first, until, ord) order by feed_id, ord loop
        perform feed_sequence_note(r.feed_id, r.first, r.until);
    end loop;
end $$;

-- The numbers p_first to p_until of a feed came. Behind the last one and not next to it they leave a gap. At most a hundred before the last one they came late
-- (by another connection, through another daemon) or again, and close what they fill of the newest gaps; farther back, or with 0, the feed counts anew.
create or replace function feed_sequence_note(p_feed int, p_first bigint, p_until bigint) returns void language plpgsql as $$
declare
    s feed_sequence;
    v_came int8multirange := int8multirange(int8range(p_first, p_until, '[]'));
    v_missing bigint;
    v_closed int;
begin
    insert into feed_sequence (feed_id, last) values (p_feed, p_first - 1) on conflict (feed_id) do nothing;
    select * into s from feed_sequence where feed_id = p_feed for update;
    if p_first > s.last then
        if p_first > s.last + 1 then
            insert into feed_gap (feed_id, before, after, missing) values (p_feed, s.last, p_first, int8multirange(int8range(s.last, p_first, '()')));
            update feed_sequence set gaps = gaps + 1, missing = missing + p_first - s.last - 1 where feed_id = p_feed;
            delete from feed_gap where feed_id = p_feed
               and gap_id <= (select gap_id from feed_gap where feed_id = p_feed order by gap_id desc offset 20 limit 1);
        end if;
    elsif p_first = 0 or s.last - p_first > 100 then
        update feed_sequence set last = p_until, restarts = restarts + 1 where feed_id = p_feed;
        return;
    else
        v_missing := (select sum(upper(m) - lower(m)) from feed_gap g, unnest(g.missing * v_came) m where g.feed_id = p_feed and g.missing && v_came);
        if v_missing > 0 then
            update feed_gap set missing = missing - v_came where feed_id = p_feed and missing && v_came;
            delete from feed_gap where feed_id = p_feed and isempty(missing);
            get diagnostics v_closed = row_count;
            update feed_sequence set missing = missing - v_missing, gaps = gaps - v_closed where feed_id = p_feed;
        end if;
    end if;
    update feed_sequence set last = greatest(last, p_until) where feed_id = p_feed;
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
            'refused', m.n - m.accepted - m.ignored - m.unavailable, 'without_visit_no', m.without, 'without_visit_no_percent', percent(m.without, m.n - m.ignored),
            'by_type', (select coalesce(json_agg(json_build_object('type', k.type, 'outcome', k.outcome, 'messages', k.n, 'last_at', iso_time(k.last_at),
                                                                   'last_message', k.last_id) order by k.last_at desc, k.type, k.outcome), '[]')
                          from (select type, t.outcome, sum(messages) as n, max(last_at) as last_at, (array_agg(last_id order by last_at desc))[1] as last_id
                                  from feed_message t where feed_id = f.feed_id and day >= v_from group by type, t.outcome order by max(last_at) desc limit 200) k)),
        'lines', json_build_object('booked', l.booked, 'duplicate', l.duplicate, 'quarantined', l.parked,
            'unlisted', warned.unlisted, 'unlisted_percent', percent(warned.unlisted, l.booked),
            'price_differs', warned.price_differs, 'price_differs_percent', percent(warned.price_differs, l.booked),
            'again_same', warned.again, 'again_other', warned.again_other,
            'again', (select coalesce(json_agg(json_build_object('at', iso_time(a.at), 'visit_no', v.visit_no, 'source_line', a.source_line, 'message', a.message_id,
                                                                 'first_message', a.first_message_id, 'same_content', a.same_content) order by a.at desc, a.place), '[]')
                        from feed_again a left join visit v using (visit_id) where a.feed_id = f.feed_id and a.at is not null)),
        'sequence', (select json_build_object('last', s.last, 'since', iso_time(s.since), 'gaps', s.gaps, 'missing', s.missing, 'restarts', s.restarts,
                         'newest', (select coalesce(json_agg(json_build_object('at', iso_time(g.at), 'before', g.before, 'after', g.after,
                                        'missing', (select sum(upper(r) - lower(r)) from unnest(g.missing) r)) order by g.gap_id desc), '[]')
                                      from feed_gap g where g.feed_id = f.feed_id))
                       from feed_sequence s where s.feed_id = f.feed_id))::text;
    return next;
end $$;
