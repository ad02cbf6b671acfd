-- The JSON documents that the API shows. Amounts are strings of yuan; ids are the public ones.

create or replace function bill_summary(p_bill bigint) returns json language plpgsql stable as $$
begin
    return (
    select json_build_object('bill', b.public_id, 'bill_no', b.bill_no, 'kind', b.kind, 'state', s.state, 'version', s.version,
        'issued_at', iso_time(b.issued_at), 'due_at', iso_time(b.due_at), 'total', yuan(b.total), 'paid', yuan(s.paid),
        'credited', yuan(s.credited), 'in_progress', yuan(s.live),
        'outstanding', yuan(case when s.state = 'void' then 0 else s.total - s.paid - s.credited end))
      from bill b join bill_state s using (bill_id) where b.bill_id = p_bill);
end $$;

-- What a visit of its class may run up at its facility; more is flagged, never refused.
create or replace function visit_limit(v visit) returns bigint language sql stable as $$
    select case when v.class = 'inpatient' then inpatient_limit else outpatient_limit end from facility where facility_id = v.facility_id
$$;

create or replace function visit_flags(v visit) returns text[] language sql stable as $$
    select array_remove(array[case when v.provisional then 'provisional' end, case when v.total > visit_limit(v) then 'over_limit' end,
                              case when v.overdue then 'overdue' end, case when v.disputed then 'disputed' end], null)
$$;

-- The visit that a caller names, by any of its numbers; null where it is out of scope, there is none, or there are several.
create or replace function visit_seen(p_facility text, p_visit_no text, p_scope text[]) returns visit language plpgsql stable as $$
declare
    v visit;
    v_facility int;
begin
    select visit.* into v from visit join facility f using (facility_id)
     where f.code = p_facility and visit_no = p_visit_no and in_scope(p_scope, f.code);
    if not found then
        select facility_id into v_facility from facility where code = p_facility and in_scope(p_scope, code);
        select * into v from visit where facility_id = v_facility and visit_no = visit_named(v_facility, p_visit_no, 'any', null);
    end if;
    return v;
end $$;

create or replace function visit_doc(p_facility text, p_visit_no text, p_scope text[], out outcome text, out doc text)
language plpgsql stable security definer set search_path from current as $$
declare
    v visit;
begin
    v := visit_seen(p_facility, p_visit_no, p_scope);
    if v.visit_id is null then
        outcome := 'visit_unknown';
        return;
    end if;
    outcome := 'done';
    doc := json_build_object('facility', p_facility, 'visit_no', v.visit_no, 'class', v.class, 'state', v.state,
        'flags', visit_flags(v), 'total', yuan(v.total), 'lines', v.line_count, 'credit_limit', yuan(visit_limit(v)),
        'patient', json_build_object('patient_no', v.patient_no, 'name', v.patient_name, 'birth_date', v.birth_date, 'sex', v.sex),
        'department', v.department, 'location', v.location,
        'admitted_at', iso_time(v.admitted_at), 'discharged_at', iso_time(v.discharged_at),
        'merged_into', (select m.visit_no from visit m where m.visit_id = v.merged_into),
        'numbers', (select coalesce(json_agg(json_build_object('kind', n.kind, 'number', n.number) order by n.kind, n.number), '[]')
                      from visit_number n where n.visit_id = v.visit_id),
        'bills', (select coalesce(json_agg(bill_summary(b.bill_id) order by b.sequence), '[]') from bill b where b.visit_id = v.visit_id))::text;
end $$;

create or replace function visit_bills(p_facility text, p_visit_no text, p_scope text[], out outcome text, out doc text)
language plpgsql stable security definer set search_path from current as $$
declare
    v visit;
begin
    v := visit_seen(p_facility, p_visit_no, p_scope);
    if v.visit_id is null then
        outcome := 'visit_unknown';
        return;
    end if;
    outcome := 'done';
    doc := json_build_object('facility', p_facility, 'visit_no', v.visit_no, 'state', v.state,
        'merged_into', (select m.visit_no from visit m where m.visit_id = v.merged_into),
        'outstanding', (select yuan(coalesce(sum(total - paid - credited), 0)::bigint) from bill_state where visit_id = v.visit_id and state <> 'void'),
        'bills', (select coalesce(json_agg(bill_summary(b.bill_id) order by b.sequence), '[]') from bill b where b.visit_id = v.visit_id))::text;
end $$;

-- One bill, with its lines where asked. Where the lines are archived there are none, and lines_archived says in which file; they are of no open bill. Built in one statement: it is the query that kiosks send all day.
create or replace function bill_doc(p_bill text, p_lines boolean, p_scope text[]) returns table (outcome text, doc text)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
    select 'done', json_build_object('bill', b.public_id, 'bill_no', b.bill_no, 'kind', b.kind, 'facility', f.code, 'visit_no', v.visit_no,
        'patient', json_build_object('patient_no', v.patient_no, 'name', v.patient_name),
        'state', s.state, 'version', s.version, 'issued_at', iso_time(b.issued_at), 'due_at', iso_time(b.due_at),
        'total', yuan(b.total), 'paid', yuan(s.paid), 'credited', yuan(s.credited), 'in_progress', yuan(s.live),
        'outstanding', yuan(case when s.state = 'void' then 0 else s.total - s.paid - s.credited end),
        'line_count', coalesce(b.last_line - b.first_line + 1, 0), 'silent_feeds', b.silent_feeds,
        'categories', (select coalesce(json_agg(json_build_object('category', k.code, 'name', k.name, 'amount', yuan(n.amount)) order by n.ord), '[]')
                         from unnest(b.subtotals) with ordinality n (amount, ord) join category k on k.category = n.ord where n.amount <> 0),
        'lines', case when p_lines and archived.in_file is null then bill_lines(b.visit_id, b.first_line, b.last_line) end,
        'lines_archived', archived.in_file)::text
      from bill b join bill_state s using (bill_id) join facility f using (facility_id) join visit v on v.visit_id = b.visit_id
     cross join lateral (select case when s.state <> 'open' then archive_of(b.visit_id) end as in_file) archived
     where b.public_id = p_bill and in_scope(p_scope, f.code);
end $$;

create or replace function bill_lines(p_visit bigint, p_first int, p_last int) returns json language plpgsql stable as $$
begin
    return (
    select coalesce(json_agg(json_build_object('line_no', c.line_no, 'feed', d.name, 'source_line', c.source_line, 'kind', c.kind,
               'code', c.item_code, 'name', c.item_name, 'category', k.code, 'class', c.class, 'unit', c.unit,
               'quantity', decimal_text(c.quantity_e4, 4), 'unit_price', decimal_text(c.unit_price_e6, 6), 'amount', yuan(c.amount),
               'charged_at', iso_time(c.charged_at), 'department', c.department, 'performer', c.performer, 'orderer', c.orderer,
               'order_no', c.order_no, 'reverses', c.reverses_line, 'sent_as', nullif(c.sent_as, ''), 'warning', c.warning) order by c.line_no), '[]')
      from charge c join category k using (category) join feed d using (feed_id)
     where c.visit_id = p_visit and c.line_no between p_first and p_last);
end $$;

create or replace function payment_doc(p_payment bigint) returns json language plpgsql stable as $$
begin
    return (
    select json_build_object('payment', p.public_id, 'bill', b.public_id, 'bill_no', b.bill_no, 'bill_version', p.bill_version, 'channel', p.channel,
        'amount', yuan(p.amount), 'state', p.state, 'reason', p.reason, 'code_url', case when p.state in ('pending', 'unknown') then p.code_url end,
        'created_at', iso_time(p.created_at), 'expires_at', iso_time(p.expires_at),
        'receipt', (select r.public_id from receipt r join capture c using (capture_id) where c.payment_id = p.payment_id order by r.receipt_id limit 1))
      from payment p join bill b using (bill_id) where p.payment_id = p_payment);
end $$;

create or replace function payment_get(p_payment text, p_scope text[]) returns table (outcome text, doc text)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
    select 'done', payment_doc(p.payment_id)::text from payment p join facility f using (facility_id)
     where p.public_id = p_payment and in_scope(p_scope, f.code);
end $$;

create or replace function receipt_get(p_receipt text, p_scope text[]) returns table (outcome text, doc text)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
    select 'done', json_build_object('receipt', r.public_id, 'receipt_no', f.code || '-' || r.year || '-' || lpad(r.number::text, 6, '0'),
        'facility', f.code, 'facility_name', f.name, 'visit_no', v.visit_no, 'patient', json_build_object('patient_no', v.patient_no, 'name', v.patient_name),
        'bill', b.public_id, 'bill_no', b.bill_no, 'bill_total', yuan(b.total), 'channel', c.channel, 'transaction_id', c.transaction_id,
        'amount', yuan(r.amount), 'paid_at', iso_time(c.captured_at), 'issued_at', iso_time(r.issued_at),
        'categories', (select coalesce(json_agg(json_build_object('category', k.code, 'name', k.name, 'amount', yuan(n.amount)) order by n.ord), '[]')
                         from unnest(b.subtotals) with ordinality n (amount, ord) join category k on k.category = n.ord where n.amount <> 0))::text
      from receipt r join capture c using (capture_id) join facility f using (facility_id) join bill b using (bill_id)
      join visit v on v.visit_id = r.visit_id
     where r.public_id = p_receipt and in_scope(p_scope, f.code);
end $$;

-- What waiting kiosks are told: of the bills given those whose version is another than the one known, by their position, which counts from 1. A bill that
-- is not there to see has version null; known as 0, which is no bill's version, it is not told again. One that did not change costs a look at its keys and
-- no document.
create or replace function bills_watch(p_bill text[], p_version int[], p_scope text[]) returns table (ord int, version int, doc text)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
    select x.ord::int, s.version, case when s.version is not null then json_build_object('bill', b.public_id, 'state', s.state, 'version', s.version,
               'paid', yuan(s.paid), 'outstanding', yuan(case when s.state = 'void' then 0 else s.total - s.paid - s.credited end))::text end
      from unnest(p_bill, p_version) with ordinality x (bill, known, ord)
      left join (bill b join bill_state s using (bill_id) join facility f using (facility_id)) on b.public_id = x.bill and in_scope(p_scope, f.code)
     where coalesce(s.version, 0) is distinct from x.known;
end $$;
