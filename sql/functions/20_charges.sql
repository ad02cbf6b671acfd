-- Posting charge lines: the hot path. One call books the lines of a whole batch, set-based, and gives every line an outcome.

-- The item of a line on the day it was charged.
create or replace function item_on(p_facility int, p_code text, p_day date) returns setof item
language sql stable rows 1 as $$
    select * from (select * from item where facility_id = p_facility and code = p_code and valid_from <= p_day order by valid_from desc limit 1) newest
     where active
$$;

-- What bigint cannot hold is done in numeric, by these two. Beyond what is booked it is all the same: amount_too_large.
create or replace function price_amount_wide(quantity_e4 bigint, price_e6 bigint) returns bigint language plpgsql immutable strict parallel safe as $$
begin
    return least(greatest(round(quantity_e4::numeric * price_e6 / 100000000), -10000000000000000), 10000000000000000);
end $$;
create or replace function amount_price_wide(amount bigint, quantity_e4 bigint) returns bigint language plpgsql immutable strict parallel safe as $$
begin
    return least(abs(round(amount::numeric * 100000000 / quantity_e4)), 9999999999999999);
end $$;

-- The next four are inlined, so each argument should be a column: it stands in them several times. quantity is 10000 where none was sent.

-- quantity × price in fen, rounded half up away from zero, once, on the line (invariant 11). In bigint up to 100,000 pieces of 9,000 yuan.
create or replace function price_amount(quantity_e4 bigint, price_e6 bigint) returns bigint
language sql immutable parallel safe as $$
    select case when quantity_e4 between -1000000000 and 1000000000 and price_e6 between -9000000000 and 9000000000
                then (quantity_e4 * price_e6 + case when (quantity_e4 < 0) = (price_e6 < 0) then 50000000 else -50000000 end) / 100000000
                else price_amount_wide(quantity_e4, price_e6) end
$$;

-- A line's amount: as sent, else quantity × the price sent, else × the listed one; null when there is none.
create or replace function line_amount(quantity bigint, amount bigint, price_or_listed bigint) returns bigint
language sql immutable parallel safe as $$
    select coalesce(amount, price_amount(quantity, price_or_listed))
$$;

-- A line's unit price: as sent, else what the amount makes of it, else the listed one.
create or replace function line_price(quantity bigint, price bigint, amount bigint, listed bigint) returns bigint
language sql immutable parallel safe as $$
    select coalesce(price, case when amount is null then listed
                                when quantity = 0 then null
                                when abs(amount) > 90000000000 or abs(quantity) > 400000000000000000 then amount_price_wide(amount, quantity)
                                else least((abs(amount) * 100000000 + abs(quantity) / 2) / abs(quantity), 9999999999999999) end, 0)
$$;

-- What a person should look at: no category and not in the list, or a charge that differs from the list by more than a fen. amount: as booked.
create or replace function line_warning(kind text, category smallint, quantity bigint, amount bigint, in_list boolean, listed bigint)
returns text language sql immutable parallel safe as $$
    select case when not in_list then case when category is null then 'unlisted' end
                when kind = 'CG' and abs(price_amount(quantity, listed) - amount) > 1 then 'price_differs' end
$$;

-- Books a batch of lines.
--   p_facility..p_patient_name: the visits of the batch, each once, and each with a line.
--   p_number_kind: of each visit's number; null instead of the array when all are visit numbers. The others are looked up first. patient and patient/CLASS:
--   the number is a patient's (visits_of_patients); such a visit may be there more than once.
--   p_item_facility..p_item_day: the items of the batch, each once: a code on a day (of the hospital's zone) at a facility.
--   p_visit, p_item: for each line the positions of its visit and its item in those arrays, from 1; no code, no item. p_kind: CG, CD or AJ.
--   p_place: which line of its visit in this batch, from 1, those that reverse one not counted (null).
--   p_quantity: 4 decimals; p_price: 6 decimals, both as integers, null where not given; p_amount: fen, null where not given.
--   p_category: 1 to 14 or null. p_reverses: the source_line that the line takes back, or null; null instead of the array when none does.
--   p_most: for each visit the least of its facility's limits (see charges_within), beyond which its lines are looked at; null where there is none.
--   p_released: has a person released the line from them? Null instead of either array when all are null or false.
-- Returns an outcome a line (posted, late, duplicate, held, conflict, reversal_exceeds, price_unknown, visit_cancelled, amount_too_large, implausible_visit,
-- implausible_day, total_negative, patient_mismatch, visit_ambiguous; of a patient's visit also visit_unknown); null instead of the array when all are posted;
-- the running total and the state of each visit afterwards; for lines beyond a limit the sum that is beyond it, null instead of the array when there are none.
-- numbers: where some are patients', the own number of each of those visits, a line each, or behind a tab how many open ones there are; else an empty line.
-- prices: of the items in the list, null where it has none.
-- Its settings hold for the functions it calls: plans are kept, and outlive the empty tables of the first day. Without hash and merge joins
-- the visits are looked up one by one whatever the statistics say.
-- Locks: the visits in visit_id order, first. They are held to the end, so no one else adds or closes lines meanwhile.
create or replace function charges_post(
    p_facility int[], p_visit_no text[], p_class text[], p_patient_no text[], p_patient_name text[],
    p_item_facility int[], p_item_code text[], p_item_day date[],
    p_visit int[], p_item int[], p_place int[], p_feed int[], p_kind text[], p_source_line text[], p_digest uuid[], p_charged_at timestamptz[],
    p_quantity bigint[], p_price bigint[], p_amount bigint[], p_category smallint[], p_name text[],
    p_national_code text[], p_department text[], p_performer text[], p_orderer text[], p_order_no text[],
    p_reverses text[], p_message text[], p_number_kind text[] default null, p_most bigint[] default null, p_released boolean[] default null,
    out outcomes text[], out totals bigint[], out states text[], out numbers text, out prices bigint[], out sums bigint[])
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_reversals boolean := coalesce(array_length(array_remove(p_reverses, null), 1), 0) > 0;
    i_category smallint[];  -- what the price list says of the items, null where it has none
    i_self_pay int[];
    i_name text[];
    i_national text[];
    i_class text[];
    i_unit text[];
    v_ids bigint[];
    v_complete boolean;
    v_odd boolean;
    v_late boolean;
    v_merged boolean;
    v_booked boolean := false;
    v_alone boolean := true;    -- each visit has one number in this batch, and each number one visit
    v_sent_as text[];
    v_reverses_as text[];
    v_code text[];
    v_back text[];
    v_of_patients text[];
    v_refusals text[];
    v_opened int[];
    v_back_sums bigint[];
begin
    -- in the order of the input: a nested loop keeps it
    select array_agg(i.category), array_agg(i.self_pay_e4), array_agg(i.unit_price_e6), array_agg(i.name),
           array_agg(i.national_code), array_agg(i.class), array_agg(i.unit)
      into i_category, i_self_pay, prices, i_name, i_national, i_class, i_unit
      from generate_series(1, cardinality(p_item_code)) k
      left join lateral item_on(p_item_facility[k], p_item_code[k], p_item_day[k]) i on true;

    if p_number_kind is not null then
        if exists (select from unnest(p_number_kind) k where k like 'patient%') then
            select p.numbers, p.refusals, p.opened into v_of_patients, v_refusals, v_opened
              from visits_of_patients(p_facility, p_visit_no, p_number_kind, p_class, p_visit, p_feed, p_source_line, p_digest, p_reverses) p;
            select array_agg(coalesce(v_of_patients[x], p_visit_no[x]) order by x), array_agg(case when v_of_patients[x] is null then p_number_kind[x] end order by x),
                   string_agg(coalesce(nullif(v_of_patients[x], ''), chr(9) || v_opened[x], ''), chr(10) order by x)
              into p_visit_no, p_number_kind, numbers from generate_subscripts(p_visit_no, 1) x;
        end if;
        p_visit_no := visits_open(p_facility, p_visit_no, p_number_kind, p_class, p_patient_no, p_patient_name);
        v_alone := (select count(distinct (f, nullif(n, ''))) filter (where n <> '') = count(*) from unnest(p_facility, p_visit_no) k (f, n));
    end if;

    -- Nearly every batch is new charges of visits that take them: one statement books it, without a look at what is there. It fails as a whole
    -- where a key is there already, an amount is missing or too large; a visit that is unknown, cancelled or merged undoes it. Unknown
    -- visits are opened and it is said again; for the rest the lines are judged one by one below. (offset 0 keeps a subquery from being
    -- taken apart: what stands in its list is an expression once, and not wherever an inlined function uses it.)
    for attempt in 1 .. 2 loop
        exit when not v_alone;
        begin
            with taken as (         -- a visit of reversals only is taken, too: its lock is needed below
                update visit v
                   set total = v.total + k.amount, line_count = v.line_count + k.lines,
                       late_since = case when v.state in ('billed', 'settled') and k.lines > 0 then coalesce(v.late_since, now())
                                         else v.late_since end
                  from (select s.visit, w.visit_id, s.amount, s.lines
                          from (select l.visit, (count(*) filter (where l.charge))::int as lines,
                                       coalesce(sum(line_amount(l.quantity, l.amount, l.price_or_listed)) filter (where l.charge), 0)::bigint as amount
                                  from (select p_visit[x] as visit, coalesce(p_quantity[x], 10000) as quantity, p_amount[x] as amount,
                                               coalesce(p_price[x], prices[p_item[x]]) as price_or_listed, p_reverses[x] is null as charge
                                          from generate_series(1, cardinality(p_visit)) x offset 0) l
                                 group by l.visit) s
                          join visit w on w.facility_id = p_facility[s.visit] and w.visit_no = p_visit_no[s.visit]
                         order by w.visit_id) k
                 where v.visit_id = k.visit_id
                returning k.visit, v.visit_id, v.line_count - k.lines as line_count, v.total, v.state, v.absorbed, coalesce(v.patient_no <> p_patient_no[k.visit], false)
                          or v.total not between 0 and coalesce(p_most[k.visit], 9999999999999999) as other
            ), visits as (
                select array_agg(visit_id) as ids, array_agg(line_count) as line_counts, array_agg(total) as totals, array_agg(state) as states,
                       count(*) = cardinality(p_visit_no) as complete, bool_or(state in ('cancelled', 'merged') or absorbed or other) as odd,
                       bool_or(state in ('billed', 'settled')) as late
                  from (select * from taken order by visit) t
            ), booked as (
                insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount,
                       charged_at, posted_at, digest, source_line, message_id, item_code, item_name, national_code, class, unit,
                       department, performer, orderer, order_no, warning)
                select v.ids[l.visit], v.line_counts[l.visit] + p_place[x], p_feed[x], l.kind, coalesce(l.category, i_category[l.item], 14),
                       coalesce(i_self_pay[l.item], 0), l.quantity, line_price(l.quantity, l.price, l.sent, l.listed), l.amount,
                       p_charged_at[x], now(), p_digest[x], p_source_line[x], p_message[x], p_item_code[l.item], coalesce(p_name[x], i_name[l.item]),
                       coalesce(p_national_code[x], i_national[l.item]), i_class[l.item], i_unit[l.item], p_department[x], p_performer[x],
                       p_orderer[x], p_order_no[x], line_warning(l.kind, l.category, l.quantity, l.amount, l.in_list, l.listed)
                  from visits v, (
                       select l.*, line_amount(l.quantity, l.sent, coalesce(l.price, l.listed)) as amount
                         from (select x, p_visit[x] as visit, p_item[x] as item, p_kind[x] as kind, p_category[x] as category,
                                      coalesce(p_quantity[x], 10000) as quantity, p_price[x] as price, p_amount[x] as sent,
                                      prices[p_item[x]] as listed, i_category[p_item[x]] is not null as in_list
                                 from generate_series(1, cardinality(p_visit)) x where p_reverses[x] is null offset 0) l offset 0) l
                 where v.complete and not v.odd
            ), counted as (
                insert into intake_tally as t (feed_id, day, shard, booked)
                select p_feed[x], current_date, pg_backend_pid() % 32, count(*) from generate_series(1, cardinality(p_visit)) x
                 where p_reverses[x] is null group by p_feed[x] order by p_feed[x]
                on conflict (feed_id, day, shard) do update set booked = t.booked + excluded.booked
            )
            select v.ids, v.totals, v.states, v.complete, v.odd, v.late into v_ids, totals, states, v_complete, v_odd, v_late from visits v;
            if v_odd or not v_complete then
                raise exception 'undo' using errcode = 'VB001';
            end if;
            v_booked := true;
            exit;
        exception
            when unique_violation or not_null_violation or check_violation or numeric_value_out_of_range then
                exit;
            when sqlstate 'VB001' then
                exit when v_odd;
                p_visit_no := visits_open(p_facility, p_visit_no, null, p_class, p_patient_no, p_patient_name);
                v_alone := (select count(distinct (f, nullif(n, ''))) filter (where n <> '') = count(*) from unnest(p_facility, p_visit_no) k (f, n));
        end;
    end loop;
    if v_booked and not v_late and not v_reversals then
        return;
    end if;

    if v_booked then
        select array_agg(case when p_reverses[x] is null then case when states[p_visit[x]] in ('billed', 'settled') then 'late' else 'posted' end end
                         order by x)
          into outcomes from generate_series(1, cardinality(p_visit)) x;
    else
        select t.ids, t.numbers, t.merged into v_ids, p_visit_no, v_merged from visits_take(p_facility, p_visit_no, null, p_class, p_patient_no, p_patient_name) t;
        if v_merged then
            select array_agg(line_known_as(v.visit_id, l.feed, l.source, case when n.number = v.visit_no then '' else n.number end, l.digest) order by l.ord),
                   array_agg(line_known_as(v.visit_id, l.feed, l.reverses, case when n.number = v.visit_no then '' else n.number end, null) order by l.ord)
              into v_sent_as, v_reverses_as
              from unnest(p_visit, p_feed, p_source_line, p_reverses, p_digest) with ordinality l (visit, feed, source, reverses, digest, ord)
              left join (select ord, number from unnest(p_visit_no) with ordinality n (number, ord)) n on n.ord = l.visit
              left join visit v on v.visit_id = v_ids[l.visit];
        end if;
        v_code := (select array_agg(p_item_code[p_item[x]] order by x) from generate_series(1, cardinality(p_visit)) x);
        select j.outcomes, j.sums into outcomes, sums
          from charges_judge(v_ids, p_visit, p_feed, p_kind, p_source_line, p_digest, p_charged_at, p_quantity, p_price, p_amount,
                                  p_category, v_code, p_name, p_national_code, p_department, p_performer, p_orderer, p_order_no, p_reverses,
                                  p_message, p_visit_no, p_patient_no, v_sent_as, p_released) j;
        perform intake_count(p_feed, outcomes);
    end if;
    if v_reversals then
        select b.outcomes, b.sums into v_back, v_back_sums
          from charges_take_back(v_ids, p_visit, p_feed, p_source_line, p_digest, p_charged_at, p_quantity, p_amount, p_department,
                                    p_performer, p_orderer, p_order_no, p_reverses, p_message, p_visit_no, p_patient_no, v_sent_as, v_reverses_as, p_released) b;
        perform intake_count(p_feed, v_back);
        if v_back_sums is not null then
            sums := (select array_agg(coalesce(s.charged, s.back) order by s.ord) from unnest(sums, v_back_sums) with ordinality s (charged, back, ord));
        end if;
        outcomes := (select array_agg(coalesce(o.booked, o.back, 'visit_ambiguous') order by o.ord)
                       from unnest(outcomes, v_back) with ordinality o (booked, back, ord));
    end if;
    if v_refusals is not null then
        outcomes := (select array_agg(coalesce(v_refusals[p_visit[x]], outcomes[x]) order by x) from generate_subscripts(outcomes, 1) x);
    end if;
    if outcomes && array['duplicate', 'conflict'] then
        perform lines_again(v_ids, p_visit, p_feed, p_source_line, p_message, v_sent_as, outcomes);
    end if;
    select array_agg(v.total order by i.ord), array_agg(v.state order by i.ord) into totals, states
      from unnest(v_ids) with ordinality i (visit_id, ord) left join visit v using (visit_id);
end $$;

-- Counts outcomes by feed and day; a line without one is not counted. The shard is this connection's, so lanes do not wait for each other.
create or replace function intake_count(p_feed int[], p_outcome text[]) returns void
language plpgsql as $$
begin
    insert into intake_tally as t (feed_id, day, shard, booked, duplicate)
    select feed_id, current_date, pg_backend_pid() % 32,
           count(*) filter (where outcome in ('posted', 'late')), count(*) filter (where outcome = 'duplicate')
      from unnest(p_feed, p_outcome) o (feed_id, outcome)
     group by feed_id
    having count(*) filter (where outcome in ('posted', 'late', 'duplicate')) > 0
     order by feed_id
    on conflict (feed_id, day, shard) do update
       set booked = t.booked + excluded.booked, duplicate = t.duplicate + excluded.duplicate;
end $$;

-- Of lines whose id was booked before (outcome duplicate or conflict) those that the first time came in another message: sent again under another MSH-10, or by a
-- feed that uses an id twice. They are counted, and the newest three kept as examples: in the places that were written longest ago, and never in one that
-- another transaction writes, so that nobody waits. p_sent_as: see line_known_as. The caller has locked the visits.
create or replace function lines_again(p_ids bigint[], p_visit int[], p_feed int[], p_source_line text[], p_message text[], p_sent_as text[], p_outcome text[])
returns void language plpgsql as $$
declare
    r record;
begin
    for r in select * from (
             select again.*, row_number() over (partition by feed_id order by ord desc) as newest, count(*) filter (where same) over feed as n_same,
                    count(*) filter (where not same) over feed as n_other
               from (select c.feed_id, c.visit_id, c.source_line, l.message, c.message_id as first_message, l.outcome = 'duplicate' as same, l.ord
                       from unnest(p_visit, p_feed, p_source_line, p_message, p_sent_as, p_outcome)
                            with ordinality l (visit, feed_id, source_line, message, sent_as, outcome, ord)
                       join charge c on c.visit_id = p_ids[l.visit] and c.feed_id = l.feed_id and c.source_line = l.source_line
                            and c.sent_as = coalesce(l.sent_as, '')
                      where l.outcome in ('duplicate', 'conflict') and c.message_id is distinct from l.message) again
             window feed as (partition by feed_id)) lines where newest <= 3 order by feed_id, newest loop
        if r.newest = 1 then
            insert into feed_lines as t (feed_id, day, shard, again, again_other) values (r.feed_id, current_date, pg_backend_pid() % 32, r.n_same, r.n_other)
            on conflict (feed_id, day, shard) do update set again = t.again + excluded.again, again_other = t.again_other + excluded.again_other;
        end if;
        update feed_again
           set at = now(), visit_id = r.visit_id, source_line = r.source_line, message_id = r.message, first_message_id = r.first_message, same_content = r.same
         where feed_id = r.feed_id
           and place = (select place from feed_again where feed_id = r.feed_id order by at nulls first, place limit 1 for update skip locked);
    end loop;
end $$;
