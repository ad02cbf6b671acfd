-- Years: which partitions have nothing open in them and may go, and how they go. Files are visitbillctl's; only the schema's owner may.

-- Whether the visit's lines are in a file and no longer here.
create or replace function visit_is_archived(p_visit bigint) returns boolean language plpgsql stable as $$
begin
    return coalesce((select last_id >= p_visit from archive where relation = 'charge' and first_id <= p_visit order by first_id desc limit 1), false);
end $$;

-- The file that has the visit's lines; null where they are here.
create or replace function archive_of(p_visit bigint) returns json language plpgsql stable as $$
begin
    return (select json_build_object('file', file, 'archived_at', iso_time(archived_at)) from archive
             where relation = 'charge' and p_visit between first_id and last_id);
end $$;

-- Visits from p_first to p_last that something is open on, and what, a row for each reason.
create or replace function visits_unsettled(p_first bigint, p_last bigint) returns table (visit_id bigint, why text) language sql stable as $$
    with head as materialized (
        select v.visit_id, v.state, v.merged_into, v.late_since, v.billed_line, v.line_count from visit v where v.visit_id between p_first and p_last
    )
    select visit_id, 'visits are ' || state from head where state not in ('settled', 'cancelled', 'merged')
    union all
    select visit_id, 'visits have lines that are on no bill' from head where state in ('settled', 'cancelled', 'merged') and (late_since is not null or billed_line <> line_count)
    union all
    select h.visit_id, 'visits were merged into one that is ' || m.state from head h join visit m on m.visit_id = h.merged_into where m.state not in ('settled', 'cancelled')
    union all
    select distinct s.visit_id, 'visits have a bill that is open' from bill_state s where s.visit_id between p_first and p_last and s.state = 'open'
    union all
    select distinct b.visit_id, 'visits have a payment in progress' from payment p join bill b using (bill_id)
     where p.state in ('created', 'pending', 'unknown') and b.visit_id between p_first and p_last
    union all
    select c.visit_id, 'visits have credit' from (
        select visit_id, sum(amount) as amount from capture where visit_id between p_first and p_last group by visit_id) c
     where c.amount > (select coalesce(sum(a.amount), 0) from application a where a.visit_id = c.visit_id and a.capture_id is not null)
    union all
    select distinct v.visit_id, 'visits have something waiting in quarantine'
      from quarantine_waiting w join quarantine q using (quarantine_id) join facility f on f.code = q.facility_code
      join visit v on v.facility_id = f.facility_id and v.visit_no = q.visit_no where v.visit_id between p_first and p_last
$$;

-- When anything about the visits from p_first to p_last changed last; null where there are none.
create or replace function visits_newest(p_first bigint, p_last bigint) returns timestamptz language sql stable as $$
    select max(at) from (
        select max(opened_at) as at from visit where visit_id between p_first and p_last
        union all select max(posted_at) from charge where visit_id between p_first and p_last
        union all select max(issued_at) from bill where visit_id between p_first and p_last
        union all select max(received_at) from capture where visit_id between p_first and p_last
        union all select max(p.created_at) from payment p join bill b using (bill_id) where b.visit_id between p_first and p_last
        union all select max(at) from application where visit_id between p_first and p_last
        union all select max(at) from event where visit_id between p_first and p_last) newest
$$;

-- What the rows of a partition add up to, as the header of its file has it and the table archive keeps it. amount and accounts in fen.
create or replace function archive_sums(p_relation text, p_part text) returns json language plpgsql stable as $$
declare
    v json;
begin
    case p_relation
    when 'charge' then
        execute format('select json_build_object(''rows'', coalesce(sum(n), 0), ''amount'', coalesce(sum(amount), 0), ''subtotals'','
                       ' json_agg(coalesce(amount, 0) order by k.category), ''transfers'', coalesce(sum(transfers), 0))'
                       ' from category k left join (select category, count(*) as n, sum(amount)::bigint as amount, count(*) filter (where feed_id = 0) as transfers'
                       ' from %I group by category) c using (category)', p_part) into v;
    when 'journal' then
        execute format('with posting as (select account, sum(amount)::bigint as amount, sum(amount) filter (where amount > 0)::bigint as debit'
                       ' from %1$I, unnest(accounts, amounts) p (account, amount) group by account)'
                       ' select json_build_object(''rows'', (select count(*) from %1$I), ''amount'', coalesce(sum(debit), 0),'
                       ' ''accounts'', coalesce(json_object_agg(account, amount order by account), ''{}'')) from posting', p_part) into v;
    else
        execute format('select json_build_object(''rows'', count(*)) from %I', p_part) into v;
    end case;
    return v;
end $$;

-- Why a partition stays: null where it may go. newest: when anything in it, or about its visits, changed last. It is looked at only as far as it takes.
create or replace function archive_stays(p_relation text, p_part text, p_first bigint, p_last bigint, p_before timestamptz,
    out newest timestamptz, out why text) language plpgsql stable as $$
declare
    v_filling boolean;
    v_visits text := 'select min(visit_id), max(visit_id) from %I';
    v_first bigint;
    v_last bigint;
begin
    v_filling := case p_relation when 'charge' then p_last >= coalesce((select max(visit_id) from visit), 0)
                                 when 'event' then p_last >= coalesce((select max(event_id) from event), 0)
                                 when 'journal' then p_last >= coalesce((select max(entry_id) from journal), 0)
                                 else p_last >= coalesce((select max(message_id) from quarantine_message), 0) end;
    if v_filling then
        why := 'it is not full';
        return;
    end if;
    case p_relation
    when 'charge' then
        newest := visits_newest(p_first, p_last);
    when 'quarantine_bytes' then
        select max(greatest(q.received_at, r.at)) into newest from quarantine q left join quarantine_resolution r using (quarantine_id)
         where q.message_id between p_first and p_last;
        newest := greatest(newest, (select max(received_at) from quarantine_message where message_id between p_first and p_last));
    else
        execute format('select max(at) from %I', p_part) into newest;
    end case;
    if newest is null then
        why := 'it is empty';
        return;
    elsif newest >= p_before then
        why := 'it changed on ' || to_char(newest, 'YYYY-MM-DD');
        return;
    end if;
    case p_relation
    when 'charge' then
        select string_agg(n || ' ' || u.why, ', ' order by u.why) into why
          from (select u.why, count(*) as n from visits_unsettled(p_first, p_last) u group by u.why) u;
        if why is null and (select v.amount <> c.amount or v.lines <> c.lines
                              from (select coalesce(sum(total), 0) as amount, coalesce(sum(line_count), 0) as lines from visit
                                     where visit_id between p_first and p_last) v,
                                   (select coalesce(sum(amount), 0) as amount, count(*) as lines from charge
                                     where visit_id between p_first and p_last) c) then
            why := 'its lines are not what its visits say: see visitbillctl audit';
        end if;
    when 'quarantine_bytes' then
        select count(*) || ' entries wait' into why from quarantine_waiting w join quarantine q using (quarantine_id)
         where q.message_id between p_first and p_last having count(*) > 0;
    else
        execute format('select min(visit_id), max(visit_id) from %I', p_part) into v_first, v_last;
        execute format('select string_agg(n || '' of its '' || why, '', '' order by why) from (select u.why, count(*) as n from visits_unsettled($1, $2) u'
                       ' where u.visit_id in (select visit_id from %I) group by u.why) u', p_part) using v_first, v_last into why;
    end case;
end $$;

-- What `archive --before` would do, a row a partition that is here. sums, null where it stays: as archive_sums.
create or replace function archive_plan(p_before timestamptz) returns table (relation text, part text, first_id bigint, last_id bigint, bytes bigint,
    newest timestamptz, why text, sums json) language plpgsql stable as $$
#variable_conflict use_column
begin
    return query
    select t.relation, p.name, p.first_id, p.next_id - 1, pg_total_relation_size(p.name::regclass), s.newest, s.why,
           case when s.why is null then archive_sums(t.relation, p.name) end
      from unnest(array['charge', 'event', 'journal', 'quarantine_bytes']) with ordinality t (relation, ord)
     cross join lateral partitions_of(t.relation) p
     cross join lateral archive_stays(t.relation, p.name, p.first_id, p.next_id - 1, p_before) s
     order by t.ord, p.first_id;
end $$;

-- The statement that exports a partition, and the columns that it gives: the table's own, then words for the numbers of other tables, so that the file can be read
-- alone.
create or replace function archive_export(p_relation text, p_part text, out columns json, out statement text) language plpgsql stable as $$
declare
    v_own text[] := (select array_agg(attname::text order by attnum) from pg_attribute where attrelid = p_relation::regclass and attnum > 0 and not attisdropped);
    v_words text[] := case p_relation when 'charge' then array['facility', 'visit_no', 'feed'] when 'event' then array['facility', 'visit_no', 'feed']
                                      when 'journal' then array['facility', 'visit_no', 'bill_no'] else array['received_at', 'feed', 'content_type', 'sha256'] end;
begin
    columns := to_json(v_own || v_words);
    statement := 'copy (select ' || (select string_agg('t.' || quote_ident(c), ', ' order by ord) from unnest(v_own) with ordinality o (c, ord)) || ', '
        || case p_relation
           when 'journal' then 'f.code, v.visit_no, b.bill_no from ' || quote_ident(p_part) || ' t left join visit v on v.visit_id = t.visit_id'
                || ' left join facility f on f.facility_id = v.facility_id left join bill b on b.bill_id = t.bill_id order by t.entry_id'
           when 'quarantine_bytes' then 'm.received_at, d.name, m.content_type, m.sha256 from ' || quote_ident(p_part) || ' t join quarantine_message m using (message_id)'
                || ' left join feed d on d.feed_id = m.feed_id order by t.message_id'
           else 'f.code, v.visit_no, d.name from ' || quote_ident(p_part) || ' t left join visit v on v.visit_id = t.visit_id'
                || ' left join facility f on f.facility_id = v.facility_id left join feed d on d.feed_id = t.feed_id order by '
                || case p_relation when 'charge' then 't.visit_id, t.line_no' else 't.event_id' end end || ') to stdout';
end $$;

-- The last step: looks once more, records the file and drops the partition, in the caller's transaction. p: relation, part, first_id, last_id, sums, sha256 (hex).
-- Returns null, or why the partition stays. Locks the partition against writers, then what its drop takes: the table that it is a part of, and before that
-- the one that it refers to. The caller sets a short lock_timeout, as everyone else waits behind it, and begins again where that was too short.
create or replace function archive_finish(p json, p_before timestamptz, p_file text, p_by text) returns text language plpgsql as $$
declare
    v_relation text := p ->> 'relation';
    v_part text := p ->> 'part';
    v_why text;
    v_archive bigint;
begin
    if not exists (select from partitions_of(v_relation) o where (o.name, o.first_id, o.next_id) = (v_part, (p ->> 'first_id')::bigint, (p ->> 'last_id')::bigint + 1)) then
        return 'it is gone, or another one';
    end if;
    execute format('lock table only %I in share mode', v_part);
    select why into v_why from archive_stays(v_relation, v_part, (p ->> 'first_id')::bigint, (p ->> 'last_id')::bigint, p_before);
    if v_why is not null then
        return v_why;
    elsif archive_sums(v_relation, v_part)::jsonb <> (p -> 'sums')::jsonb then
        return 'it changed while it was exported';
    end if;
    if v_relation = 'journal' then
        lock table only bill in access exclusive mode;
    elsif v_relation = 'quarantine_bytes' then
        lock table only quarantine_message in access exclusive mode;
    end if;
    execute format('lock table only %I in access exclusive mode', v_relation);
    insert into archive (relation, first_id, last_id, row_count, amount, subtotals, transfers, sha256, file, archived_by)
    values (v_relation, (p ->> 'first_id')::bigint, (p ->> 'last_id')::bigint, (p -> 'sums' ->> 'rows')::bigint, (p -> 'sums' ->> 'amount')::bigint,
            (select array_agg(n::bigint order by ord) from json_array_elements_text(p -> 'sums' -> 'subtotals') with ordinality s (n, ord)),
            (p -> 'sums' ->> 'transfers')::bigint, decode(p ->> 'sha256', 'hex'), p_file, p_by)
    returning archive_id into v_archive;
    insert into archive_account (archive_id, account, amount)
    select v_archive, key, value::bigint from json_each_text(p -> 'sums' -> 'accounts');
    execute format('drop table %I', v_part);
    return null;
end $$;

-- The journal's sums, with what is in files.
create or replace view journal_sum as
    select account, amount from journal_posting union all select account, amount from archive_account;

-- Whoever adds up lines or entries asks at the end: a partition that was dropped after his snapshot was taken, and before he could lock it, is neither in the one
-- nor in the other. That is no difference in the books; he is to look once more. What he has locked does not go.
create or replace function archive_unmoved() returns boolean language plpgsql stable as $$
begin
    if exists (select from unnest(array['charge', 'journal']) t cross join lateral partitions_of(t) p where to_regclass(quote_ident(p.name)) is null) then
        raise exception 'a partition was archived meanwhile: look once more' using errcode = 'serialization_failure';
    end if;
    return true;
end $$;

-- What stands in for rows that are not here: each range of visits against the sums of its file, and what would be in a range that is archived.
create or replace function audit_archive() returns table (invariant text, broken bigint, unexplained bigint) language plpgsql stable as $$
begin
    return query
    with range as (
        select a.*, v.total, v.lines, b.billed
          from archive a
         cross join lateral (select coalesce(sum(v.total), 0)::bigint as total, coalesce(sum(v.line_count), 0) as lines from visit v
                              where v.visit_id between a.first_id and a.last_id) v
         cross join lateral (select array_agg(coalesce(s.amount, 0) order by k.category) as billed
                               from category k left join (select n.category, sum(n.amount)::bigint as amount
                                                            from bill b, unnest(b.subtotals) with ordinality n (amount, category)
                                                           where b.visit_id between a.first_id and a.last_id group by n.category) s using (category)) b
         where a.relation = 'charge'
    )
    select 'the visits of archived lines have the totals and counts of their file', count(*), coalesce(sum(abs(r.total - r.amount)), 0)::bigint
      from range r where r.total <> r.amount or r.lines <> r.row_count
    union all
    select 'the bills of archived lines have the sums of their file, category by category', count(*),
           coalesce(sum(abs(total_of(r.billed) - r.amount)), 0)::bigint from range r where r.billed <> r.subtotals
    union all
    select 'what is archived is not here as well', count(*), 0::bigint
      from archive a cross join lateral partitions_of(a.relation) p where a.first_id < p.next_id and a.last_id >= p.first_id;
    perform archive_unmoved();
end $$;
