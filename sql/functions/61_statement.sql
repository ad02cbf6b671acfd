-- The daily list (一日清单) that a patient must get: what was charged on a day, and where the visit stands.

-- The lines charged on p_day (of the hospital's zone), their subtotals by category, the total of that day and of all days up to it, what was paid in, and
-- what is on bills. A line counts for the day of its charge, whenever it came: posted_at says when, so that a list printed before it can be told from one after it.
create or replace function visit_statement(p_facility text, p_visit_no text, p_day date, p_scope text[], out outcome text, out doc text)
language plpgsql stable security definer set search_path from current as $$
declare
    v visit;
    v_day date := coalesce(p_day, current_date);
begin
    v := visit_seen(p_facility, p_visit_no, p_scope);
    if v.visit_id is null then
        outcome := 'visit_unknown';
        return;
    end if;
    outcome := 'done';
    doc := json_build_object('facility', p_facility, 'visit_no', v.visit_no, 'state', v.state, 'class', v.class,
        'patient', json_build_object('patient_no', v.patient_no, 'name', v.patient_name), 'department', v.department, 'location', v.location,
        'day', to_char(v_day, 'YYYY-MM-DD'),
        'lines', (select coalesce(json_agg(json_build_object('line_no', c.line_no, 'kind', c.kind, 'code', c.item_code, 'name', c.item_name, 'category', k.code,
                     'unit', c.unit, 'quantity', decimal_text(c.quantity_e4, 4), 'unit_price', decimal_text(c.unit_price_e6, 6), 'amount', yuan(c.amount),
                     'charged_at', iso_time(c.charged_at), 'posted_at', iso_time(c.posted_at)) order by c.category, c.charged_at, c.line_no), '[]')
                    from charge c join category k using (category)
                   where c.visit_id = v.visit_id and c.charged_at >= v_day and c.charged_at < v_day + 1),
        'categories', (select coalesce(json_agg(json_build_object('category', k.code, 'name', k.name, 'amount', yuan(s.amount)) order by k.category), '[]')
                         from (select c.category, sum(c.amount)::bigint as amount from charge c
                                where c.visit_id = v.visit_id and c.charged_at >= v_day and c.charged_at < v_day + 1 group by c.category) s join category k using (category)),
        'day_total', (select yuan(coalesce(sum(amount), 0)::bigint) from charge c
                       where c.visit_id = v.visit_id and c.charged_at >= v_day and c.charged_at < v_day + 1),
        'running_total', (select yuan(coalesce(sum(amount), 0)::bigint) from charge c where c.visit_id = v.visit_id and c.charged_at < v_day + 1),
        'total', yuan(v.total),
        'billed', (select yuan(coalesce(sum(total), 0)::bigint) from bill where visit_id = v.visit_id),
        'paid_in', (select yuan(coalesce(sum(amount), 0)::bigint) from capture where visit_id = v.visit_id),
        'lines_archived', archive_of(v.visit_id))::text;
end $$;
