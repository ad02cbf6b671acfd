-- The books and their audit: every figure recomputed from rows.

-- The invariants of the ledger, one row each: how many rows break it and by how much money (fen). Those that hold visit by visit are looked at for
-- the visits of a range, so that whoever has years to look at may go through them slice by slice, each with a snapshot of its own: a slice is right
-- in its snapshot, whatever is booked meanwhile, and the slices' numbers add up. What holds for all rows together is looked at by one statement.
-- Nothing here locks.

-- Invariants of the visits from p_first to p_last, both included; null is no bound, and what names a visit that is not there falls into a range, too.
-- A payment is looked at with its bill's visit. Planned for each range: the same plan would not do for a slice and for everything.
create or replace function audit_visits(p_first bigint, p_last bigint) returns table (invariant text, broken bigint, unexplained bigint)
language plpgsql stable security definer set search_path from current set plan_cache_mode = force_custom_plan set jit = off as $$
#variable_conflict use_column
declare
    v_first constant bigint := coalesce(p_first, -9223372036854775808);
    v_last constant bigint := coalesce(p_last, 9223372036854775807);
begin
    return query
    with visits as not materialized (select * from visit where visit_id between v_first and v_last),
         lines as not materialized (select * from charge where visit_id between v_first and v_last),
         bills as not materialized (select * from bill where visit_id between v_first and v_last),
         states as not materialized (select * from bill_state where visit_id between v_first and v_last),
         captures as not materialized (select * from capture where visit_id between v_first and v_last),
         closed as not materialized (select c.* from lines c join visits v using (visit_id)
                                      where v.state not in ('open', 'discharged') and (v.late_since is null or c.line_no <= v.billed_line)),
         standing as not materialized (select b.* from bills b join bill_state s using (bill_id) where s.state <> 'void'),
         -- changes of state in their order (an opening, from null, may come late and changes none), and what merges said
         changes as materialized (select e.visit_id, e.event_id, e.from_state, e.to_state, e.detail ->> 'into' as into_no,
                                         lag(e.to_state, 1, 'open') over w as before, lead(e.event_id) over w is null as last
                                    from event e where e.visit_id between v_first and v_last and e.kind = 'visit' and e.from_state is not null
                                  window w as (partition by e.visit_id order by e.event_id)),
         -- of these visits some events may be in files
         old as not materialized (select v.visit_id from visits v where v.state in ('settled', 'cancelled', 'merged')
                                                                    and exists (select from archive where relation = 'event'))
    -- the running total is the sum of the lines, numbers run from 1 without a gap
    select 'a visit''s total and line count are those of its lines', count(*), coalesce(sum(abs(coalesce(v.total, 0) - coalesce(c.amount, 0))), 0)::bigint
      from visits v full join (select visit_id, sum(amount)::bigint as amount, count(*) as lines, max(line_no) as last, count(distinct line_no) as numbers
                                 from lines group by visit_id) c using (visit_id)
     where (v.visit_id is null or v.total <> coalesce(c.amount, 0) or v.line_count <> coalesce(c.lines, 0)
            or v.line_count <> coalesce(c.last, 0) or v.line_count <> coalesce(c.numbers, 0))
       and (c.visit_id is not null or not visit_is_archived(v.visit_id))       -- those are looked at by audit_archive
    union all
    select 'no line is taken back by more than it has', count(*), coalesce(sum(taken - had), 0)::bigint from (
        select o.amount as had, o.quantity_e4, -sum(r.amount)::bigint as taken, sum(r.quantity_e4) as quantity
          from lines r join lines o on o.visit_id = r.visit_id and o.feed_id = r.feed_id and o.source_line = r.reverses_line and o.sent_as = r.reverses_as
         where r.reverses_line is not null group by o.visit_id, o.feed_id, o.source_line, o.sent_as, o.amount, o.quantity_e4) t
     where taken > had or quantity > quantity_e4
    union all
    select 'a reversal has its original', count(*), coalesce(sum(abs(r.amount)), 0)::bigint
      from lines r where r.reverses_line is not null
       and not exists (select 1 from charge o where o.visit_id = r.visit_id and o.feed_id = r.feed_id and o.source_line = r.reverses_line and o.sent_as = r.reverses_as)
    union all
    -- those on no bill, and those on two
    select 'every line of a closed visit is on exactly one bill, or waits for its supplementary one', count(*), coalesce(sum(abs(amount)), 0)::bigint from (
        select c.amount from closed c
         where not exists (select 1 from standing b where b.visit_id = c.visit_id and c.line_no between b.first_line and b.last_line)
        union all
        select c.amount from closed c
         where exists (select 1 from standing a join standing b using (visit_id)
                        where visit_id = c.visit_id and a.bill_id < b.bill_id and a.first_line <= b.last_line and b.first_line <= a.last_line
                          and c.line_no between a.first_line and a.last_line and c.line_no between b.first_line and b.last_line)) c
    union all
    select 'a bill is the sum of its lines, category by category', count(*), coalesce(sum(abs(b.total - l.total)), 0)::bigint
      from bills b
     cross join lateral (select array_agg(coalesce(s.amount, 0) order by k.category) as subtotals, coalesce(sum(s.amount), 0)::bigint as total
              from category k left join (select c.category, sum(c.amount)::bigint as amount from charge c
                    where c.visit_id = b.visit_id and c.line_no between b.first_line and b.last_line group by c.category) s using (category)) l
     where b.kind <> 'void_note' and (b.subtotals <> l.subtotals or b.total <> l.total) and not visit_is_archived(b.visit_id)
    union all
    select 'a void note is the opposite of its bill', count(*), coalesce(sum(abs(n.total + b.total)), 0)::bigint
      from bills n join bill b on b.bill_id = n.voids_bill_id where n.total <> -b.total
    union all
    select 'what a bill says is paid and credited is what was applied to it', count(*), coalesce(sum(abs(s.paid + s.credited - a.paid - a.credited + a.given)), 0)::bigint
      from states s
     cross join lateral (select coalesce(sum(amount) filter (where capture_id is not null and bill_id = s.bill_id), 0)::bigint as paid,
                                coalesce(sum(amount) filter (where credit_bill_id is not null and bill_id = s.bill_id), 0)::bigint as credited,
                                coalesce(sum(amount) filter (where credit_bill_id = s.bill_id), 0)::bigint as given
                           from application where visit_id = s.visit_id and (bill_id = s.bill_id or credit_bill_id = s.bill_id)) a
     where s.paid <> a.paid or s.credited <> a.credited - a.given
    union all
    select 'no capture is applied by more than it is', count(*), coalesce(sum(applied - amount), 0)::bigint from (
        select c.amount, sum(a.amount)::bigint as applied from captures c join application a using (capture_id) group by c.capture_id, c.amount) c
     where applied > amount
    union all
    select 'live attempts are what bills reserve', count(*), coalesce(sum(abs(s.live - coalesce(p.amount, 0))), 0)::bigint
      from states s left join (select bill_id, sum(amount)::bigint as amount from payment where state in ('created', 'pending', 'unknown') group by bill_id) p
     using (bill_id) where s.live <> coalesce(p.amount, 0)
    union all
    select 'a payment that succeeded has a capture, and only such', count(*), coalesce(sum(p.amount), 0)::bigint
      from payment p join bills b using (bill_id)
     where (p.state = 'succeeded') <> exists (select 1 from capture c where c.payment_id = p.payment_id)
    union all
    select 'every capture of ours has a receipt of its amount', count(*), coalesce(sum(c.amount), 0)::bigint
      from captures c where c.payment_id is not null and not exists (select 1 from receipt r where r.capture_id = c.capture_id and r.amount = c.amount)
    union all
    select 'every journal entry balances and names real accounts', count(*), coalesce(sum(abs(total_of(amounts))), 0)::bigint
      from journal j where visit_id between v_first and v_last
       and (total_of(amounts) <> 0 or exists (select 1 from unnest(accounts) a where a not in (select code from account)))
    union all
    select 'a visit is settled when nothing is owed on it, billed when something is', count(*), coalesce(sum(o.owed), 0)::bigint
      from visits v cross join lateral (select coalesce(sum(s.total - s.paid - s.credited) filter (where s.state = 'open' and s.total > 0), 0) as owed
                                          from bill_state s where s.visit_id = v.visit_id) o
     where (v.state = 'settled' and o.owed <> 0) or (v.state = 'billed' and o.owed = 0)
    union all
    select 'a payment captured what it asked for, and a bill''s state has its total', count(*), coalesce(sum(difference), 0)::bigint from (
        select abs(p.amount - c.amount) as difference from captures c join payment p using (payment_id) where p.amount <> c.amount
        union all
        select abs(s.total - b.total) from bills b left join bill_state s using (bill_id) where s.total is distinct from b.total) d
    union all
    -- as it is looked at when it comes: within a fen, and as much as the last digit of the price makes of the quantity, where that was made of the amount
    select 'a line''s amount is its quantity times its price', count(*), coalesce(sum(abs(abs(amount) - abs(price_amount(quantity_e4, unit_price_e6)))), 0)::bigint
      from lines where reverses_line is null and feed_id <> 0 and quantity_e4 <> 0 and unit_price_e6 < 9999999999999999
       and abs(abs(amount) - abs(price_amount(quantity_e4, unit_price_e6))) > 1 + abs(quantity_e4) / 200000000
    union all
    select 'a reversal has the category and the price of its original', count(*), coalesce(sum(abs(r.amount)), 0)::bigint
      from lines r join lines o on o.visit_id = r.visit_id and o.feed_id = r.feed_id and o.source_line = r.reverses_line and o.sent_as = r.reverses_as
     where r.reverses_line is not null and (r.category <> o.category or r.unit_price_e6 <> o.unit_price_e6 or r.self_pay_e4 <> o.self_pay_e4)
    union all
    select 'a visit is in the state that its events lead to', count(*), 0::bigint from (
        select v.visit_id from visits v left join changes c on c.visit_id = v.visit_id and c.last
         where v.state <> coalesce(c.to_state, 'open')
        union all
        select c.visit_id from changes c where c.from_state <> c.before) e
     where visit_id not in (select visit_id from old)
    union all
    select 'a merged visit is empty, and where its event and the other visit''s say', count(*), coalesce(sum(abs(v.total)), 0)::bigint
      from visits v left join changes c on c.visit_id = v.visit_id and c.last and c.to_state = 'merged'
      left join visit i on i.facility_id = v.facility_id and i.visit_no = c.into_no
     where v.state = 'merged'
       and (v.total <> 0 or (v.visit_id not in (select visit_id from old)
                             and (coalesce(i.merged_into, i.visit_id) is distinct from v.merged_into or i.visit_id is distinct from v.merged_next
                                  or not exists (select from event e where e.visit_id = i.visit_id and e.kind = 'visit_merge' and e.detail ->> 'from' = v.visit_no))))
    union all
    select 'a bill bears its visit''s number, and its issue is an event', count(*), coalesce(sum(abs(b.total)), 0)::bigint
      from bills b left join visits v using (visit_id)
     where left(b.bill_no, length(v.visit_no)) is distinct from v.visit_no
        or (b.kind <> 'void_note' and b.visit_id not in (select visit_id from old)
            and not exists (select from event e where e.visit_id = b.visit_id and e.bill_id = b.bill_id and e.kind = 'bill' and e.to_state = 'issued'));
    perform archive_unmoved();
end $$;

-- The accounts against what they stand for. The journal's sums are given, an account and its amount each: whoever calls this has them.
create or replace function audit_accounts(p_accounts text[], p_amounts bigint[]) returns table (invariant text, broken bigint, unexplained bigint)
language sql stable as $$
    with posting as (
        select account, amount from unnest(p_accounts, p_amounts) p (account, amount)
    ), collected as (
        select channel, sum(amount)::bigint as amount from capture group by channel
    )
    select 'receivable in the journal is what bills are owed', (d.difference <> 0)::int::bigint, abs(d.difference) from (
        select (coalesce((select amount from posting where account = 'receivable'), 0)
                - coalesce((select sum(total - paid - credited) from bill_state where state <> 'void'), 0))::bigint as difference) d
    union all
    select 'revenue in the journal is what bills say, category by category', count(*), coalesce(sum(abs(difference)), 0)::bigint from (
        select coalesce(p.amount, 0) + coalesce(b.amount, 0) as difference
          from category k left join posting p on p.account = 'revenue:' || k.code
          left join (select s.category, sum(s.amount) as amount from bill, unnest(subtotals) with ordinality s (amount, category) group by s.category) b
         using (category)) r
     where difference <> 0
    union all
    select 'captured = applied + credit', (d.difference <> 0)::int::bigint, abs(d.difference) from (
        select (coalesce((select sum(amount) from collected), 0) - coalesce((select sum(amount) from application where capture_id is not null), 0)
                + coalesce((select amount from posting where account = 'credit'), 0))::bigint as difference) d
    union all
    select 'each channel''s account is what it captured', count(*), coalesce(sum(abs(difference)), 0)::bigint from (
        select coalesce(c.amount, 0) - coalesce(j.amount, 0) as difference
          from collected c
          full join (select account as channel, amount from posting
                      where account in (select code from account where type = 'asset' and code <> 'receivable')) j using (channel)) d
     where difference <> 0
$$;

-- The invariants of all rows together, by one statement and so in one snapshot.
create or replace function audit_totals() returns table (invariant text, broken bigint, unexplained bigint)
language sql stable security definer set search_path from current set jit = off as $$
    with posting as materialized (
        select account, sum(amount)::bigint as amount from journal_sum group by account
    )
    select * from audit_accounts((select array_agg(account order by account) from posting), (select array_agg(amount order by account) from posting))
    union all
    select * from audit_archive()
    union all
    select 'receipt numbers have no gap', count(*), 0 from (
        select facility_id, year from receipt group by facility_id, year having max(number) <> count(*) or min(number) <> 1) g
    union all
    select 'lines counted as booked are the lines stored', (d.difference <> 0)::int, 0 from (
        -- a merge copies a line and takes the old one back by a line of feed 0
        select coalesce((select sum(booked) from intake_tally), 0)
               - (select count(*) filter (where feed_id > 0) - count(*) filter (where feed_id = 0) from charge)
               - (select coalesce(sum(row_count - 2 * transfers), 0) from archive where relation = 'charge')
               - (select count(*) from capture where channel = 'elsewhere') as difference) d
    union all
    select 'lines counted as parked are the rows of quarantine', count(*), 0
      from (select feed_id, sum(parked) as n from intake_tally group by feed_id) t
      full join (select feed_id, count(*) as n from quarantine where ordinal > 0 and feed_id is not null group by feed_id) q using (feed_id)
     where coalesce(t.n, 0) <> coalesce(q.n, 0)
    union all
    select 'what is in quarantine has its message, and waits or is resolved', count(*), 0
      from (select q.quarantine_id, q.message_id, r.quarantine_id is null as open
              from quarantine q full join quarantine_resolution r using (quarantine_id)) q
      full join quarantine_waiting w using (quarantine_id)
      left join quarantine_message m using (message_id)
     where m.message_id is null or coalesce(q.open, false) <> (w.facility is not null)
    union all
    select 'what was booked from quarantine is booked', count(*), 0
      from quarantine_resolution r join quarantine q using (quarantine_id) join facility f on f.code = q.facility_code
     cross join lateral (select array_agg(coalesce(v.merged_into, v.visit_id)) as ids from (
            select visit_id from visit where facility_id = f.facility_id and visit_no = q.visit_no
            union select visit_id from visit_number where facility_id = f.facility_id and number = q.visit_no) n join visit v using (visit_id)) visits
     where r.outcome in ('posted', 'late', 'duplicate') and q.ordinal > 0 and q.visit_no is not null and q.source_line is not null
       and not exists (select from charge c where c.visit_id = any (visits.ids) and c.feed_id = q.feed_id and c.source_line = q.source_line)
       and not exists (select from capture c where c.visit_id = any (visits.ids) and c.channel = 'elsewhere' and c.feed_id = q.feed_id
                                               and position(trim('"' from to_json(q.source_line)::text) in c.transaction_id) > 0)
       and not exists (select from unnest(visits.ids) i (id) where visit_is_archived(i.id))
    union all
    select 'what is kept as counted is what is there', count(*), 0
      from (select kind, name, sum(n) as n from (select * from kept_count union all select * from kept_change) k
             where kind in ('visit', 'payment', 'quarantine') group by kind, name having sum(n) <> 0) k
      full join (select 'visit' as kind, state as name, count(*) as n from visit group by state
                 union all select 'payment', channel || ' ' || state, count(*) from payment group by channel, state
                 union all select 'quarantine', reason, count(*) from quarantine_waiting group by reason) c using (kind, name)
     where k.n is distinct from c.n
    union all
    -- what a feed has sent is at most what it had sent when that was written down; a minute for clocks that differ
    select 'no watermark is ahead of its time', count(*), 0
      from feed_watermark where mark > seen_at + interval '1 min' or seen_at > now() + interval '1 min'
    union all
    select 'every item has a facility, a category and a price', count(*), 0
      from item i where not exists (select from facility f where f.facility_id = i.facility_id)
                     or not exists (select from category k where k.category = i.category) or i.unit_price_e6 < 0
$$;

-- All of it, in the caller's snapshot.
create or replace function audit() returns table (invariant text, broken bigint, unexplained bigint)
language sql stable security definer set search_path from current as $$
    select * from audit_visits(null, null) union all select * from audit_totals()
$$;

-- The day's books, or rather all days', as one document. Of the audit it has what its own figures allow: the accounts against what they stand for,
-- and debits against credits.
create or replace function books() returns json
language sql stable security definer set search_path from current as $$
    with tally as (
        select f.name, coalesce(sum(t.booked), 0)::bigint as booked, coalesce(sum(t.duplicate), 0)::bigint as duplicate,
               coalesce(sum(t.parked), 0)::bigint as parked
          from feed f left join intake_tally t using (feed_id) where f.feed_id > 0 group by f.name
    ), parked as (
        select coalesce(f.name, 'unknown') as name, q.reason, q.ordinal > 0 as is_line, r.outcome
          from quarantine q left join feed f using (feed_id) left join quarantine_resolution r using (quarantine_id)
    ), feeds as (
        select coalesce(t.name, p.name) as name, coalesce(t.booked, 0) as booked, coalesce(t.duplicate, 0) as duplicate,
               coalesce(p.waiting, 0) as waiting, coalesce(p.replayed, 0) as replayed, coalesce(p.dismissed, 0) as dismissed
          from tally t
          full join (select name, count(*) filter (where is_line and outcome is null) as waiting,
                            count(*) filter (where is_line and outcome in ('posted', 'late', 'duplicate')) as replayed,
                            count(*) filter (where is_line and outcome not in ('posted', 'late', 'duplicate', 'superseded')) as dismissed
                       from parked group by name) p using (name)
    ), posting as materialized (
        select account, sum(amount)::bigint as amount from journal_sum group by account
    ), balance as (
        select coalesce(sum(amount), 0)::bigint as difference from posting
    ), checked as materialized (
        select coalesce(sum(broken), 0)::bigint as broken, coalesce(sum(unexplained), 0)::bigint as unexplained from (
            select broken, unexplained
              from audit_accounts((select array_agg(account order by account) from posting), (select array_agg(amount order by account) from posting))
            union all
            select (difference <> 0)::int, abs(difference) from balance where archive_unmoved()) c
    )
    select json_build_object(
        'lines', (select json_build_object('received', coalesce(sum(booked + duplicate + waiting + dismissed), 0),
                      'booked', coalesce(sum(booked), 0), 'duplicate', coalesce(sum(duplicate), 0), 'waiting', coalesce(sum(waiting), 0),
                      'resolved', coalesce(sum(replayed), 0), 'dismissed', coalesce(sum(dismissed), 0),
                      'quarantined', (select coalesce(json_object_agg(reason, n order by reason), '{}') from
                                          (select reason, count(*) as n from parked where is_line and outcome is null group by reason) r),
                      'messages_quarantined', (select count(*) from parked where not is_line and outcome is null)) from feeds),
        'by_feed', (select coalesce(json_object_agg(name, json_build_object('received', booked + duplicate + waiting + dismissed, 'booked', booked,
                      'duplicate', duplicate, 'waiting', waiting, 'resolved', replayed, 'dismissed', dismissed) order by name), '{}') from feeds),
        'visits', (select coalesce(json_object_agg(state, n), '{}') from (select state, count(*) as n from visit group by state order by state) s),
        'bills', json_build_object('issued', (select count(*) from bill), 'total', (select yuan(coalesce(sum(total), 0)::bigint) from bill),
                      'by_kind', (select coalesce(json_object_agg(kind, json_build_object('count', n, 'total', yuan(total))), '{}')
                                    from (select kind, count(*) as n, sum(total)::bigint as total from bill group by kind order by kind) b)),
        'collected', (select coalesce(json_object_agg(channel, yuan(total)), '{}')
                        from (select channel, sum(amount)::bigint as total from capture group by channel order by channel) c),
        'captures', (select coalesce(json_object_agg(channel, n), '{}') from (select channel, count(*) as n from capture group by channel order by channel) c),
        'receipts', (select count(*) from receipt),
        'credit', (select yuan(-coalesce(sum(amount), 0)::bigint) from posting where account = 'credit'),
        'outstanding', (select yuan(coalesce(sum(total - paid - credited), 0)::bigint) from bill_state where state <> 'void'),
        'unbilled', (select yuan((coalesce((select sum(total) from visit), 0) - coalesce((select sum(total) from bill), 0))::bigint)),
        'revenue', (select coalesce(json_object_agg(k.code, yuan(-p.amount) order by k.code), '{}')
                      from posting p join category k on p.account = 'revenue:' || k.code),
        'trial_balance', (select coalesce(json_agg(json_build_object('account', a.code, 'name', a.name,
                      'debit', yuan(greatest(p.amount, 0)), 'credit', yuan(greatest(-p.amount, 0))) order by a.type, a.code), '[]')
                            from posting p join account a on a.code = p.account),
        'unexplained', (select yuan(unexplained) from checked),
        'broken', (select broken from checked))
$$;

-- For `visitbillctl status` and the gauges of /metrics that only the database knows. Reads what is kept, what is live and what waits, and no history.
create or replace function status_doc() returns json
language plpgsql stable security definer set search_path from current as $$
begin
    return (
    with counted as (
        select kind, name, sum(n)::bigint as n from (select * from kept_count union all select * from kept_change) k group by kind, name having sum(n) <> 0
    )
    select json_build_object(
        'visits', (select coalesce(json_object_agg(name, n), '{}') from counted where kind = 'visit'),
        'payments', (select coalesce(json_agg(json_build_object('channel', split_part(name, ' ', 1), 'state', split_part(name, ' ', 2), 'count', n)), '[]')
                       from counted where kind = 'payment'),
        -- attempts that have not ended: how old the oldest is, and how long ago the first one should have
        'attempts', (select coalesce(json_agg(a), '[]')
                       from (select channel, state, round(extract(epoch from now() - min(created_at))) as oldest_seconds,
                                    round(extract(epoch from greatest(now() - min(expires_at), interval '0'))) as expired_seconds
                               from payment where state in ('created', 'pending', 'unknown') group by channel, state) a),
        'quarantine', (select coalesce(json_object_agg(name, n), '{}') from counted where kind = 'quarantine'),
        'quarantine_facilities', (select coalesce(json_object_agg(coalesce(f.code, c.name), coalesce(c.n, 0)), '{}')
                                    from facility f full join (select name, n from counted where kind = 'quarantine_facility') c on c.name = f.code),
        'quarantine_oldest_seconds', (select round(extract(epoch from now() - received_at)) from quarantine
                                       where quarantine_id = (select min(quarantine_id) from quarantine_waiting)),
        'unexplained_fen', (select coalesce(sum(abs(n)), 0) from counted where kind = 'money'),
        'feeds', (select coalesce(json_agg(json_build_object('feed', f.name, 'facility', y.code, 'waits', f.waits, 'mark', iso_time(w.mark),
                         'lag_seconds', round(extract(epoch from now() - w.mark))) order by f.name), '[]')
                    from feed f left join facility y using (facility_id) left join feed_watermark w using (feed_id) where f.feed_id > 0 and f.active),
        'late_visits', (select count(*) from visit where late_since is not null)));
end $$;
