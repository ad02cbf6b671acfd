-- Closing: bills over a visit's unbilled lines, void notes, credit, and which visits are due.

-- Issues a bill over the lines after billed_line; p_interim: the visit stays open. The caller has locked the visit. A visit without unbilled lines gets
-- none. Books the receivable and the revenue, then applies the credit that the visit has. Returns the bill, or null.
create or replace function bill_issue(p_visit bigint, p_silent text[], p_interim boolean default false) returns bigint
language plpgsql as $$
declare
    v visit;
    v_subtotals bigint[];
    v_total bigint;
    v_first bigint;     -- documents the visit has had
    v_closing bigint;   -- those of this generation that a close issued
    v_bill bigint;
    v_kind text;
    v_no text;
begin
    select * into v from visit where visit_id = p_visit;
    if v.line_count = v.billed_line then
        return null;
    end if;
    select array_agg(coalesce(s.amount, 0) order by k.category), coalesce(sum(s.amount), 0) into v_subtotals, v_total
      from category k
      left join (select c.category, sum(c.amount)::bigint as amount from charge c
                  where c.visit_id = p_visit and c.line_no > v.billed_line group by c.category) s using (category);
    if v_total <> v.total - (select coalesce(sum(total), 0) from bill where visit_id = p_visit) then
        raise exception 'visit %: lines add up to % fen and the running total says otherwise', p_visit, v_total;
    end if;
    select count(*), count(*) filter (where generation = v.generation and kind <> 'void_note' and not interim) into v_first, v_closing
      from bill where visit_id = p_visit;
    v_kind := case when v_total < 0 then 'credit_note' when p_interim then 'interim' when v_closing > 0 then 'supplement' else 'bill' end;
    v_no := v.visit_no || case when p_interim then '/I' || (v_first + 1)
                               when v_closing = 0 then case when v.generation = 1 then '' else '/R' || v.generation end
                               else '/A' || v_closing || case when v.generation > 1 then 'R' || v.generation else '' end end;
    v_no := bill_number(v.facility_id, v_no);
    insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, interim, generation, first_line, last_line, prev_line, total,
                      subtotals, personal_cash, silent_feeds, due_at)
    select random_id(), v.facility_id, p_visit, v_first + 1, v_no, v_kind, p_interim, v.generation, v.billed_line + 1, v.line_count,
           nullif(v.billed_line, 0), v_total, v_subtotals, v_total, p_silent, now() + f.due_after
      from facility f where f.facility_id = v.facility_id
    returning bill_id into v_bill;
    insert into bill_state (bill_id, visit_id, state, total)
    values (v_bill, p_visit, case when v_total = 0 then 'settled' else 'open' end, v_total);
    insert into lookalike_due (bill_id) values (v_bill);
    insert into bill_due (bill_id, visit_id, due_at) select b.bill_id, p_visit, b.due_at from bill b where b.bill_id = v_bill and b.total > 0;
    update visit set billed_line = line_count, late_since = null where visit_id = p_visit;
    perform bill_journal('bill', p_visit, v_bill, v_total, v_subtotals);
    perform note_event('bill', p_visit, v_bill, null, null, 'issued', null, null,
                       jsonb_build_object('bill_no', v_no, 'kind', v_kind, 'total', yuan(v_total), 'silent_feeds', p_silent));
    perform credit_apply(p_visit);
    return v_bill;
end $$;

-- The number wanted, marked where a visit's own number reads like it. Two visits that race for one meet the unique key; the second one closes at
-- the next turn.
create or replace function bill_number(p_facility int, p_wanted text) returns text language plpgsql stable as $$
begin
    while exists (select from bill where facility_id = p_facility and bill_no = p_wanted) loop
        p_wanted := p_wanted || '*';
    end loop;
    return p_wanted;
end $$;

-- Debit what patients owe, credit revenue by category; a zero bill has no entry.
create or replace function bill_journal(p_kind text, p_visit bigint, p_bill bigint, p_total bigint, p_subtotals bigint[])
returns void language plpgsql as $$
begin
    insert into journal (kind, visit_id, bill_id, accounts, amounts)
    select p_kind, p_visit, p_bill, array_prepend('receivable', array_agg('revenue:' || k.code order by s.category)),
           array_prepend(p_total, array_agg(-s.amount order by s.category))
      from unnest(p_subtotals) with ordinality s (amount, category) join category k using (category)
     where s.amount <> 0
    having count(*) > 0;
end $$;

-- Voids the bills of the visit's generation, each by a note of the opposite amount; the lines wait to be billed anew. The caller
-- has locked the visit and seen that no bill has money or a live attempt on it.
create or replace function bills_void(p_visit bigint) returns void language plpgsql as $$
declare
    b bill;
    v_note bigint;
    v_sequence int;
begin
    for b in select bill.* from bill join bill_state s using (bill_id) where bill.visit_id = p_visit and s.state <> 'void'
                and bill.kind <> 'void_note' order by bill.sequence loop
        select count(*) + 1 into v_sequence from bill where visit_id = p_visit;
        insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, total, subtotals, personal_cash,
                          voids_bill_id, due_at)
        values (random_id(), b.facility_id, p_visit, v_sequence, bill_number(b.facility_id, b.bill_no || '/V'), 'void_note', b.generation, -b.total,
                (select array_agg(-n order by ord) from unnest(b.subtotals) with ordinality s (n, ord)), -b.total, b.bill_id, now())
        returning bill_id into v_note;
        insert into bill_state (bill_id, visit_id, state, total) values (v_note, p_visit, 'void', -b.total);
        update bill_state set state = 'void', version = version + 1 where bill_id = b.bill_id;
        perform bill_journal('void', p_visit, v_note, -b.total, (select subtotals from bill where bill_id = v_note));
        perform note_event('bill', p_visit, b.bill_id, null, 'issued', 'void');
    end loop;
    if found then
        update visit set billed_line = 0, generation = generation + 1 where visit_id = p_visit;
    end if;
end $$;

-- Uses what the visit has in credit (credit notes first, then captured money not applied) for its open bills, oldest first.
-- Live attempts keep their reserve. The caller has locked the visit; bill rows are locked in bill_id order.
create or replace function credit_apply(p_visit bigint) returns void language plpgsql as $$
declare
    v_bill bill_state;
    v_source record;
    v_amount bigint;
begin
    for v_bill in select * from bill_state where visit_id = p_visit and state = 'open' and total > 0 order by bill_id for update loop
        for v_source in
            select bill_id as credit_bill_id, null::bigint as capture_id, credited - total as rest
              from bill_state where visit_id = p_visit and state = 'open' and total < credited
            union all
            select null, c.capture_id, c.amount - (select coalesce(sum(a.amount), 0) from application a where a.capture_id = c.capture_id)
              from capture c where c.visit_id = p_visit
             order by capture_id nulls first, credit_bill_id
        loop
            v_amount := least(v_source.rest, v_bill.total - v_bill.paid - v_bill.credited - v_bill.live);
            continue when v_amount <= 0;
            insert into application (visit_id, bill_id, capture_id, credit_bill_id, amount)
            values (p_visit, v_bill.bill_id, v_source.capture_id, v_source.credit_bill_id, v_amount);
            if v_source.capture_id is not null then
                v_bill.paid := v_bill.paid + v_amount;
                insert into journal (kind, visit_id, bill_id, capture_id, accounts, amounts)
                values ('apply', p_visit, v_bill.bill_id, v_source.capture_id, array['credit', 'receivable'],
                        array[v_amount, -v_amount]);
            else
                v_bill.credited := v_bill.credited + v_amount;
                update bill_state set credited = credited - v_amount, version = version + 1,
                                      state = case when credited - v_amount = total then 'settled' else state end
                 where bill_id = v_source.credit_bill_id;
            end if;
            update bill_state set paid = v_bill.paid, credited = v_bill.credited, version = version + 1,
                                  state = case when v_bill.paid + v_bill.credited = total then 'settled' else state end
             where bill_id = v_bill.bill_id;
        end loop;
    end loop;
end $$;

-- The feeds that hold a visit's bill back: those of its facility that have not passed the discharge. A feed has when it sent something since it was learned of, and that is as new as the
-- discharge; the feed that told of it has said before what came before.
create or replace function feeds_behind(v visit) returns text[]
language plpgsql stable as $$
begin
    return (select coalesce(array_agg(f.name order by f.name), '{}')
              from feed f left join feed_watermark w using (feed_id)
             where f.facility_id = v.facility_id and f.waits and f.active
               and (coalesce(w.mark, '-infinity') < v.discharged_at
                    or (w.seen_at <= v.discharge_seen_at and f.feed_id is distinct from v.discharge_feed)));
end $$;

-- Closes what is due, at most p_limit visits: discharged ones whose feeds have all passed the discharge (see feeds_behind) or whose grace time
-- is over, and closed ones whose late lines have waited long enough. Visits that another session holds are left for the next
-- turn, and one that cannot be closed does not hold up the others: it is counted and tried again. On a server that is slow it ends before the
-- time that a statement may take, so that what is done stays done; without such a time it goes through all. Where there are many facilities, none of
-- them fills a turn. Locks the visits in the order taken; each then its bills. Returns the visits looked at, the bills issued and the visits that failed.
create or replace function visits_close(p_limit int, out visits int, out bills int, out failed int)
language plpgsql security definer set search_path from current as $$
declare
    v_next record;
    v_time constant interval := nullif(current_setting('statement_timeout')::interval, interval '0') / 4;
    v_until timestamptz;
    v_share int := greatest(25, least(2 * p_limit, 8 * p_limit / greatest(1, (select count(*)::int from facility))));      -- of a facility in a turn; some may be held
begin
    visits := 0;
    bills := 0;
    failed := 0;
    for v_next in
        with facility_mark as (
            -- of all feeds that bills wait for the oldest mark; the one seen longest ago, and the next: that one counts for a visit that the first has told of
            select f.facility_id, f.grace, f.late_grace, coalesce(min(coalesce(w.mark, '-infinity')) filter (where d.feed_id is not null), 'infinity') as mark,
                   (array_agg(d.feed_id order by w.seen_at nulls first, d.feed_id))[1] as first_feed,
                   coalesce((array_agg(coalesce(w.seen_at, '-infinity') order by w.seen_at nulls first, d.feed_id) filter (where d.feed_id is not null))[1], 'infinity') as first_seen,
                   coalesce((array_agg(coalesce(w.seen_at, '-infinity') order by w.seen_at nulls first, d.feed_id) filter (where d.feed_id is not null))[2], 'infinity') as next_seen
              from facility f left join feed d on d.facility_id = f.facility_id and d.waits and d.active left join feed_watermark w using (feed_id)
             group by f.facility_id
        ), due as (
            -- Of each facility what waits the longest, by ranges of visit_discharged and visit_late: what is not due yet costs nothing, however much it is.
            -- First what all feeds have passed; then the same of the visits that the feed silent for the longest has told of; those whose grace is over; and
            -- what failed before.
            select distinct d.* from facility_mark m cross join lateral (
                (select v.visit_id, true as discharged, v.close_failed_at, v.discharge_seen_at as since from visit v
                  where v.facility_id = m.facility_id and v.state = 'discharged' and v.close_failed_at is null
                    and v.discharge_seen_at < m.first_seen and v.discharged_at <= m.mark
                  order by v.close_failed_at nulls first, v.discharge_seen_at limit v_share)
                union all
                (select v.visit_id, true, v.close_failed_at, v.discharge_seen_at from visit v
                  where v.facility_id = m.facility_id and v.state = 'discharged' and v.close_failed_at is null
                    and v.discharge_feed = m.first_feed and v.discharge_seen_at >= m.first_seen and v.discharge_seen_at < m.next_seen and v.discharged_at <= m.mark
                  order by v.close_failed_at nulls first, v.discharge_seen_at limit v_share)
                union all
                (select v.visit_id, true, v.close_failed_at, v.discharge_seen_at from visit v
                  where v.facility_id = m.facility_id and v.state = 'discharged' and v.close_failed_at is null and v.discharge_seen_at < now() - m.grace
                  order by v.close_failed_at nulls first, v.discharge_seen_at limit v_share)
                union all
                (select v.visit_id, true, v.close_failed_at, v.discharge_seen_at from visit v
                  where v.facility_id = m.facility_id and v.state = 'discharged' and v.close_failed_at is not null
                    and (v.discharge_seen_at < now() - m.grace or v.discharged_at <= m.mark
                         and v.discharge_seen_at < case when v.discharge_feed = m.first_feed then m.next_seen else m.first_seen end)
                  order by v.close_failed_at, v.discharge_seen_at limit v_share)
                union all
                (select v.visit_id, false, v.close_failed_at, v.late_since from visit v
                  where v.facility_id = m.facility_id and v.late_since < now() - m.late_grace and v.state in ('billed', 'settled')
                  order by v.close_failed_at nulls first, v.late_since limit v_share)) d
        ), discharged as (
            select v.visit_id, true as discharged
              from due d join visit v using (visit_id)
             where d.discharged and v.state = 'discharged' and v.discharge_seen_at = d.since
             order by d.close_failed_at nulls first, d.since limit p_limit
               for no key update of v skip locked
        ), late as (
            select v.visit_id, false
              from due d join visit v using (visit_id)
             where not d.discharged and v.late_since = d.since and v.state in ('billed', 'settled')
             order by d.close_failed_at nulls first, d.since limit p_limit
               for no key update of v skip locked
        )
        select * from discharged union all select * from late
    loop
        v_until := coalesce(v_until, clock_timestamp() + v_time);       -- from the first one on: to find them may take a while, too
        begin
            if bill_issue(v_next.visit_id, case when v_next.discharged then (select feeds_behind(d) from visit d where d.visit_id = v_next.visit_id) else '{}' end)
               is not null then
                bills := bills + 1;
            end if;
            perform visits_settle(array[v_next.visit_id], true);
        exception when others then
            raise warning 'visit % cannot be closed: %', v_next.visit_id, sqlerrm;
            update visit set close_failed_at = now() where visit_id = v_next.visit_id;
            failed := failed + 1;
        end;
        visits := visits + 1;
        exit when clock_timestamp() > v_until;
    end loop;
end $$;

-- Flags visits whose bill is past its due time. Returns how many. Looks at bills that have become due only, each once; where its visit is open again it
-- is looked at again later. Locks the visits that nobody has, others come later.
create or replace function visits_overdue() returns bigint
language plpgsql security definer set search_path from current as $$
declare
    v_bills bigint[];
    v_late bigint;
begin
    select array_agg(bill_id) into v_bills
      from (select d.bill_id from bill_due d join visit v using (visit_id) where d.due_at < now()
             order by d.due_at limit 1000 for no key update of v skip locked) due;
    with owed as (
        select s.bill_id, s.visit_id, v.state = 'billed' as closed
          from bill_state s join visit v using (visit_id)
         where s.bill_id = any (v_bills) and s.state = 'open' and s.total > s.paid + s.credited
    ), later as (
        update bill_due set due_at = now() + interval '1 hour' where bill_id in (select bill_id from owed where not closed)
    ), done as (
        delete from bill_due where bill_id = any (v_bills) and bill_id not in (select bill_id from owed where not closed)
    ), late as (
        update visit v set overdue = true where v.visit_id in (select visit_id from owed where closed) and not v.overdue returning 1
    )
    select count(*) into v_late from late;
    return v_late;
end $$;
