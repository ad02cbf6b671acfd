-- Payments: an attempt is created against a bill and its version, and ends once: succeeded, closed or failed. The money is in 51_captures.sql.
-- Lock order everywhere: visit, then payment, then bill_state, then the receipt counter.

-- Moves an attempt to another state and says so in event. The caller has locked it.
create or replace function payment_enter(p payment, p_to text, p_reason text default null) returns void language plpgsql as $$
begin
    update payment set state = p_to, reason = coalesce(p_reason, reason) where payment_id = p.payment_id;
    perform note_event('payment', p.visit_id, p.bill_id, p.payment_id, p.state, p_to, null, null,
                       case when p_reason is not null then jsonb_build_object('reason', p_reason) end);
end $$;

-- Creates an attempt and reserves its amount on the bill, or says why not. The client's key makes it happen once: the same key and
-- digest again is 'replayed', another digest 'idempotency_mismatch'. Where it is refused, description says what is owed. What the
-- key has made at a facility that the scope does not cover any more is not shown. Cash is captured here as well, so its attempt is born and ends in one transaction; another channel's
-- has no document yet: its order comes first.
create or replace function payment_create(p_bill text, p_version int, p_channel text, p_merchant text, p_amount bigint, p_client text,
    p_key text, p_digest uuid, p_lifetime interval, p_scope text[], out outcome text, out doc text,
    out payment_id bigint, out out_trade_no text, out description text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
    b record;
begin
    -- one creator per key at a time: the second one then finds the first one's row
    perform pg_advisory_xact_lock(hashtextextended(p_client || chr(10) || p_key, 7));
    -- the lock is written down, so that what is answered waits for the standby: the first one may not have, and have been given up
    select * into p from payment where client = p_client and idempotency_key = p_key for key share;
    if found then
        if not in_scope(p_scope, (select code from facility f where f.facility_id = p.facility_id)) then
            outcome := 'bill_unknown';
            return;
        end if;
        outcome := case when p.request_digest = p_digest then 'replayed' else 'idempotency_mismatch' end;
        doc := case when p.request_digest = p_digest then payment_doc(p.payment_id)::text end;
        payment_id := p.payment_id;
        return;
    end if;
    select b.bill_id, b.visit_id, b.facility_id, b.bill_no, coalesce(nullif(f.name, ''), f.code) as place, s.state, s.version, s.live,
           s.total - s.paid - s.credited as owed into b
      from bill b join facility f using (facility_id) join visit v using (visit_id) join bill_state s using (bill_id)
     where b.public_id = p_bill and in_scope(p_scope, f.code) for no key update of v, s;
    if not found then
        outcome := 'bill_unknown';
        return;
    end if;
    outcome := case when b.state = 'void' then 'bill_void'
                    when b.state = 'settled' or b.owed <= 0 then 'bill_settled'
                    when p_version is not null and p_version <> b.version then 'bill_changed'
                    when p_amount > b.owed then 'amount_exceeds'
                    when p_amount > b.owed - b.live then 'payment_in_progress' end;
    if outcome is not null then
        description := format('owed %s, of which %s is in progress; the bill''s version is %s', yuan(b.owed), yuan(b.live), b.version);
        return;
    end if;
    with reserved as (
        update bill_state set live = live + p_amount where bill_id = b.bill_id
    ), attempt as (
        insert into payment (public_id, facility_id, visit_id, bill_id, bill_version, channel, merchant, amount, state, out_trade_no, client,
                             idempotency_key, request_digest, expires_at, next_check_at)
        values (random_id(), b.facility_id, b.visit_id, b.bill_id, b.version, p_channel, p_merchant, p_amount, 'created', random_id(),
                p_client, p_key, p_digest, now() + p_lifetime, now() + interval '20 s')
        returning payment_id, out_trade_no
    ), noted as (
        insert into event (kind, visit_id, bill_id, payment_id, to_state)
        select 'payment', b.visit_id, b.bill_id, a.payment_id, 'created' from attempt a
    )
    select a.payment_id, a.out_trade_no into payment_id, out_trade_no from attempt a;
    if p_channel = 'cash' then
        perform payment_capture('cash', '', out_trade_no, out_trade_no, p_amount, now());
        doc := payment_doc(payment_id)::text;
    end if;
    outcome := 'done';
    description := b.place || ' ' || b.bill_no;
end $$;

-- The channel took the order: its code can be shown. An attempt that ended meanwhile stays as it is.
create or replace function payment_pending(p_payment bigint, p_code_url text, out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
begin
    with was as (
        select payment_id, state from payment where payment_id = p_payment for update
    ), taken as (
        update payment p set code_url = coalesce(p_code_url, code_url), next_check_at = now() + interval '30 s',
                             state = case when p.state in ('created', 'unknown') then 'pending' else p.state end
          from was where p.payment_id = was.payment_id
    )
    insert into event (kind, visit_id, bill_id, payment_id, from_state, to_state)
    select 'payment', p.visit_id, p.bill_id, p.payment_id, was.state, 'pending'
      from was join payment p using (payment_id) where was.state in ('created', 'unknown');
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
        perform visits_settle(array[p.visit_id]);
    end if;
    outcome := 'done';
    doc := payment_doc(p_payment)::text;
end $$;

-- Claims live attempts that are due for a look at the channel, and sets when the next look is, doubling up to a minute.
create or replace function payments_due(p_limit int) returns table (payment_id bigint, channel text, merchant text, out_trade_no text,
    state text, expired boolean, age_s bigint, shown boolean)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
        update payment p set checks = p.checks + 1, next_check_at = now() + least(interval '60 s', interval '5 s' * power(2, least(p.checks, 4)))
          from (select d.payment_id from payment d
                 where d.state in ('created', 'pending', 'unknown') and d.next_check_at <= now()
                 order by d.next_check_at limit p_limit for update skip locked) due
         where p.payment_id = due.payment_id
        returning p.payment_id, p.channel, p.merchant, p.out_trade_no, p.state::text, p.expires_at <= now(),
                  extract(epoch from now() - p.created_at)::bigint, p.code_url is not null;
end $$;

-- The payer gave up: what the daemon needs to close the order at the channel. The attempt ends only when the channel says so.
create or replace function payment_cancel(p_payment text, p_scope text[], out outcome text, out doc text, out payment_id bigint,
    out channel text, out merchant text, out out_trade_no text)
language plpgsql security definer set search_path from current as $$
#variable_conflict use_column
declare
    p payment;
begin
    select pay.* into p from payment pay join facility f using (facility_id)
     where public_id = p_payment and in_scope(p_scope, f.code) for update of pay;
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
