-- Posting charge lines: the hot path. One call books the lines of a whole batch, set-based, and gives every line an outcome.

-- The item of a line on the day it was charged.
create or replace function item_on(p_facility int, p_code text, p_day date) returns setof item
language sql stable rows 1 as $$
    select * from item where facility_id = p_facility and code = p_code and valid_from <= p_day
     order by valid_from desc limit 1
$$;

-- quantity × price in fen, rounded half up away from zero, once, on the line (invariant 11). These four are inlined.
create or replace function price_amount(quantity_e4 bigint, price_e6 bigint) returns bigint
language sql immutable parallel safe as $$
    -- beyond what is booked it is all the same: amount_too_large (least and greatest pass over nulls, hence the case)
    select case when quantity_e4 is not null and price_e6 is not null
                then least(greatest(round(quantity_e4::numeric * price_e6 / 100000000), -10000000000000000), 10000000000000000)::bigint end
$$;

-- A line's amount: as sent, else quantity × the price sent or listed; null when there is none.
create or replace function line_amount(quantity bigint, price bigint, amount bigint, listed bigint) returns bigint
language sql immutable parallel safe as $$
    select coalesce(amount, price_amount(coalesce(quantity, 10000), coalesce(price, listed)))
$$;

-- A line's unit price: as sent, else what the amount makes of it, else the listed one.
create or replace function line_price(quantity bigint, price bigint, amount bigint, listed bigint) returns bigint
language sql immutable parallel safe as $$
    select coalesce(price, case when amount is null then listed
                                when quantity <> 0 or quantity is null
                                then least(abs(round(amount::numeric * 100000000 / coalesce(quantity, 10000))), 9999999999999999)::bigint end, 0)
$$;

-- What a person should look at: no category and not in the list, or a charge that differs from the list by more than a fen.
create or replace function line_warning(kind text, category smallint, quantity bigint, price bigint, amount bigint, item text, listed bigint)
returns text language sql immutable parallel safe as $$
    select case when item is null then case when category is null then 'unlisted' end
                when kind = 'CG' and abs(price_amount(coalesce(quantity, 10000), listed)
                     - coalesce(amount, price_amount(coalesce(quantity, 10000), price))) > 1 then 'price_differs' end
$$;

-- Books a batch of lines.
--   p_facility..p_patient_name: the visits of the batch, each once.
--   p_visit: for each line the position of its visit in those arrays, from 1. p_kind: CG, CD or AJ.
--   p_quantity: 4 decimals; p_price: 6 decimals, both as integers, null where not given; p_amount: fen, null where not given.
--   p_place: which line of its visit in this batch, from 1. p_category: 1 to 14 or null. p_reverses: the source_line that the line takes back, or null.
-- Returns an outcome a line; null instead of the array when all are posted (posted, late, duplicate, held, conflict, reversal_exceeds, price_unknown, visit_cancelled,
-- amount_too_large), and the running total, lines and state of each visit afterwards.
-- Its settings hold for the functions it calls: plans are kept, and outlive the empty tables of the first day.
-- Locks: the visits in visit_id order, first. They are held to the end, so no one else adds or closes lines meanwhile.
create or replace function charges_post(
    p_facility int[], p_visit_no text[], p_class text[], p_patient_no text[], p_patient_name text[],
    p_visit int[], p_place int[], p_feed int[], p_kind text[], p_source_line text[], p_digest uuid[], p_charged_at timestamptz[],
    p_quantity bigint[], p_price bigint[], p_amount bigint[], p_category smallint[], p_code text[], p_name text[],
    p_national_code text[], p_department text[], p_performer text[], p_orderer text[], p_order_no text[],
    p_reverses text[], p_message text[],
    out outcomes text[], out totals bigint[], out states text[])
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_ids bigint[];
    v_counts int[];
    v_closed boolean[];
    v_simple boolean;
    v_merged boolean;
    v_turn int[];
    v_last int := 0;
    v_now timestamptz := now();
    v_part text[];
begin
    select ids, line_counts, closed, distinct_open, merged into v_ids, v_counts, v_closed, v_simple, v_merged
      from visits_take(p_facility, p_visit_no, p_class, p_patient_no, p_patient_name);
    if v_merged then
        select array_agg(merged_name(v_ids[l.visit], l.feed, l.source, nullif(p_visit_no[l.visit], v.visit_no), l.digest) order by l.ord),
               array_agg(merged_name(v_ids[l.visit], l.feed, l.reverses, nullif(p_visit_no[l.visit], v.visit_no), null) order by l.ord)
          into p_source_line, p_reverses
          from unnest(p_visit, p_feed, p_source_line, p_reverses, p_digest) with ordinality l (visit, feed, source, reverses, digest, ord)
          join visit v on v.visit_id = v_ids[l.visit];
    end if;

    -- Nearly every batch is new charges of open visits: they are simply inserted. Where a key is there already, an amount is missing or
    -- too large, the insert fails as a whole, and the lines are judged one by one below.
    if v_simple and not v_merged and array_length(array_remove(p_reverses, null), 1) is null then
        begin
            with booked as (
                insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount,
                       charged_at, posted_at, digest, source_line, message_id, item_code, item_name, national_code, class, unit,
                       department, performer, orderer, order_no, warning)
                select v_ids[l.visit], v_counts[l.visit] + l.place, l.feed_id, l.kind, coalesce(l.category, i.category, 14), coalesce(i.self_pay_e4, 0),
                       coalesce(l.quantity, 10000), line_price(l.quantity, l.price, l.amount, i.unit_price_e6),
                       line_amount(l.quantity, l.price, l.amount, i.unit_price_e6), l.charged_at, v_now, l.digest, l.source_line, l.message, l.code,
                       coalesce(l.name, i.name), coalesce(l.national_code, i.national_code), i.class, i.unit, l.department, l.performer,
                       l.orderer, l.order_no, line_warning(l.kind, l.category, l.quantity, l.price, l.amount, i.code, i.unit_price_e6)
                  from unnest(p_visit, p_place, p_feed, p_kind, p_source_line, p_digest, p_charged_at, p_quantity, p_price, p_amount,
                              p_category, p_code, p_name, p_national_code, p_department, p_performer, p_orderer, p_order_no, p_message)
                       l (visit, place, feed_id, kind, source_line, digest, charged_at, quantity, price, amount, category, code, name,
                          national_code, department, performer, orderer, order_no, message)
                  left join lateral item_on(p_facility[l.visit], l.code, l.charged_at::date) i on true
                returning visit_id, amount
            ), summed as (
                update visit v
                   set total = v.total + s.amount, line_count = v.line_count + s.lines,
                       over_limit = v.over_limit or v.total + s.amount > v.credit_limit,
                       late_since = case when v.state in ('billed', 'settled') then coalesce(v.late_since, v_now) else v.late_since end
                  from (select visit_id, sum(amount)::bigint as amount, count(*)::int as lines from booked group by visit_id) s
                 where v.visit_id = s.visit_id
                returning v.visit_id, v.total, v.state
            )
            select array_agg(u.total order by i.ord), array_agg(u.state order by i.ord) into totals, states
              from unnest(v_ids) with ordinality i (visit_id, ord) join summed u using (visit_id);
            if true = any (v_closed) then
                outcomes := (select array_agg(case when v_closed[l.visit] then 'late' else 'posted' end order by l.ord)
                               from unnest(p_visit) with ordinality l (visit, ord));
            end if;
            perform intake_count(p_feed, null);
            return;
        exception when unique_violation or not_null_violation or check_violation or numeric_value_out_of_range then
            null;
        end;
    end if;

    -- Reversals come in turns behind the charges: one that names the same original as another, or has its id, waits for the next turn, so
    -- each sees what the ones before it took. A batch of ten thousand different reversals is one turn.
    if array_length(array_remove(p_reverses, null), 1) > 0 then
        select array_agg(turn order by ord), max(turn) into v_turn, v_last
          from (select ord, case when reverses is null then 0
                            else greatest(row_number() over (partition by v_ids[visit], feed, reverses order by ord),
                                          row_number() over (partition by v_ids[visit], feed, source order by ord))::int end as turn
                  from unnest(p_visit, p_feed, p_source_line, p_reverses) with ordinality l (visit, feed, source, reverses, ord)) t;
        outcomes := array_fill(null::text, array[cardinality(p_visit)]);
    end if;

    for turn in 0 .. v_last loop
        if turn > 0 then
            select array_agg(coalesce(r.outcome, o.outcome) order by o.ord) into outcomes
              from unnest(outcomes) with ordinality o (outcome, ord)
              left join charges_reverse(turn, v_turn, v_ids, p_visit, p_feed, p_kind, p_source_line, p_digest, p_charged_at,
                       p_quantity, p_amount, p_department, p_performer, p_orderer, p_order_no, p_reverses, p_message, p_visit_no) r
                on r.ord = o.ord;
            continue;
        end if;

        with line as materialized (
            select l.*, v_ids[l.visit] as visit_id
              from unnest(p_visit, p_feed, p_kind, p_source_line, p_digest, p_charged_at, p_quantity, p_price, p_amount, p_category,
                          p_code, p_name, p_national_code, p_department, p_performer, p_orderer, p_order_no, p_reverses, p_message)
                   with ordinality l (visit, feed_id, kind, source_line, digest, charged_at, quantity, price, amount, category,
                        code, name, national_code, department, performer, orderer, order_no, reverses, message, ord)
             where l.reverses is null
        ), priced as (
            select l.*, v.state, v.line_count, nullif(p_visit_no[l.visit], v.visit_no) as sent_visit_no,
                   line_price(l.quantity, l.price, l.amount, i.unit_price_e6) as final_price,
                   line_amount(l.quantity, l.price, l.amount, i.unit_price_e6) as final_amount,
                   coalesce(l.category, i.category, 14) as final_category,
                   coalesce(l.name, i.name) as final_name, coalesce(l.national_code, i.national_code) as final_national,
                   i.class, i.unit, coalesce(i.self_pay_e4, 0) as self_pay,
                   line_warning(l.kind, l.category, l.quantity, l.price, l.amount, i.code, i.unit_price_e6) as warning,
                   old.digest as old_digest
              from line l
              join visit v on v.visit_id = l.visit_id
              left join lateral item_on(v.facility_id, l.code, l.charged_at::date) i on true
              left join charge old on old.visit_id = l.visit_id and old.feed_id = l.feed_id and old.source_line = l.source_line
        ), refused as (
            select p.*, case when old_digest is not null then case when old_digest = digest then 'duplicate' else 'conflict' end
                             when state = 'cancelled' then 'visit_cancelled'
                             when final_amount is null then 'price_unknown'
                             when abs(final_amount) > 9999999999999999 then 'amount_too_large'
                             when kind = 'CG' and final_amount < 0 then 'amount_negative' end as refusal
              from priced p
        ), first as (       -- within the batch the first copy that can be booked counts
            select r.*, row_number() over same as nth, first_value(digest) over same as first_digest
              from refused r
            window same as (partition by visit_id, feed_id, source_line, refusal is null order by ord)
        ), judged as materialized (
            select f.*, coalesce(refusal, case when nth > 1 then case when first_digest = digest then 'duplicate' else 'conflict' end
                                               when state in ('billed', 'settled') then 'late'
                                               else 'posted' end) as outcome
              from first f
        ), booked as (
            insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount,
                   charged_at, posted_at, digest, source_line, message_id, item_code, item_name, national_code, class, unit,
                   department, performer, orderer, order_no, warning, sent_visit_no)
            select visit_id, line_count + row_number() over (partition by visit_id order by ord), feed_id, kind, final_category,
                   self_pay, coalesce(quantity, 10000), final_price, final_amount, charged_at, v_now, digest, source_line, message,
                   code, final_name, final_national, class, unit, department, performer, orderer, order_no, warning, sent_visit_no
              from judged where outcome in ('posted', 'late')
            returning visit_id, amount
        ), summed as (
            update visit v
               set total = v.total + s.amount, line_count = v.line_count + s.lines,
                   over_limit = v.over_limit or v.total + s.amount > v.credit_limit,
                   late_since = case when v.state in ('billed', 'settled') then coalesce(v.late_since, v_now) else v.late_since end
              from (select visit_id, sum(amount)::bigint as amount, count(*)::int as lines from booked group by visit_id) s
             where v.visit_id = s.visit_id
        )
        select array_agg(outcome order by ord) into v_part from judged;

        if v_turn is null then
            outcomes := v_part;
        elsif v_part is not null then
            select array_agg(coalesce(o.outcome, m.outcome) order by o.ord) into outcomes
              from unnest(outcomes) with ordinality o (outcome, ord)
              left join (select ord, v_part[row_number() over (order by ord)] as outcome
                           from unnest(p_reverses) with ordinality t (reverses, ord)
                          where reverses is null) m on m.ord = o.ord;
        end if;
    end loop;

    select array_agg(v.total order by i.ord), array_agg(v.state order by i.ord) into totals, states
      from unnest(v_ids) with ordinality i (visit_id, ord) join visit v using (visit_id);
    perform intake_count(p_feed, outcomes);
end $$;

-- Books the reversals of one turn, at most one of an original. A line is never taken back by more than it has, in amount and in
-- quantity (invariant 4): the visit is locked, so what earlier reversals took is final.
create or replace function charges_reverse(
    p_turn int, p_turns int[], p_visit_ids bigint[], p_visit int[], p_feed int[], p_kind text[], p_source_line text[], p_digest uuid[],
    p_charged_at timestamptz[], p_quantity bigint[], p_amount bigint[], p_department text[], p_performer text[],
    p_orderer text[], p_order_no text[], p_reverses text[], p_message text[], p_visit_no text[]) returns table (ord bigint, outcome text)
language plpgsql as $$
begin
    return query
    with line as materialized (
        select l.*, p_visit_ids[l.visit] as visit_id
          from unnest(p_turns, p_visit, p_feed, p_source_line, p_digest, p_charged_at, p_quantity, p_amount, p_department,
                      p_performer, p_orderer, p_order_no, p_reverses, p_message)
               with ordinality l (turn, visit, feed_id, source_line, digest, charged_at, quantity, amount, department,
                    performer, orderer, order_no, reverses, message, ord)
         where l.turn = p_turn and l.reverses is not null
    ), weighed as (
        select l.*, v.state, v.line_count, nullif(p_visit_no[l.visit], v.visit_no) as sent_visit_no, o.amount as had, o.quantity_e4 as had_quantity, o.reverses_line as of_reversal,
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
          left join charge old on old.visit_id = l.visit_id and old.feed_id = l.feed_id and old.source_line = l.source_line
          left join charge o on o.visit_id = l.visit_id and o.feed_id = l.feed_id and o.source_line = l.reverses
          left join lateral (select coalesce(-sum(r.amount), 0)::bigint as amount, coalesce(sum(r.quantity_e4), 0)::bigint as quantity
                               from charge r
                              where r.visit_id = l.visit_id and r.feed_id = l.feed_id and r.reverses_line = l.reverses) taken on true
    ), judged as materialized (
        select w.*,
               case when old_digest is not null then case when old_digest = digest then 'duplicate' else 'conflict' end
                    when state = 'cancelled' then 'visit_cancelled'
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
               performer, orderer, order_no, reverses_line, sent_visit_no)
        select visit_id, line_count + row_number() over (partition by visit_id order by j.ord), feed_id, 'CD', category, self_pay_e4, coalesce(back_quantity, 0), unit_price_e6, -coalesce(back, 0),
               charged_at, now(), digest, source_line, message, item_code, item_name, national_code, class, unit,
               department, performer, orderer, order_no, reverses, sent_visit_no
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

-- Counts outcomes by feed and day; without outcomes all are booked. The shard is this connection's, so lanes do not wait for each other.
create or replace function intake_count(p_feed int[], p_outcome text[]) returns void
language plpgsql as $$
begin
    if p_outcome is null then
        insert into intake_tally as t (feed_id, day, shard, booked)
        select f, current_date, pg_backend_pid() % 32, count(*) from unnest(p_feed) f group by f order by f
        on conflict (feed_id, day, shard) do update set booked = t.booked + excluded.booked;
    else
        insert into intake_tally as t (feed_id, day, shard, booked, duplicate)
        select feed_id, current_date, pg_backend_pid() % 32,
               count(*) filter (where outcome in ('posted', 'late')), count(*) filter (where outcome = 'duplicate')
          from unnest(p_feed, p_outcome) o (feed_id, outcome)
         group by feed_id
        having count(*) filter (where outcome in ('posted', 'late', 'duplicate')) > 0
         order by feed_id
        on conflict (feed_id, day, shard) do update
           set booked = t.booked + excluded.booked, duplicate = t.duplicate + excluded.duplicate;
    end if;
end $$;
