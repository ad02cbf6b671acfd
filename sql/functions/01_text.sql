-- Numbers and ids as the wire shows them.

-- Fen to yuan with two decimals. Null gives null, but it is not strict, and number || text is avoided: either keeps it from being inlined, and a
-- call would cost as much as a statement.
create or replace function yuan(fen bigint) returns text language sql immutable parallel safe as $$
    select case when fen < 0 then '-' else '' end || (abs(fen) / 100)::text || '.' || lpad((abs(fen) % 100)::text, 2, '0')
$$;

-- A scaled integer without its trailing zeros: 15000 at 4 is 1.5.
create or replace function decimal_text(scaled bigint, digits int) returns text
language sql immutable strict parallel safe as $$
    select trim_scale(scaled / power(10::numeric, digits))::text
$$;

create or replace function iso_time(t timestamptz) returns text language sql stable strict parallel safe as $$
    select to_char(t, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM')
$$;

-- 122 random bits as 32 hex digits: ids that cannot be guessed, and order numbers (at most 32 characters).
create or replace function random_id() returns text language sql volatile as $$
    select replace(gen_random_uuid()::text, '-', '')
$$;

create or replace function note_event(p_kind text, p_visit bigint, p_bill bigint, p_payment bigint,
    p_from text, p_to text, p_feed int default null, p_message text default null, p_detail jsonb default null)
returns void language plpgsql as $$   -- plpgsql here and below where a plan is worth keeping: SQL functions plan anew in each call
begin
    insert into event (kind, visit_id, bill_id, payment_id, from_state, to_state, feed_id, message_id, detail)
    values (p_kind, p_visit, p_bill, p_payment, p_from, p_to, p_feed, p_message, p_detail);
end $$;

-- The sum that CHECK constraints of bills and journal entries take; no query, because it runs once a row. Null elements count as nothing.
create or replace function total_of(numbers bigint[]) returns bigint language plpgsql immutable strict parallel safe as $$
declare
    v_total bigint := 0;
    v_number bigint;
begin
    foreach v_number in array numbers loop
        v_total := v_total + coalesce(v_number, 0);
    end loop;
    return v_total;
end $$;

-- Every outcome that a function gives: of a line, an event, an entry of a price list, a capture, a request. is_done: it is, now or before; of the others
-- nothing was booked. proto/outcome.h has the same names, and scripts/outcomes.py finds a function that gives another one.
create or replace function outcomes() returns table (name text, is_done boolean) language sql immutable parallel safe as $$
    select name, true from unnest(array[
        'posted', 'late', 'duplicate', 'done', 'repeated', 'replayed'
    ]) name
    union all
    select name, false from unnest(array[
        'held', 'conflict', 'reversal_exceeds', 'reversal_of_reversal', 'price_unknown', 'amount_negative', 'amount_too_large', 'implausible_visit',
        'implausible_day', 'total_negative',
        'visit_unknown', 'visit_ambiguous', 'visit_cancelled', 'patient_mismatch', 'visit_merged', 'visit_closed', 'visit_archived',
        'visit_has_charges', 'visit_paid', 'merge_other', 'merge_self', 'item_unknown', 'item_incomplete', 'bill_unknown', 'bill_void',
        'bill_settled', 'bill_changed', 'amount_exceeds', 'idempotency_mismatch', 'payment_in_progress', 'payment_unknown', 'payment_succeeded',
        'order_unknown', 'merchant_mismatch', 'amount_mismatch', 'quarantine_unknown', 'lookalike_unknown'
    ]) name
$$;
