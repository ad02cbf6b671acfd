-- Payments: an attempt is created against a bill and its version, and ends once: succeeded, closed or failed.
-- Lock order everywhere: visit, then payment, then bill_state, then the receipt counter.

-- Moves an attempt to another state and says so in event. The caller has locked it.
create or replace function payment_enter(p payment, p_to text, p_reason text default null) returns void language plpgsql as $$
begin
    update payment set state = p_to, reason = coalesce(p_reason, reason) where payment_id = p.payment_id;
    perform note_event('payment', p.visit_id, p.bill_id, p.payment_id, p.state, p_to, null, null,
                       case when p_reason is not null then jsonb_build_object('reason', p_reason) end);
end $$;

-- Creates an attempt and reserves its amount on the bill, or says why not. The client's key makes it happen once: the same key and
-- digest again is 'replayed', another digest 'idempotency_mismatch'. Where it is refused, description says what is owed. p_facilities: those that the client may see, null for all.
-- Cash is captured here as well, so its attempt is born and ends in one transaction.
create or replace function payment_create(p_bill text, p_version int, p_channel text, p_merchant text, p_amount bigint, p_client text,
    p_key text, p_digest uuid, p_lifetime interval, p_facilities text[], out outcome text, out doc text,
    out payment_id bigint, out out_trade_no text, out description text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
    b bill;
    s bill_state;
begin
    -- one creator per key at a time: the second one then finds the first one's row
    perform pg_advisory_xact_lock(hashtextextended(p_client || chr(10) || p_key, 7));
    select * into p from payment where client = p_client and idempotency_key = p_key;
    if found then
        outcome := case when p.request_digest = p_digest then 'replayed' else 'idempotency_mismatch' end;
        doc := case when p.request_digest = p_digest then payment_doc(p.payment_id)::text end;
        payment_id := p.payment_id;
        return;
    end if;
    select bill.* into b from bill join facility f using (facility_id)
     where public_id = p_bill and (p_facilities is null or f.code = any (p_facilities));
    if not found then
        outcome := 'bill_unknown';
        return;
    end if;
    perform 1 from visit v where v.visit_id = b.visit_id for no key update;
    select * into s from bill_state where bill_id = b.bill_id for update;
    outcome := case when s.state = 'void' then 'bill_void'
                    when s.state = 'settled' or s.total - s.paid - s.credited <= 0 then 'bill_settled'
                    when p_version is not null and p_version <> s.version then 'bill_changed'
                    when p_amount > s.total - s.paid - s.credited then 'amount_exceeds'
                    when p_amount > s.total - s.paid - s.credited - s.live then 'payment_in_progress' end;
    if outcome is not null then
        description := format('owed %s, of which %s is in progress; the bill''s version is %s', yuan(s.total - s.paid - s.credited), yuan(s.live), s.version);
        return;
    end if;
    insert into payment (public_id, facility_id, visit_id, bill_id, bill_version, channel, merchant, amount, state, out_trade_no, client,
                         idempotency_key, request_digest, expires_at, next_check_at)
    values (random_id(), b.facility_id, b.visit_id, b.bill_id, s.version, p_channel, p_merchant, p_amount, 'created', random_id(),
            p_client, p_key, p_digest, now() + p_lifetime, now() + interval '20 s')
    returning * into p;
    update bill_state set live = live + p_amount where bill_id = b.bill_id;
    perform note_event('payment', p.visit_id, p.bill_id, p.payment_id, null, 'created');
    if p_channel = 'cash' then
        perform payment_capture('cash', '', p.out_trade_no, p.out_trade_no, p_amount, now());
    end if;
    outcome := 'done';
    doc := payment_doc(p.payment_id)::text;
    payment_id := p.payment_id;
    out_trade_no := p.out_trade_no;
    description := (select coalesce(nullif(f.name, ''), f.code) from facility f where f.facility_id = b.facility_id) || ' ' || b.bill_no;
end $$;

-- The channel took the order: its code can be shown. An attempt that ended meanwhile stays as it is.
create or replace function payment_pending(p_payment bigint, p_code_url text, out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
begin
    select * into p from payment where payment_id = p_payment for update;
    update payment set code_url = coalesce(p_code_url, code_url), next_check_at = now() + interval '30 s',
                       state = case when state in ('created', 'unknown') then 'pending' else state end
     where payment_id = p_payment;
    if p.state in ('created', 'unknown') then
        perform note_event('payment', p.visit_id, p.bill_id, p.payment_id, p.state, 'pending');
    end if;
    outcome := 'done';
    doc := payment_doc(p_payment)::text;
end $$;

-- Nobody knows whether the channel has the order: only asking it ends this (invariant 8).
create or replace function payment_unknown(p_payment bigint, p_reason text, out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
begin
    select * into p from payment where payment_id = p_payment for update;
    if p.state in ('created', 'pending') then
        perform payment_enter(p, 'unknown', p_reason);
        update payment set next_check_at = now() + interval '2 s' where payment_id = p_payment;
    end if;
    outcome := 'done';
    doc := payment_doc(p_payment)::text;
end $$;

-- Ends an attempt without money: p_to is closed or failed. Its reserve goes back to the bill, where waiting credit may now fit.
create or replace function payment_end(p_payment bigint, p_to text, p_reason text, out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
begin
    if p_to not in ('closed', 'failed') then
        raise exception 'an attempt does not end as %', p_to;
    end if;
    perform 1 from visit v where v.visit_id = (select x.visit_id from payment x where x.payment_id = p_payment) for no key update;
    select * into p from payment where payment_id = p_payment for update;
    if p.state in ('created', 'pending', 'unknown') then
        perform payment_enter(p, p_to, p_reason);
        update bill_state set live = live - p.amount where bill_id = p.bill_id;
        perform credit_apply(p.visit_id);
        perform visit_settle(p.visit_id);
    end if;
    outcome := 'done';
    doc := payment_doc(p_payment)::text;
end $$;

-- Money arrived: records the capture, applies it as far as the bill is owed, keeps the rest as credit, gives a receipt, ends the
-- attempt. Harmless when repeated. A wrong merchant or amount is an outcome and changes nothing.
create or replace function payment_capture(p_channel text, p_merchant text, p_out_trade_no text, p_transaction_id text, p_amount bigint,
    p_captured_at timestamptz, out outcome text, out doc text, out bill text)
language plpgsql security definer set search_path from current as $$
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
    select b.public_id into bill from bill b where b.bill_id = p.bill_id;
    insert into capture (visit_id, payment_id, channel, transaction_id, amount, captured_at)
    values (p.visit_id, p.payment_id, p_channel, p_transaction_id, p_amount, p_captured_at)
    on conflict (channel, transaction_id) do nothing
    returning capture_id into v_capture;
    if v_capture is null then
        outcome := 'repeated';
        doc := payment_doc(p.payment_id)::text;
        return;
    end if;
    select * into s from bill_state where bill_id = p.bill_id for update;
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
    perform receipt_issue(p.facility_id, p.visit_id, p.bill_id, v_capture, p_amount, p_captured_at);
    if p.state <> 'succeeded' then
        perform payment_enter(p, 'succeeded');
    end if;
    if v_applied < p_amount then        -- late success, or a second capture: kept as credit until it is refunded
        perform note_event('credit', p.visit_id, p.bill_id, p.payment_id, null, null, null, null,
                           jsonb_build_object('amount', yuan(p_amount - v_applied)));
        perform credit_apply(p.visit_id);
    end if;
    perform visit_settle(p.visit_id);
    outcome := 'done';
    doc := payment_doc(p.payment_id)::text;
end $$;

-- Captures of a batch, in one transaction: what notifications and queries bring. Sorted, so two batches lock in one order.
-- Returns the outcome, document and bill of each, in the order given.
create or replace function payment_captures(p_channel text[], p_merchant text[], p_out_trade_no text[], p_transaction_id text[],
    p_amount bigint[], p_captured_at timestamptz[]) returns table (ord bigint, outcome text, doc text)
language plpgsql security definer set search_path from current as $$
declare
    c record;
begin
    -- visits first, in their order, as everywhere
    perform 1 from visit v
      where v.visit_id in (select p.visit_id from payment p where p.out_trade_no = any (p_out_trade_no))
      order by v.visit_id for no key update;
    for c in select t.* from unnest(p_channel, p_merchant, p_out_trade_no, p_transaction_id, p_amount, p_captured_at)
                    with ordinality t (channel, merchant, out_trade_no, transaction_id, amount, captured_at, ord)
               left join payment p on p.out_trade_no = t.out_trade_no
              order by p.facility_id, t.out_trade_no, t.ord loop      -- receipt counters are taken facility by facility
        ord := c.ord;
        select r.outcome, r.doc into outcome, doc
          from payment_capture(c.channel, c.merchant, c.out_trade_no, c.transaction_id, c.amount, c.captured_at) r;
        return next;
    end loop;
end $$;

-- Debit the channel, credit what patients owe and, for the rest, what is owed to them.
create or replace function capture_journal(p_visit bigint, p_bill bigint, p_capture bigint, p_account text, p_amount bigint, p_applied bigint)
returns void language plpgsql as $$
begin
    insert into journal (kind, visit_id, bill_id, capture_id, accounts, amounts)
    select 'capture', p_visit, p_bill, p_capture, array_prepend(p_account, array_agg(account)), array_prepend(p_amount, array_agg(-amount))
      from (values ('receivable', p_applied), ('credit', p_amount - p_applied)) t (account, amount) where amount > 0;
end $$;

create or replace function receipt_issue(p_facility int, p_visit bigint, p_bill bigint, p_capture bigint, p_amount bigint, p_at timestamptz)
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
    p_at timestamptz, p_digest uuid, p_patient_no text, p_patient_name text, p_class text) returns text
language plpgsql as $$
declare
    v_visit bigint := (visits_lock(array[p_facility], array[p_visit_no], array[p_class], array[p_patient_no], array[p_patient_name]))[1];
    v_id text := p_feed || '/' || p_facility || '/' || p_visit_no || '/' || p_source_line;
    v_old uuid;
    v_capture bigint;
    v_outcome text := 'posted';
begin
    select digest into v_old from capture where channel = 'elsewhere' and transaction_id = v_id;
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
        perform visit_settle(v_visit);
    end if;
    perform intake_count(array[p_feed], array[v_outcome]);
    return v_outcome;
end $$;

-- Claims live attempts that are due for a look at the channel, and sets when the next look is, doubling up to a minute.
create or replace function payments_due(p_limit int) returns table (payment_id bigint, channel text, merchant text, out_trade_no text,
    state text, expired boolean, age_s bigint, shown boolean)
language sql security definer set search_path from current as $$
    update payment p set checks = p.checks + 1, next_check_at = now() + least(interval '60 s', interval '5 s' * power(2, least(p.checks, 4)))
      from (select d.payment_id from payment d
             where d.state in ('created', 'pending', 'unknown') and d.next_check_at <= now()
             order by d.next_check_at limit p_limit for update skip locked) due
     where p.payment_id = due.payment_id
    returning p.payment_id, p.channel, p.merchant, p.out_trade_no, p.state, p.expires_at <= now(),
              extract(epoch from now() - p.created_at)::bigint, p.code_url is not null
$$;

-- The payer gave up: what the daemon needs to close the order at the channel. The attempt ends only when the channel says so.
create or replace function payment_cancel(p_payment text, p_facilities text[], out outcome text, out doc text, out payment_id bigint,
    out channel text, out merchant text, out out_trade_no text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
begin
    select pay.* into p from payment pay join facility f using (facility_id)
     where public_id = p_payment and (p_facilities is null or f.code = any (p_facilities)) for update of pay;
    if not found then
        outcome := 'payment_unknown';
        return;
    end if;
    outcome := case when p.state in ('created', 'pending', 'unknown') then 'done' when p.state = 'succeeded' then 'payment_succeeded'
                    else 'replayed' end;
    doc := case when outcome <> 'payment_succeeded' then payment_doc(p.payment_id)::text end;
    payment_id := p.payment_id;
    channel := p.channel;
    merchant := p.merchant;
    out_trade_no := p.out_trade_no;
end $$;
