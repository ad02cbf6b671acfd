-- Charges that look like duplicates: a service charged twice, by two feeds or under two ids. Nothing is refused for it; they are listed for a person.

-- Keeps the lines of a bill that look like another one of the same patient: with the same code, day, quantity and sign, on the same visit or on one of the
-- patient's twenty newest at the facility. Each is kept with the nearest before it, so that ten of a kind are nine pairs. Lines that take others back, that a
-- merge moved away or that were taken back as a whole look like nothing. Reads these visits' lines by their key. Returns how many are new.
create or replace function lookalikes_of(p_bill bigint) returns bigint language plpgsql as $$
declare
    b bill;
    v visit;
    v_ids bigint[];
    v_new bigint;
begin
    select * into b from bill where bill_id = p_bill;
    select * into v from visit where visit_id = b.visit_id;
    if v.state in ('merged', 'cancelled') or b.first_line is null then
        return 0;
    end if;
    v_ids := array[v.visit_id] || coalesce((select array_agg(visit_id) from (
        select visit_id from visit o where o.patient_no = v.patient_no and o.facility_id = v.facility_id and o.visit_id <> v.visit_id
           and o.state not in ('merged', 'cancelled') order by visit_id desc limit 20) newest), '{}');
    with days as (
        select min(charged_at::date) as first_day, max(charged_at::date) as last_day
          from charge where visit_id = v.visit_id and line_no between b.first_line and b.last_line
    ), back as (
        select visit_id, feed_id, reverses_line, reverses_as, -sum(amount) as amount
          from charge where visit_id = any (v_ids) and reverses_line is not null group by visit_id, feed_id, reverses_line, reverses_as
    ), line as (
        select c.visit_id, c.line_no, c.item_code, c.charged_at::date as day, c.quantity_e4, c.amount < 0 as negative
          from days d join charge c on c.visit_id = any (v_ids) and c.charged_at >= d.first_day and c.charged_at < d.last_day + 1
          left join back r on r.visit_id = c.visit_id and r.feed_id = c.feed_id and r.reverses_line = c.source_line and r.reverses_as = c.sent_as
         where c.item_code is not null and c.reverses_line is null and c.feed_id <> 0 and (c.amount = 0 or r.amount is null or r.amount < c.amount)
    ), pair as (
        select visit_id, line_no, lag(visit_id) over alike as other_visit_id, lag(line_no) over alike as other_line_no
          from line window alike as (partition by item_code, day, quantity_e4, negative order by visit_id, line_no)
    ), kept as (
        insert into lookalike (facility_id, visit_id, line_no, other_visit_id, other_line_no)
        select v.facility_id, visit_id, line_no, other_visit_id, other_line_no from pair
         where other_line_no is not null and ((visit_id = v.visit_id and line_no between b.first_line and b.last_line)
                                               or (other_visit_id = v.visit_id and other_line_no between b.first_line and b.last_line))
         order by visit_id, line_no
        on conflict do nothing
        returning facility_id, lookalike_id
    ), waiting as (
        insert into lookalike_waiting (facility_id, lookalike_id) select facility_id, lookalike_id from kept
    )
    select count(*) into v_new from kept;
    return v_new;
end $$;

-- Looks at the lines of bills that were issued since, at most p_limit of them, each once; those that another session has are left to it. A bill that cannot
-- be looked at now is put aside for a minute. Ends, as visits_close does, before the time that a statement may take. Locks their rows of lookalike_due.
create or replace function lookalikes_find(p_limit int, out looked int, out pairs bigint, out failed int)
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_bill bigint;
    v_until constant timestamptz := clock_timestamp() + nullif(current_setting('statement_timeout')::interval, interval '0') / 4;
begin
    looked := 0;
    pairs := 0;
    failed := 0;
    for v_bill in
        select bill_id from lookalike_due where failed_at is null or failed_at < now() - interval '1 minute'
         order by failed_at nulls first, bill_id limit p_limit for update skip locked
    loop
        begin
            pairs := pairs + lookalikes_of(v_bill);
            delete from lookalike_due where bill_id = v_bill;
        exception when others then
            raise warning 'the lines of bill % cannot be looked at: %', v_bill, sqlerrm;
            update lookalike_due set failed_at = now() where bill_id = v_bill;
            failed := failed + 1;
        end;
        looked := looked + 1;
        exit when clock_timestamp() > v_until;
    end loop;
end $$;

-- One of the two lines; of a visit that is archived its place alone.
create or replace function lookalike_line(p_visit bigint, p_line int) returns json language plpgsql stable as $$
begin
    return (select json_build_object('visit_no', v.visit_no, 'line_no', p_line, 'feed', f.name, 'source_line', c.source_line, 'name', c.item_name,
                'department', c.department, 'performer', c.performer, 'amount', yuan(c.amount), 'charged_at', iso_time(c.charged_at), 'posted_at', iso_time(c.posted_at),
                'taken_back', yuan(-(select coalesce(sum(r.amount), 0)::bigint from charge r where r.visit_id = c.visit_id and r.feed_id = c.feed_id
                                        and r.reverses_line = c.source_line and r.reverses_as = c.sent_as)))
              from visit v left join charge c on c.visit_id = v.visit_id and c.line_no = p_line left join feed f using (feed_id) where v.visit_id = p_visit);
end $$;

-- A page of them, oldest first, those after p_after. p_state: waiting, or all. next: the id after which there may be more.
create or replace function lookalike_list(p_state text, p_limit int, p_after bigint, p_scope text[], out outcome text, out doc text)
language plpgsql stable security definer set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_ids bigint[];
begin
    select array_agg(lookalike_id) into v_ids from (
        select n.lookalike_id from facility f cross join lateral (
            select lookalike_id from lookalike_waiting w
             where p_state = 'waiting' and w.facility_id = f.facility_id and lookalike_id > p_after order by lookalike_id limit p_limit) n
         where in_scope(p_scope, f.code)
        union all
        select n.lookalike_id from facility f cross join lateral (
            select lookalike_id from lookalike l
             where p_state = 'all' and l.facility_id = f.facility_id and lookalike_id > p_after order by lookalike_id limit p_limit) n
         where in_scope(p_scope, f.code)
        order by lookalike_id limit p_limit) page;
    outcome := 'done';
    doc := json_build_object(
        'lookalikes', (select coalesce(json_agg(json_build_object('id', l.lookalike_id, 'found_at', iso_time(l.found_at), 'facility', f.code,
                           'patient_no', v.patient_no, 'code', c.item_code, 'day', to_char(c.charged_at, 'YYYY-MM-DD'), 'quantity', decimal_text(c.quantity_e4, 4),
                           'state', case when d.lookalike_id is null then 'waiting' else 'dismissed' end,
                           'by', d.dismissed_by, 'why', d.why, 'at', iso_time(d.at),
                           'lines', json_build_array(lookalike_line(l.other_visit_id, l.other_line_no), lookalike_line(l.visit_id, l.line_no)))
                           order by l.lookalike_id), '[]')
                         from lookalike l join facility f using (facility_id) join visit v using (visit_id)
                         left join charge c on c.visit_id = l.visit_id and c.line_no = l.line_no
                         left join lookalike_dismissal d using (lookalike_id) where l.lookalike_id = any (v_ids)),
        'next', case when cardinality(v_ids) = p_limit then v_ids[p_limit] end);
end $$;

-- Says that the two are no duplicate, or that it was put right: who, and why. done, repeated, or lookalike_unknown. Locked by its dismissal.
create or replace function lookalike_dismiss(p_id bigint, p_by text, p_why text, p_scope text[], out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
begin
    if not exists (select from lookalike join facility f using (facility_id) where lookalike_id = p_id and in_scope(p_scope, f.code)) then
        outcome := 'lookalike_unknown';
        return;
    end if;
    insert into lookalike_dismissal (lookalike_id, dismissed_by, why) values (p_id, p_by, p_why) on conflict do nothing;
    outcome := case when found then 'done' else 'repeated' end;
    delete from lookalike_waiting w using lookalike l where l.lookalike_id = p_id and (w.facility_id, w.lookalike_id) = (l.facility_id, p_id);
    doc := (select json_build_object('id', p_id, 'state', 'dismissed', 'by', dismissed_by, 'why', why, 'at', iso_time(at))
              from lookalike_dismissal where lookalike_id = p_id);
end $$;
