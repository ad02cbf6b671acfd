-- Posting where lines have to be looked at one by one: resends, prices that are missing, merged visits; and what takes other lines back.
-- charges_post has locked the visits.

-- Which of these lines, in this order, take their visit further than is plausible, and the sum that is beyond: the visit's total (implausible_visit) or what was
-- charged on one day of it (implausible_day), by the limits of its facility; the total below zero (total_negative). What is refused does not count for
-- those that come after it, and what a person has released is not judged: only that the totals stay numbers (amount_too_large). What takes something off
-- is not held to the limits above, nor what adds something to the one below. The lines of a day are added up only where the facility has a limit for it and
-- the visit's total is beyond that: once a visit, over that visit's lines. The caller has locked the visits; their totals are those without the lines.
create or replace function charges_within(p_ord bigint[], p_visit bigint[], p_day date[], p_amount bigint[], p_released boolean[])
returns table (ord bigint, outcome text, total bigint) language plpgsql strict as $$
declare
    l record;
    d record;
    v_visit bigint;
    v_total bigint;
    v_days bigint[];        -- what was charged by day, the first day of the lines being 1
    v_place int;
begin
    for l in
        with line as (
            select * from unnest(p_ord, p_visit, p_day, p_amount, p_released) u (ord, visit_id, day, amount, released)
        ), near as (
            select v.visit_id, v.total, f.visit_amount, case when v.total + s.up > f.visit_day_amount then f.visit_day_amount end as day_amount, s.first_day
              from (select s.visit_id, sum(greatest(s.amount, 0)) as up, sum(least(s.amount, 0)) as down, min(s.day) as first_day from line s group by s.visit_id) s
              join visit v using (visit_id) join facility f using (facility_id)
             where v.total + s.up > least(f.visit_amount, f.visit_day_amount, 9999999999999999) or v.total + s.down < 0
        )
        select line.ord, line.visit_id, line.amount, coalesce(line.released, false) as released, line.day - n.first_day + 1 as place, n.first_day, n.total, n.visit_amount, n.day_amount
          from line join near n using (visit_id) order by line.visit_id, line.ord
    loop
        if v_visit is distinct from l.visit_id then
            v_visit := l.visit_id;
            v_total := l.total;
            v_days := '{}';
            if l.day_amount is not null then
                for d in select c.charged_at::date - l.first_day + 1 as place, sum(c.amount)::bigint as amount from charge c
                          where c.visit_id = v_visit and c.charged_at >= l.first_day group by 1 loop
                    v_days[d.place] := d.amount;
                end loop;
            end if;
        end if;
        v_place := l.place;
        ord := l.ord;
        outcome := null;
        total := v_total + l.amount;
        if abs(total) > 9999999999999999 then
            outcome := 'amount_too_large';
        elsif l.released then
            null;
        elsif l.amount > 0 and total > l.visit_amount then
            outcome := 'implausible_visit';
        elsif l.amount < 0 and total < 0 then
            outcome := 'total_negative';
        elsif l.amount > 0 and coalesce(v_days[v_place], 0) + l.amount > l.day_amount then
            outcome := 'implausible_day';
            total := coalesce(v_days[v_place], 0) + l.amount;
        end if;
        if outcome is null then
            v_total := total;
            if l.day_amount is not null then
                v_days[v_place] := coalesce(v_days[v_place], 0) + l.amount;
            end if;
        else
            return next;
        end if;
    end loop;
end $$;

-- Judges the lines that reverse nothing, and books those that can be. p_sent_as: see line_known_as; null: none was sent under another number. p_released, sums:
-- as of charges_post. An outcome a line, null for those that reverse one.
create or replace function charges_judge(
    p_ids bigint[], p_visit int[], p_feed int[], p_kind text[], p_source_line text[], p_digest uuid[], p_charged_at timestamptz[],
    p_quantity bigint[], p_price bigint[], p_amount bigint[], p_category smallint[], p_code text[], p_name text[],
    p_national_code text[], p_department text[], p_performer text[], p_orderer text[], p_order_no text[],
    p_reverses text[], p_message text[], p_visit_no text[], p_patient_no text[], p_sent_as text[], p_released boolean[], out outcomes text[], out sums bigint[])
language plpgsql set enable_hashjoin = on as $$
begin
    with line as materialized (
        select l.*, p_ids[l.visit] as visit_id, coalesce(l.quantity, 10000) as final_quantity
          from unnest(p_visit, p_feed, p_kind, p_source_line, p_digest, p_charged_at, p_quantity, p_price, p_amount, p_category,
                      p_code, p_name, p_national_code, p_department, p_performer, p_orderer, p_order_no, p_reverses, p_message, p_sent_as, p_released)
               with ordinality l (visit, feed_id, kind, source_line, digest, charged_at, quantity, price, amount, category,
                    code, name, national_code, department, performer, orderer, order_no, reverses, message, said_sent_as, released, ord)
         where l.reverses is null
    ), priced as (
        select l.*, v.state, v.line_count, coalesce(l.said_sent_as, '') as sent_as,
               other_patient(v, p_visit_no[l.visit], p_patient_no[l.visit]) as other,
               line_price(l.final_quantity, l.price, l.amount, i.unit_price_e6) as final_price,
               line_amount(l.final_quantity, l.amount, coalesce(l.price, i.unit_price_e6)) as final_amount,
               coalesce(l.category, i.category, 14) as final_category,
               coalesce(l.name, i.name) as final_name, coalesce(l.national_code, i.national_code) as final_national,
               i.class, i.unit, coalesce(i.self_pay_e4, 0) as self_pay,
               i.code is not null as in_list, i.unit_price_e6 as listed, old.digest as old_digest
          from line l
          join visit v on v.visit_id = l.visit_id
          left join lateral item_on(v.facility_id, l.code, l.charged_at::date) i on true
          left join charge old on old.visit_id = l.visit_id and old.feed_id = l.feed_id and old.source_line = l.source_line and old.sent_as = coalesce(l.said_sent_as, '')
    ), refused as (
        select p.*, line_warning(kind, category, final_quantity, final_amount, in_list, listed) as warning,
               case when old_digest is not null then case when old_digest = digest then 'duplicate' else 'conflict' end
                         when state = 'cancelled' then 'visit_cancelled'
                         when state = 'settled' and visit_is_archived(visit_id) then 'visit_archived'    -- its lines are in a file
                         when other then 'patient_mismatch'
                         when final_amount is null then 'price_unknown'
                         when abs(final_amount) > 9999999999999999 then 'amount_too_large'
                         when kind = 'CG' and final_amount < 0 then 'amount_negative' end as refusal
          from priced p
    ), first as (       -- within the batch the first copy that can be booked counts
        select r.*, row_number() over same as nth, first_value(digest) over same as first_digest, first_value(ord) over same as first_ord
          from refused r
        window same as (partition by visit_id, feed_id, source_line, sent_as, refusal is null order by ord)
    ), beyond as materialized (
        select w.* from (select array_agg(ord order by ord) as ords, array_agg(visit_id order by ord) as visits, array_agg(charged_at::date order by ord) as days,
                                array_agg(final_amount order by ord) as amounts, array_agg(released order by ord) as released
                           from first where refusal is null and nth = 1) a
         cross join lateral charges_within(a.ords, a.visits, a.days, a.amounts, a.released) w
    ), judged as materialized (     -- a copy of what is beyond a limit is so, too
        select f.*, b.total as sum, coalesce(f.refusal, case when nth > 1 and first_digest <> digest then 'conflict' end, b.outcome,
                                             case when nth > 1 then 'duplicate' when state in ('billed', 'settled') then 'late' else 'posted' end) as outcome
          from first f left join beyond b on b.ord = f.first_ord and f.refusal is null
    ), booked as (
        insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount,
               charged_at, posted_at, digest, source_line, message_id, item_code, item_name, national_code, class, unit,
               department, performer, orderer, order_no, warning, sent_as)
        select visit_id, line_count + row_number() over (partition by visit_id order by ord), feed_id, kind, final_category,
               self_pay, final_quantity, final_price, final_amount, charged_at, now(), digest, source_line, message,
               code, final_name, final_national, class, unit, department, performer, orderer, order_no, warning, sent_as
          from judged where outcome in ('posted', 'late')
        returning visit_id, amount
    ), summed as (
        update visit v
           set total = v.total + s.amount, line_count = v.line_count + s.lines,
               late_since = case when v.state in ('billed', 'settled') then coalesce(v.late_since, now()) else v.late_since end
          from (select visit_id, sum(amount)::bigint as amount, count(*)::int as lines from booked group by visit_id) s
         where v.visit_id = s.visit_id
    )
    select array_agg(coalesce(j.outcome, case when p_ids[p_visit[x]] is null and p_reverses[x] is null then 'visit_ambiguous' end) order by x),
           case when count(j.sum) > 0 then array_agg(j.sum order by x) end into outcomes, sums
      from generate_series(1, cardinality(p_visit)) x left join judged j on j.ord = x;
end $$;

-- Books the reversals, behind the charges, in turns: one that names the same original as another, or has its id, waits for the next turn, so each
-- sees what the ones before it took. A batch of ten thousand different reversals is one turn. An outcome a line, null for the others; sums as of charges_post.
create or replace function charges_take_back(
    p_ids bigint[], p_visit int[], p_feed int[], p_source_line text[], p_digest uuid[], p_charged_at timestamptz[],
    p_quantity bigint[], p_amount bigint[], p_department text[], p_performer text[], p_orderer text[], p_order_no text[],
    p_reverses text[], p_message text[], p_visit_no text[], p_patient_no text[], p_sent_as text[], p_reverses_as text[], p_released boolean[],
    out outcomes text[], out sums bigint[])
language plpgsql set enable_hashjoin = on as $$
declare
    v_turn int[];
    v_last int;
begin
    outcomes := array_fill(null::text, array[cardinality(p_visit)]);
    select array_agg(turn order by ord), max(turn) into v_turn, v_last
      from (select ord, case when reverses is null then 0
                        else greatest(row_number() over (partition by p_ids[visit], feed, reverses, reverses_as order by ord),
                                      row_number() over (partition by p_ids[visit], feed, source, sent_as order by ord))::int end as turn
              from unnest(p_visit, p_feed, p_source_line, p_reverses, p_sent_as, p_reverses_as)
                   with ordinality l (visit, feed, source, reverses, sent_as, reverses_as, ord)) t;
    for turn in 1 .. v_last loop
        select array_agg(coalesce(r.outcome, o.outcome) order by o.ord),
               case when count(r.sum) + count(o.sum) > 0 then array_agg(coalesce(r.sum, o.sum) order by o.ord) end into outcomes, sums
          from unnest(outcomes, sums) with ordinality o (outcome, sum, ord)
          left join charges_reverse(turn, v_turn, p_ids, p_visit, p_feed, p_source_line, p_digest, p_charged_at, p_quantity, p_amount,
                                    p_department, p_performer, p_orderer, p_order_no, p_reverses, p_message, p_visit_no, p_patient_no, p_sent_as, p_reverses_as,
                                    p_released) r
            on r.ord = o.ord;
    end loop;
end $$;

-- Books the reversals of one turn, at most one of an original. A line is never taken back by more than it has, in amount and in
-- quantity (invariant 4): the visit is locked, so what earlier reversals took is final. Nor does it take the visit below zero, where it is not released.
create or replace function charges_reverse(
    p_turn int, p_turns int[], p_visit_ids bigint[], p_visit int[], p_feed int[], p_source_line text[], p_digest uuid[],
    p_charged_at timestamptz[], p_quantity bigint[], p_amount bigint[], p_department text[], p_performer text[],
    p_orderer text[], p_order_no text[], p_reverses text[], p_message text[], p_visit_no text[], p_patient_no text[],
    p_sent_as text[], p_reverses_as text[], p_released boolean[]) returns table (ord bigint, outcome text, sum bigint)
language plpgsql as $$
begin
    return query
    with line as materialized (
        select l.*, p_visit_ids[l.visit] as visit_id, coalesce(l.said_sent_as, '') as sent_as, coalesce(l.said_reverses_as, '') as reverses_as
          from unnest(p_turns, p_visit, p_feed, p_source_line, p_digest, p_charged_at, p_quantity, p_amount, p_department,
                      p_performer, p_orderer, p_order_no, p_reverses, p_message, p_sent_as, p_reverses_as, p_released)
               with ordinality l (turn, visit, feed_id, source_line, digest, charged_at, quantity, amount, department,
                    performer, orderer, order_no, reverses, message, said_sent_as, said_reverses_as, released, ord)
         where l.turn = p_turn and l.reverses is not null
    ), weighed as (
        select l.*, v.state, v.line_count,
               other_patient(v, p_visit_no[l.visit], p_patient_no[l.visit]) as other, o.amount as had, o.quantity_e4 as had_quantity, o.reverses_line as of_reversal,
               o.category, o.unit_price_e6, o.self_pay_e4, o.item_code, o.item_name, o.national_code, o.class, o.unit,
               old.digest as old_digest, taken.amount as taken, taken.quantity as taken_quantity,
               -- what is not said is all that is left; a quantity alone takes its share, the last one takes the rest
               coalesce(abs(l.quantity), case when l.amount is null or abs(l.amount) = o.amount - taken.amount
                        then o.quantity_e4 - taken.quantity
                        else least(o.quantity_e4 - taken.quantity,
                                   round(o.quantity_e4::numeric * abs(l.amount) / nullif(o.amount, 0)))::bigint end) as back_quantity,
               coalesce(abs(l.amount), case when l.quantity is null or abs(l.quantity) = o.quantity_e4 - taken.quantity
                        then o.amount - taken.amount
                        else least(o.amount - taken.amount,     -- cast last: a number beyond all reason must not end the batch
                                   round(o.amount::numeric * abs(l.quantity) / nullif(o.quantity_e4, 0)))::bigint end) as back
          from line l
          join visit v on v.visit_id = l.visit_id
          left join charge old on old.visit_id = l.visit_id and old.feed_id = l.feed_id and old.source_line = l.source_line and old.sent_as = l.sent_as
          left join charge o on o.visit_id = l.visit_id and o.feed_id = l.feed_id and o.source_line = l.reverses and o.sent_as = l.reverses_as
          left join lateral (select coalesce(-sum(r.amount), 0)::bigint as amount, coalesce(sum(r.quantity_e4), 0)::bigint as quantity
                               from charge r
                              where r.visit_id = l.visit_id and r.feed_id = l.feed_id and r.reverses_line = l.reverses and r.reverses_as = l.reverses_as) taken on true
    ), allowed as materialized (
        select w.*,
               case when old_digest is not null then case when old_digest = digest then 'duplicate' else 'conflict' end
                    when state = 'cancelled' then 'visit_cancelled'
                    when state = 'settled' and visit_is_archived(visit_id) then 'visit_archived'
                    when other then 'patient_mismatch'
                    when had is null then 'held'
                    when of_reversal is not null or had < 0 then 'reversal_of_reversal'
                    when taken + coalesce(back, 0) > had or taken_quantity + coalesce(back_quantity, 0) > had_quantity
                         or (taken >= had and taken_quantity >= had_quantity) then 'reversal_exceeds' end as refusal
          from weighed w
    ), beyond as materialized (
        select w.* from (select array_agg(a.ord order by a.ord) as ords, array_agg(a.visit_id order by a.ord) as visits, array_agg(a.charged_at::date order by a.ord) as days,
                                array_agg(-coalesce(a.back, 0) order by a.ord) as amounts, array_agg(a.released order by a.ord) as released
                           from allowed a where a.refusal is null) g
         cross join lateral charges_within(g.ords, g.visits, g.days, g.amounts, g.released) w
    ), judged as materialized (
        select a.*, b.total as beyond, coalesce(a.refusal, b.outcome, case when a.state in ('billed', 'settled') then 'late' else 'posted' end) as verdict
          from allowed a left join beyond b on b.ord = a.ord
    ), booked as (
        insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at,
               posted_at, digest, source_line, message_id, item_code, item_name, national_code, class, unit, department,
               performer, orderer, order_no, reverses_line, sent_as, reverses_as)
        select visit_id, line_count + row_number() over (partition by visit_id order by j.ord), feed_id, 'CD', category, self_pay_e4, coalesce(back_quantity, 0), unit_price_e6, -coalesce(back, 0),
               charged_at, now(), digest, source_line, message, item_code, item_name, national_code, class, unit,
               department, performer, orderer, order_no, reverses, sent_as, reverses_as
          from judged j where verdict in ('posted', 'late')
        returning visit_id, amount
    ), summed as (
        update visit v
           set total = v.total + b.amount, line_count = v.line_count + b.lines,
               late_since = case when v.state in ('billed', 'settled') then coalesce(v.late_since, now()) else v.late_since end
          from (select visit_id, sum(amount)::bigint as amount, count(*)::int as lines from booked group by visit_id) b
         where v.visit_id = b.visit_id
    )
    select j.ord, j.verdict, j.beyond from judged j;
end $$;
