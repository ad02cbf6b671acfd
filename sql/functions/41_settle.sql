-- Closing that no message asks for: settle now, and the rules of the house.

-- The feeds that a bill would wait for and that have said nothing as new as p_time: their lines may still be on the way.
create or replace function feeds_silent(p_facility int, p_time timestamptz) returns text[] language sql stable as $$
    select coalesce(array_agg(f.name order by f.name), '{}')
      from feed f left join feed_watermark w using (feed_id)
     where f.facility_id = p_facility and f.waits and f.active and coalesce(w.mark, '-infinity') < p_time
$$;

-- Settle now: issues a bill over the lines so far. An open visit stays open, and what comes later goes to a later bill; one that is discharged is closed
-- without waiting for its feeds any longer, and late lines of a closed one get their supplement at once. Said twice, the second time finds no new lines
-- and issues nothing. doc: the visit's bills, the new one's id (null: none), and the feeds that are behind by more than a minute. p_by: who asked. Locks
-- the visit, then its bills.
create or replace function visit_settle(p_facility text, p_visit_no text, p_by text, p_scope text[], out outcome text, out doc text)
language plpgsql security definer set search_path from current as $$
declare
    v visit;
    v_silent text[];
    v_bill bigint;
begin
    v := visit_seen(p_facility, p_visit_no, p_scope);
    select * into v from visit where visit_id = v.visit_id for no key update;
    outcome := case when not found then 'visit_unknown' when v.state = 'cancelled' then 'visit_cancelled' when v.state = 'merged' then 'visit_merged' else 'done' end;
    if outcome <> 'done' then
        return;
    end if;
    v_silent := case when v.state = 'discharged' then feeds_behind(v) else feeds_silent(v.facility_id, now() - interval '1 minute') end;
    v_bill := bill_issue(v.visit_id, v_silent, v.state = 'open');
    perform visits_settle(array[v.visit_id], true);
    perform note_event('visit_settle', v.visit_id, v_bill, null, v.state, (select state from visit where visit_id = v.visit_id), null, null,
                       jsonb_build_object('by', p_by, 'feeds_behind', v_silent));
    doc := ((select b.doc from visit_bills(p_facility, v.visit_no, p_scope) b)::jsonb
            || jsonb_build_object('bill', (select public_id from bill where bill_id = v_bill), 'feeds_behind', v_silent))::text;
end $$;

-- Ends the visits that a close rule ends, at most p_limit: they are discharged as of now, and billed as others are. Looks only at those whose time has come, and
-- where something was booked or told since, says when that is again. Locks the visits that nobody has, others come later. Returns how many it looked at and ended.
create or replace function visits_end(p_limit int, out looked int, out ended int)
language plpgsql security definer set search_path from current as $$
declare
    e record;
    v_end timestamptz;
    v_until constant timestamptz := clock_timestamp() + nullif(current_setting('statement_timeout')::interval, interval '0') / 4;     -- what is done stays done
begin
    looked := 0;
    ended := 0;
    for e in
        select v.visit_id, v.state, v.opened_at, r as rule, r.facility_id is not null as ruled
          from visit_ending n join visit v using (visit_id) left join close_rule r on r.facility_id = v.facility_id and r.class = v.class
         where n.look_at <= now() order by n.look_at limit p_limit for no key update of v skip locked
    loop
        looked := looked + 1;
        v_end := now();
        if e.ruled and (e.rule).idle is not null then
            v_end := close_rule_end(e.rule, greatest(e.opened_at, (select max(posted_at) from charge where visit_id = e.visit_id),
                                                     (select max(at) from event where visit_id = e.visit_id)));
        end if;
        if e.state <> 'open' or not e.ruled then
            delete from visit_ending where visit_id = e.visit_id;
        elsif v_end > now() then
            update visit_ending set look_at = v_end where visit_id = e.visit_id;
        else
            update visit set state = 'discharged', discharged_at = now(), discharge_seen_at = now(), discharge_feed = null where visit_id = e.visit_id;
            perform note_event('visit', e.visit_id, null, null, 'open', 'discharged', null, null,
                               jsonb_build_object('rule', coalesce('idle ' || (e.rule).idle, 'daily ' || (e.rule).daily)));
            ended := ended + 1;
        end if;
        exit when clock_timestamp() > v_until;
    end loop;
end $$;
