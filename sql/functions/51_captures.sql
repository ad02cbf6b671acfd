-- Captures: money that arrived, what it pays for, its journal entry and its receipt. Locks as in 50_payments.sql.

-- Money arrived: records the capture, applies it as far as the bill is owed, keeps the rest as credit, gives a receipt, ends the
-- attempt. Harmless when repeated. A wrong merchant or amount is an outcome and changes nothing.
create or replace function payment_capture(p_channel text, p_merchant text, p_out_trade_no text, p_transaction_id text, p_amount bigint,
    p_captured_at timestamptz, out outcome text) language plpgsql as $$
#variable_conflict use_column
declare
    p payment;
    s bill_state;
    v_capture bigint;
    v_applied bigint;
begin
    select * into p from payment where out_trade_no = p_out_trade_no and channel = p_channel;
    if not found then
        outcome := 'order_unknown';
        return;
    elsif p.merchant <> p_merchant then
        outcome := 'merchant_mismatch';
        return;
    elsif p.amount <> p_amount then
        outcome := 'amount_mismatch';
        return;
    end if;
    perform 1 from visit v where v.visit_id = p.visit_id for no key update;
    select * into p from payment where payment_id = p.payment_id for update;
    insert into capture (visit_id, payment_id, channel, transaction_id, amount, captured_at)
    values (p.visit_id, p.payment_id, p_channel, p_transaction_id, p_amount, p_captured_at)
    on conflict (channel, transaction_id) do nothing
    returning capture_id into v_capture;
    if v_capture is null then
        outcome := 'repeated';
        return;
    end if;
    select * into s from bill_state where bill_id = p.bill_id for no key update;
    if p.state in ('created', 'pending', 'unknown') then
        s.live := s.live - p.amount;
    end if;
    v_applied := case when s.state = 'open' then least(p_amount, s.total - s.paid - s.credited - s.live) else 0 end;
    update bill_state set live = s.live, paid = paid + v_applied, version = version + 1,
                          state = case when paid + v_applied + credited = total and state = 'open' then 'settled' else state end
     where bill_id = p.bill_id;
    insert into application (visit_id, bill_id, capture_id, amount)
    select p.visit_id, p.bill_id, v_capture, v_applied where v_applied > 0;
    perform capture_journal(p.visit_id, p.bill_id, v_capture, p_channel, p_amount, v_applied);
    perform receipt_issue(p.facility_id, p.visit_id, p.bill_id, v_capture, p_amount);
    if p.state <> 'succeeded' then
        perform payment_enter(p, 'succeeded');
    end if;
    if v_applied < p_amount then        -- late success, or a second capture: kept as credit until it is refunded
        perform note_event('credit', p.visit_id, p.bill_id, p.payment_id, null, null, null, null,
                           jsonb_build_object('amount', yuan(p_amount - v_applied)));
        perform credit_apply(p.visit_id);
    end if;
    perform visits_settle(array[p.visit_id]);
    outcome := 'done';
end $$;

-- Captures of a batch, in one transaction: what notifications and queries bring. Returns the outcome of each and its position. Nearly every
-- batch is money for attempts that wait for it, each for another bill: one statement records that. Anything else is done one by one.
-- Without hash and merge joins everything is looked up by its key.
create or replace function payment_captures(p_channel text[], p_merchant text[], p_out_trade_no text[], p_transaction_id text[],
    p_amount bigint[], p_captured_at timestamptz[]) returns table (ord bigint, outcome text)
language plpgsql security definer set search_path from current set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    c record;
    v_expected boolean;
    v_bills bigint[];
    v_captured text[];
    v_visits bigint[];
    v_unpaid bigint;
begin
    -- visits first, in their order, as everywhere
    select count(distinct k.bill_id) filter (where k.as_ordered and k.state in ('created', 'pending', 'unknown') and k.bill_state = 'open')
           = cardinality(p_out_trade_no), array_agg(k.bill_id)
      into v_expected, v_bills
      from (select p.bill_id, p.state, s.state as bill_state,
                   p.channel = p_channel[x] and p.merchant = p_merchant[x] and p.amount = p_amount[x] as as_ordered
              from generate_series(1, cardinality(p_out_trade_no)) x
              join payment p on p.out_trade_no = p_out_trade_no[x]
              join visit v on v.visit_id = p.visit_id join bill_state s on s.bill_id = p.bill_id
             order by v.visit_id for no key update of v, p) k;
    if not v_expected then
        for c in select x, p_channel[x] as channel, p_merchant[x] as merchant, p_out_trade_no[x] as out_trade_no,
                        p_transaction_id[x] as transaction_id, p_amount[x] as amount, p_captured_at[x] as captured_at
                   from generate_series(1, cardinality(p_out_trade_no)) x left join payment p on p.out_trade_no = p_out_trade_no[x]
                  order by p.facility_id, p.out_trade_no, x loop      -- receipt counters are taken facility by facility
            ord := c.x;
            outcome := payment_capture(c.channel, c.merchant, c.out_trade_no, c.transaction_id, c.amount, c.captured_at);
            return next;
        end loop;
        return;
    end if;

    -- A live attempt's amount is reserved, so the bill is owed all of it. A transaction that is here already drops out as repeated.
    with captured as (
        insert into capture (visit_id, payment_id, channel, transaction_id, amount, captured_at)
        select p.visit_id, p.payment_id, p.channel, p_transaction_id[x], p.amount, p_captured_at[x]
          from generate_series(1, cardinality(p_out_trade_no)) x join payment p on p.out_trade_no = p_out_trade_no[x]
            on conflict (channel, transaction_id) do nothing
        returning capture_id, payment_id
    ), k as (
        select c.capture_id, p.* from captured c join payment p using (payment_id)
    ), paid as (
        update bill_state s set live = s.live - k.amount, paid = s.paid + k.amount, version = s.version + 1,
                                state = case when s.paid + k.amount + s.credited = s.total then 'settled' else s.state end
          from k where s.bill_id = k.bill_id and s.state = 'open'
           and s.bill_id = any (v_bills)    -- a plan from the first day reads no others
        returning s.bill_id
    ), applied as (
        insert into application (visit_id, bill_id, capture_id, amount) select visit_id, bill_id, capture_id, amount from k
    ), booked as (
        insert into journal (kind, visit_id, bill_id, capture_id, accounts, amounts)
        select 'capture', visit_id, bill_id, capture_id, array[channel, 'receivable'], array[amount, -amount] from k
    ), counter as (
        insert into receipt_counter as c (facility_id, year, last)
        select facility_id, extract(year from now())::int, count(*) from k group by facility_id order by facility_id
            on conflict (facility_id, year) do update set last = c.last + excluded.last
        returning facility_id, year, last
    ), numbered as (
        select k.*, c.year, c.last + 1 - row_number() over (partition by c.facility_id order by k.capture_id desc) as number
          from k join counter c using (facility_id)
    ), receipted as (
        insert into receipt (public_id, facility_id, year, number, visit_id, bill_id, capture_id, amount)
        select random_id(), facility_id, year, number, visit_id, bill_id, capture_id, amount from numbered
    ), ended as (
        update payment p set state = 'succeeded' from k where p.payment_id = k.payment_id
    ), noted as (
        insert into event (kind, visit_id, bill_id, payment_id, from_state, to_state)
        select 'payment', visit_id, bill_id, payment_id, state, 'succeeded' from k
    )
    select array_agg(out_trade_no), array_agg(visit_id), count(*) - (select count(*) from paid) into v_captured, v_visits, v_unpaid from k;
    if v_unpaid <> 0 then
        raise exception '% live attempts have a bill that is not open', v_unpaid;     -- it was when the visit was waited for: said again, one by one
    end if;
    perform visits_settle(v_visits);
    return query
    select x::bigint, case when p_out_trade_no[x] = any (v_captured) then 'done' else 'repeated' end
      from generate_series(1, cardinality(p_out_trade_no)) x;
end $$;

-- Debit the channel, credit what patients owe and, for the rest, what is owed to them.
create or replace function capture_journal(p_visit bigint, p_bill bigint, p_capture bigint, p_account text, p_amount bigint, p_applied bigint)
returns void language plpgsql as $$
begin
    insert into journal (kind, visit_id, bill_id, capture_id, accounts, amounts)
    select 'capture', p_visit, p_bill, p_capture, array_prepend(p_account, array_agg(account)), array_prepend(p_amount, array_agg(-amount))
      from (values ('receivable', p_applied), ('credit', p_amount - p_applied)) t (account, amount) where amount > 0;
end $$;

create or replace function receipt_issue(p_facility int, p_visit bigint, p_bill bigint, p_capture bigint, p_amount bigint)
returns void language plpgsql as $$
begin
    with counter as (
        insert into receipt_counter as c (facility_id, year, last) values (p_facility, extract(year from now())::int, 1)
        on conflict (facility_id, year) do update set last = c.last + 1
        returning year, last
    )
    insert into receipt (public_id, facility_id, year, number, visit_id, bill_id, capture_id, amount)
    select random_id(), p_facility, counter.year, counter.last, p_visit, p_bill, p_capture, p_amount from counter;
end $$;

-- Money that another system took (FT1-6 PY or CO): a capture of the visit, applied to its open bills, the rest waits for the next.
-- Once per feed, visit and source_line, like a charge.
create or replace function capture_elsewhere(p_feed int, p_facility int, p_visit_no text, p_source_line text, p_amount bigint,
    p_at timestamptz, p_digest uuid, p_patient_no text, p_patient_name text, p_class text, p_number_kind text) returns text
language plpgsql as $$
declare
    v_visit bigint := (select ids[1] from visits_take(array[p_facility], array[p_visit_no], array[p_number_kind], array[p_class], array[p_patient_no],
                                                      array[p_patient_name]));
    v_id text := json_build_array(p_feed, p_facility, p_visit_no, p_source_line);      -- quoted: no two are the same text
    v_old uuid;
    v_capture bigint;
    v_outcome text := 'posted';
begin
    -- ids were once put together with strokes, so that two lines could have one: then the visit tells them apart
    select digest into v_old from capture
     where channel = 'elsewhere' and visit_id = v_visit
       and transaction_id in (v_id, p_feed || '/' || p_facility || '/' || p_visit_no || '/' || p_source_line);
    if found then
        v_outcome := case when v_old = p_digest then 'duplicate' else 'conflict' end;
    elsif (select state = 'cancelled' from visit where visit_id = v_visit) then
        v_outcome := 'visit_cancelled';
    else
        insert into capture (visit_id, channel, transaction_id, amount, captured_at, feed_id, digest)
        values (v_visit, 'elsewhere', v_id, p_amount, p_at, p_feed, p_digest)
        returning capture_id into v_capture;
        perform capture_journal(v_visit, null, v_capture, 'elsewhere', p_amount, 0);
        perform credit_apply(v_visit);
        perform visits_settle(array[v_visit]);
    end if;
    perform intake_count(array[p_feed], array[v_outcome]);
    return v_outcome;
end $$;
