-- Posting a line that came alone, which is what a quiet feed sends.

-- Books one line that takes nothing back, as charges_post would: parameters and results are its own, each array as its one element. What that would judge
-- line by line, or open a visit for, is left to it. A statement that is told all of it starts in half the time of one that reads arrays, and what the
-- price list need not say is not computed; tests/db/test_one_line.py holds both to the same rows.
-- Locks: the visit.
create or replace function charges_post_one(
    p_facility int, p_visit_no text, p_class text, p_patient_no text, p_patient_name text, p_code text, p_day date,
    p_feed int, p_kind text, p_source_line text, p_digest uuid, p_charged_at timestamptz,
    p_quantity bigint, p_price bigint, p_amount bigint, p_category smallint, p_name text,
    p_national_code text, p_department text, p_performer text, p_orderer text, p_order_no text, p_message text, p_most bigint default null,
    out outcomes text[], out totals bigint[], out states text[], out prices bigint, out sums bigint[])
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    i item;
    v_quantity bigint := coalesce(p_quantity, 10000);
    v_amount bigint := p_amount;
    v_price bigint := p_price;
    v_warning text;
    v_id bigint;
    v_line int;
    v_total bigint;
    v_state text;
begin
    if p_code is not null then
        select * into i from item_on(p_facility, p_code, p_day);
        prices := i.unit_price_e6;
    end if;
    begin
        if p_price is null or p_amount is null then
            v_amount := line_amount(v_quantity, p_amount, coalesce(p_price, i.unit_price_e6));
            v_price := line_price(v_quantity, p_price, p_amount, i.unit_price_e6);
        end if;
        if i.code is null or v_amount is distinct from price_amount(v_quantity, i.unit_price_e6) then
            v_warning := line_warning(p_kind, p_category, v_quantity, v_amount, i.code is not null, i.unit_price_e6);
        end if;
        update visit v set total = v.total + v_amount, line_count = v.line_count + 1
         where v.facility_id = p_facility and v.visit_no = p_visit_no and v.state in ('open', 'discharged') and not v.absorbed
           and coalesce(v.patient_no = p_patient_no, true) and v.total + v_amount between 0 and coalesce(p_most, 9999999999999999)
        returning v.visit_id, v.line_count, v.total, v.state into v_id, v_line, v_total, v_state;
        if v_id is not null then
            insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount,
                   charged_at, posted_at, digest, source_line, message_id, item_code, item_name, national_code, class, unit,
                   department, performer, orderer, order_no, warning)
            values (v_id, v_line, p_feed, p_kind, coalesce(p_category, i.category, 14), coalesce(i.self_pay_e4, 0), v_quantity, v_price, v_amount,
                   p_charged_at, now(), p_digest, p_source_line, p_message, p_code, coalesce(p_name, i.name), coalesce(p_national_code, i.national_code),
                   i.class, i.unit, p_department, p_performer, p_orderer, p_order_no, v_warning);
            insert into intake_tally as t (feed_id, day, shard, booked) values (p_feed, current_date, pg_backend_pid() % 32, 1)
            on conflict (feed_id, day, shard) do update set booked = t.booked + 1;
            totals := array[v_total];
            states := array[v_state];
            return;
        end if;
    exception
        when unique_violation or not_null_violation or check_violation or numeric_value_out_of_range then null;
    end;
    select c.outcomes, c.totals, c.states, c.prices[1], c.sums into outcomes, totals, states, prices, sums
      from charges_post(array[p_facility], array[p_visit_no], array[p_class], array[p_patient_no], array[p_patient_name],
                        array_remove(array[case when p_code is not null then p_facility end], null), array_remove(array[p_code], null),
                        array_remove(array[case when p_code is not null then p_day end], null),
                        array[1], array[case when p_code is not null then 1 end], array[1], array[p_feed], array[p_kind], array[p_source_line],
                        array[p_digest], array[p_charged_at], array[p_quantity], array[p_price], array[p_amount], array[p_category], array[p_name],
                        array[p_national_code], array[p_department], array[p_performer], array[p_orderer], array[p_order_no], null, array[p_message], null,
                        array[p_most]) c;
end $$;
