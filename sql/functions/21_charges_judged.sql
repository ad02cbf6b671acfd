-- Posting where lines have to be looked at one by one: resends, prices that are missing, merged visits; and what takes other lines back.
-- charges_post has locked the visits.

-- Judges the lines that reverse nothing, and books those that can be. p_sent_as: see line_known_as; null: none was sent under another number. An outcome a
-- line, null for those that reverse one.
create or replace function charges_judge(
    p_ids bigint[], p_visit int[], p_feed int[], p_kind text[], p_source_line text[], p_digest uuid[], p_charged_at timestamptz[],
    p_quantity bigint[], p_price bigint[], p_amount bigint[], p_category smallint[], p_code text[], p_name text[],
    p_national_code text[], p_department text[], p_performer text[], p_orderer text[], p_order_no text[],
    p_reverses text[], p_message text[], p_visit_no text[], p_patient_no text[], p_sent_as text[]) returns text[]
language plpgsql set enable_hashjoin = on as $$
declare
    v_outcomes text[];
begin
    with line as materialized (
        select l.*, p_ids[l.visit] as visit_id, coalesce(l.quantity, 10000) as final_quantity
          from unnest(p_visit, p_feed, p_kind, p_source_line, p_digest, p_charged_at, p_quantity, p_price, p_amount, p_category,
                      p_code, p_name, p_national_code, p_department, p_performer, p_orderer, p_order_no, p_reverses, p_message, p_sent_as)
               with ordinality l (visit, feed_id, kind, source_line, digest, charged_at, quantity, price, amount, category,
                    code, name, national_code, department, performer, orderer, order_no, reverses, message, said_sent_as, ord)
         where l.reverses is null
    ), priced as (
        select l.*, v.state, v.line_count, v.total, coalesce(l.said_sent_as, '') as sent_as,
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
                         when kind = 'CG' and final_amount < 0 then 'amount_negative'
                         when kind = 'AJ' and final_amount < 0 and total + sum(coalesce(final_amount, 0)) over (partition by visit_id order by ord) < 0
                         then 'total_negative' end as refusal
          from priced p
    ), first as (       -- within the batch the first copy that can be booked counts
        select r.*, row_number() over same as nth, first_value(digest) over same as first_digest
          from refused r
        window same as (partition by visit_id, feed_id, source_line, sent_as, refusal is null order by ord)
    ), judged as materialized (
        select f.*, coalesce(refusal, case when nth > 1 then case when first_digest = digest then 'duplicate' else 'conflict' end
                                           when state in ('billed', 'settled') then 'late'
                                           else 'posted' end) as outcome
          from first f
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
    select array_agg(coalesce(j.outcome, case when p_ids[p_visit[x]] is null and p_reverses[x] is null then 'visit_ambiguous' end) order by x) into v_outcomes
      from generate_series(1, cardinality(p_visit)) x left join judged j on j.ord = x;
    return v_outcomes;
end $$;

-- Books the reversals, behind the charges, in turns: one that names the same original as another, or has its id, waits for the next turn, so each
-- sees what the ones before it took. A batch of ten thousand different reversals is one turn. An outcome a line, null for the others.
create or replace function charges_take_back(
    p_ids bigint[], p_visit int[], p_feed int[], p_source_line text[], p_digest uuid[], p_charged_at timestamptz[],
    p_quantity bigint[], p_amount bigint[], p_department text[], p_performer text[], p_orderer text[], p_order_no text[],
    p_reverses text[], p_message text[], p_visit_no text[], p_patient_no text[], p_sent_as text[], p_reverses_as text[]) returns text[]
language plpgsql set enable_hashjoin = on as $$
declare
    v_turn int[];
    v_last int;
    v_outcomes text[] := array_fill(null::text, array[cardinality(p_visit)]);
begin
    select array_agg(turn order by ord), max(turn) into v_turn, v_last
      from (select ord, case when reverses is null then 0
                        else greatest(row_number() over (partition by p_ids[visit], feed, reverses, reverses_as order by ord),
                                      row_number() over (partition by p_ids[visit], feed, source, sent_as order by ord))::int end as turn
              from unnest(p_visit, p_feed, p_source_line, p_reverses, p_sent_as, p_reverses_as)
                   with ordinality l (visit, feed, source, reverses, sent_as, reverses_as, ord)) t;
    for turn in 1 .. v_last loop
        select array_agg(coalesce(r.outcome, o.outcome) order by o.ord) into v_outcomes
          from unnest(v_outcomes) with ordinality o (outcome, ord)
          left join charges_reverse(turn, v_turn, p_ids, p_visit, p_feed, p_source_line, p_digest, p_charged_at, p_quantity, p_amount,
                                    p_department, p_performer, p_orderer, p_order_no, p_reverses, p_message, p_visit_no, p_patient_no, p_sent_as, p_reverses_as) r
            on r.ord = o.ord;
    end loop;
    return v_outcomes;
end $$;

-- Books the reversals of one turn, at most one of an original. A line is never taken back by more than it has, in amount and in
-- quantity (invariant 4): the visit is locked, so what earlier reversals took is final.
create or replace function charges_reverse(
    p_turn int, p_turns int[], p_visit_ids bigint[], p_visit int[], p_feed int[], p_source_line text[], p_digest uuid[],
    p_charged_at timestamptz[], p_quantity bigint[], p_amount bigint[], p_department text[], p_performer text[],
    p_orderer text[], p_order_no text[], p_reverses text[], p_message text[], p_visit_no text[], p_patient_no text[],
    p_sent_as text[], p_reverses_as text[]) returns table (ord bigint, outcome text)
language plpgsql as $$
begin
    return query
    with line as materialized (
        select l.*, p_visit_ids[l.visit] as visit_id, coalesce(l.said_sent_as, '') as sent_as, coalesce(l.said_reverses_as, '') as reverses_as
          from unnest(p_turns, p_visit, p_feed, p_source_line, p_digest, p_charged_at, p_quantity, p_amount, p_department,
                      p_performer, p_orderer, p_order_no, p_reverses, p_message, p_sent_as, p_reverses_as)
               with ordinality l (turn, visit, feed_id, source_line, digest, charged_at, quantity, amount, department,
                    performer, orderer, order_no, reverses, message, said_sent_as, said_reverses_as, ord)
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
    ), judged as materialized (
        select w.*,
               case when old_digest is not null then case when old_digest = digest then 'duplicate' else 'conflict' end
                    when state = 'cancelled' then 'visit_cancelled'
                    when state = 'settled' and visit_is_archived(visit_id) then 'visit_archived'
                    when other then 'patient_mismatch'
                    when had is null then 'held'
                    when of_reversal is not null or had < 0 then 'reversal_of_reversal'
                    when taken + coalesce(back, 0) > had or taken_quantity + coalesce(back_quantity, 0) > had_quantity
                         or (taken >= had and taken_quantity >= had_quantity) then 'reversal_exceeds'
                    when state in ('billed', 'settled') then 'late'
                    else 'posted' end as verdict
          from weighed w
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
    select j.ord, j.verdict from judged j;
end $$;
