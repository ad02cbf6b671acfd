-- Visits: finding and locking them, and the events that ADT, BAR and the API report.

-- A new visit row; null when another session made it first. p_kind: of the number.
create or replace function visit_insert(p_facility int, p_visit_no text, p_kind text, p_class text, p_provisional boolean,
    p_patient_no text, p_patient_name text) returns bigint language plpgsql as $$
declare
    v_id bigint;
begin
    insert into visit (facility_id, visit_no, number_kind, class, provisional, patient_no, patient_name)
    select f.facility_id, p_visit_no, coalesce(p_kind, 'visit'), coalesce(p_class, 'unknown'), p_provisional, p_patient_no, p_patient_name
      from facility f where f.facility_id = p_facility
       and not exists (select 1 from visit where facility_id = p_facility and visit_no = p_visit_no)
    on conflict (facility_id, visit_no) do nothing
    returning visit_id into v_id;
    return v_id;
end $$;

-- The own number of the visit that a number finds; null where it finds none, '' where it finds several. p_kind null: a visit number (PV1-19), which is that
-- visit's own; it finds by a further number only a visit of the same patient. account, alternate: numbers of that kind, and visits' own. any: whoever looks a
-- visit up. A visit whose patient is known to be another one is not found. Of several that became one by merges it is the one whose own number that is, else
-- the survivor.
create or replace function visit_named(p_facility int, p_number text, p_kind text, p_patient_no text) returns text language plpgsql stable as $$
declare
    v_own bigint := (select visit_id from visit where facility_id = p_facility and visit_no = p_number);
    v_ids bigint[];
    v_places bigint[];
begin
    if v_own is not null and coalesce(p_kind, 'any') = 'any' then
        return p_number;
    end if;
    select array_agg(n.visit_id), array_agg(distinct n.place) into v_ids, v_places
      from (select v.visit_id, coalesce(v.merged_into, v.visit_id) as place
              from (select visit_id from visit_number
                     where facility_id = p_facility and number = p_number and (kind = p_kind or coalesce(p_kind, 'any') = 'any')
                    union select v_own where v_own is not null) f join visit v using (visit_id)
             where (v.state <> 'cancelled' or v.visit_id = v_own)
               and case when p_kind is null
                        then v.patient_no = p_patient_no
                             or not other_patient(v, v.visit_no, nullif(p_patient_no, '')) and p_patient_no <> '' and v.patient_no is not null
                        else not other_patient(v, v.visit_no, p_patient_no) end
             limit 20) n;       -- two places are as good as a thousand
    if coalesce(cardinality(v_places), 0) <> 1 then
        return case when cardinality(v_places) > 1 then '' end;
    end if;
    return (select visit_no from visit
             where visit_id = case when cardinality(v_ids) = 1 then v_ids[1] when v_own = any (v_ids) then v_own else v_places[1] end);
end $$;

-- Numbers of a kind that is not the visit's are found and made one at a time: who notes that a number is a visit's, and who opens a visit under it, wait for
-- each other.
create or replace function number_lock(p_facility int, p_number text) returns void language sql as $$
    select pg_advisory_xact_lock(hashtextextended(p_number, p_facility))
$$;

-- The own numbers of the visits that these numbers find, as visit_named, in their order; where one finds none, a provisional visit is opened under it. Nulls
-- stay. An unknown facility is an error.
create or replace function visits_open(p_facility int[], p_visit_no text[], p_kind text[], p_class text[], p_patient_no text[], p_patient_name text[])
returns text[] language plpgsql as $$
declare
    v_named text[] := p_visit_no;
    x int;
begin
    if exists (select from unnest(p_facility) f where not exists (select from facility where facility_id = f)) then
        raise exception 'no such facility' using errcode = 'foreign_key_violation';
    end if;
    for x in select k.ord from unnest(p_facility, p_visit_no) with ordinality k (facility_id, visit_no, ord)
              where k.visit_no <> '' order by k.facility_id, k.visit_no loop
        v_named[x] := visit_named(p_facility[x], p_visit_no[x], p_kind[x], p_patient_no[x]);
        if v_named[x] is null and p_kind[x] is not null then
            perform number_lock(p_facility[x], p_visit_no[x]);
            v_named[x] := visit_named(p_facility[x], p_visit_no[x], p_kind[x], p_patient_no[x]);
        end if;
        if v_named[x] is null then
            perform visit_insert(p_facility[x], p_visit_no[x], p_kind[x], p_class[x], true, p_patient_no[x], p_patient_name[x]);
            v_named[x] := p_visit_no[x];
        end if;
    end loop;
    return v_named;
end $$;

-- The numbers that a patient's visits may have: his own, and that into which it was merged.
create or replace function patient_numbers(p_facility int, p_number text) returns text[] language sql stable as $$
    select array[p_number] || array(select into_no from patient_link where facility_id = p_facility and patient_no = p_number)
$$;

-- Of visits that lines name by a patient (p_kind patient, or patient/CLASS) the own numbers, in their order; of the others null. A line that this feed has
-- booked for the patient before, or whose original it has, says which visit it is, however that stands now: what comes again never goes to the next visit. (A
-- hundred of a message's lines and of the patient's newest visits are looked at.) Else it is the one open visit, of the class that p_kind and p_class say.
-- refusals: visit_unknown where there is none, visit_ambiguous where there are several; the number is '' then, and opened says how many. A patient's visits are
-- read once however many of p_number are his, and the lines are walked through once.
create or replace function visits_of_patients(p_facility int[], p_number text[], p_kind text[], p_class text[], p_visit int[], p_feed int[],
    p_source_line text[], p_digest uuid[], p_reverses text[], out numbers text[], out refusals text[], out opened int[])
language plpgsql stable as $$
declare
    x int;
    v_lines int[];              -- of x
    v_facility int;             -- of the patient, whose visits follow
    v_number text;
    v_newest bigint[];
    v_open text[];
    v_open_class text[];
    v_class text;
    v_fit text[];
begin
    numbers := array_fill(null::text, array[cardinality(p_number)]);
    refusals := numbers;
    opened := array_fill(null::int, array[cardinality(p_number)]);
    for x, v_lines in
        select l.visit, (array_agg(l.line order by l.line) filter (where l.line is not null))[1:100]
          from (select k as visit, null::bigint as line from generate_subscripts(p_kind, 1) k
                union all
                select v.visit, v.line from unnest(p_visit) with ordinality v (visit, line)) l
         where p_kind[l.visit] like 'patient%'
         group by l.visit order by p_facility[l.visit], p_number[l.visit], l.visit
    loop
        if (v_facility, v_number) is distinct from (p_facility[x], p_number[x]) then
            v_facility := p_facility[x];
            v_number := p_number[x];
            v_newest := array(select v.visit_id from unnest(patient_numbers(v_facility, v_number)) k (patient_no)
                                cross join lateral (select visit_id from visit where facility_id = v_facility and patient_no = k.patient_no
                                                     order by visit_id desc limit 100) v
                               order by v.visit_id desc limit 100);
            select array_agg(v.visit_no), array_agg(v.class) into v_open, v_open_class
              from unnest(patient_numbers(v_facility, v_number)) k (patient_no)
              cross join lateral (select visit_no, class, state from visit where facility_id = v_facility and patient_no = k.patient_no
                                   order by visit_id offset 0) v        -- by patient, whatever a plan made on an empty table would rather
             where v.state = 'open';
        end if;
        numbers[x] := (         -- offset 0: each charge is looked up by its key, and not all of them read for a hash
            select visit_no from visit
             where visit_id = (
                select n.visit_id from unnest(v_newest) with ordinality n (visit_id, place)
                 where exists (select from unnest(v_lines) l (line)
                                where exists (select from charge c where c.visit_id = n.visit_id and c.feed_id = p_feed[l.line]
                                                 and c.source_line = p_source_line[l.line] and c.digest = p_digest[l.line] offset 0)
                                   or (p_reverses[l.line] is not null
                                       and exists (select from charge c where c.visit_id = n.visit_id and c.feed_id = p_feed[l.line]
                                                      and c.source_line = p_reverses[l.line] offset 0)))
                 order by n.place limit 1));
        continue when numbers[x] is not null;
        v_class := nullif(split_part(p_kind[x], '/', 2), '');
        v_fit := array(select n.visit_no from unnest(v_open, v_open_class) n (visit_no, class)
                        where (v_class is null or n.class = v_class) and (p_class[x] is null or n.class = p_class[x]));
        numbers[x] := case when cardinality(v_fit) = 1 then v_fit[1] else '' end;
        refusals[x] := case when cardinality(v_fit) = 0 then 'visit_unknown' when cardinality(v_fit) > 1 then 'visit_ambiguous' end;
        opened[x] := cardinality(v_fit);
    end loop;
end $$;

-- The visits of the numbers given (see visits_open), each locked, in visit_id order; a merged visit stands for the
-- one that it went into. The ids, and the own numbers that the visits were found by, come in the order of the input: null and '' where a number is several
-- visits'. merged: one of them has lines that were sent under a number that was merged into it. An unknown facility is an error.
create or replace function visits_take(p_facility int[], p_visit_no text[], p_kind text[], p_class text[], p_patient_no text[], p_patient_name text[],
    out ids bigint[], out numbers text[], out merged boolean)
language plpgsql set enable_hashjoin = on as $$
declare
    v_merged boolean;
begin
    numbers := p_visit_no;
    ids := '{}';
    merged := false;
    if coalesce(cardinality(p_visit_no), 0) = 0 then
        return;
    end if;
    if p_kind is not null then
        numbers := visits_open(p_facility, p_visit_no, p_kind, p_class, p_patient_no, p_patient_name);
    end if;
    loop
        select array_agg(coalesce(v.merged_into, v.visit_id) order by k.ord), bool_or(v.merged_into is not null)
          into ids, merged
          from unnest(p_facility, numbers) with ordinality k (facility_id, visit_no, ord)
          left join visit v on v.facility_id = k.facility_id and v.visit_no = k.visit_no;
        if not exists (select from unnest(ids, numbers) n (id, number) where id is null and number <> '') then
            select bool_or(l.state = 'merged'), merged or bool_or(l.absorbed) into v_merged, merged
              from (select state, absorbed from visit where visit_id = any (ids) order by visit_id for no key update) l;
            exit when v_merged is not true;     -- merged while we waited: look again
        else
            numbers := visits_open(p_facility, numbers, p_kind, p_class, p_patient_no, p_patient_name);
        end if;
    end loop;
end $$;

-- The same by visit numbers, for callers that only need the ids.
create or replace function visits_lock(p_facility int[], p_visit_no text[], p_class text[], p_patient_no text[], p_patient_name text[])
returns bigint[] language plpgsql as $$
begin
    return (select ids from visits_take(p_facility, p_visit_no, null, p_class, p_patient_no, p_patient_name));
end $$;

-- Locks the visits that there are of these numbers, of whatever kind, those whose own number is in p_own_no, and those of these patients, in visit_id order:
-- for who will lock some of them now and others later in the same transaction, so that two such do not wait for each other. (Visits that are not there yet
-- may still meet, and one of the two is sent again.) Nulls name nothing. p_of_facility, p_of_patient and the lines after them, p_visit saying whose of these
-- each is: lines that name a patient; of his visits the open ones are locked, and those that have such a line (see visits_of_patients).
create or replace function visits_hold(p_facility int[], p_visit_no text[], p_own_no text[], p_patient_no text[],
    p_of_facility int[] default null, p_of_patient text[] default null, p_visit int[] default null, p_feed int[] default null,
    p_source_line text[] default null, p_digest uuid[] default null, p_reverses text[] default null) returns void
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_found text[];
begin
    if cardinality(p_of_patient) > 0 then
        v_found := (select numbers from visits_of_patients(p_of_facility, p_of_patient, array_fill('patient'::text, array[cardinality(p_of_patient)]), null,
                                                           p_visit, p_feed, p_source_line, p_digest, p_reverses));
    end if;
    perform 1 from visit
      where visit_id in (select coalesce(v.merged_into, v.visit_id) from unnest(p_facility, p_visit_no) k (facility_id, visit_no)
                           join visit v on v.facility_id = k.facility_id and v.visit_no = k.visit_no
                          union
                         select coalesce(v.merged_into, v.visit_id) from unnest(p_facility, p_own_no) k (facility_id, visit_no)
                           join visit v on v.facility_id = k.facility_id and v.visit_no = k.visit_no
                          union
                         select coalesce(v.merged_into, v.visit_id) from unnest(p_facility, p_visit_no) k (facility_id, visit_no)
                           join visit_number n on n.facility_id = k.facility_id and n.number = k.visit_no join visit v using (visit_id)
                          union
                         select v.visit_id from unnest(p_facility, p_patient_no) k (facility_id, patient_no)
                           join visit v on v.facility_id = k.facility_id and v.patient_no = k.patient_no
                          union
                         select coalesce(v.merged_into, v.visit_id) from unnest(p_of_facility, v_found) k (facility_id, visit_no)
                           join visit v on v.facility_id = k.facility_id and v.visit_no = k.visit_no
                          union
                         select v.visit_id from (select distinct * from unnest(p_of_facility, p_of_patient)) k (facility_id, patient_no)
                          cross join unnest(patient_numbers(k.facility_id, k.patient_no)) n (patient_no)
                          cross join lateral (select visit_id, state from visit where facility_id = k.facility_id and patient_no = n.patient_no
                                               order by visit_id offset 0) v
                          where v.state = 'open')
      order by visit_id for no key update;
end $$;

-- Notes that the visit has this number, too. What came under it before the visit was known, and opened a visit that nobody has told of, goes to this one, with
-- its discharge; where that cannot be (it is paid), the number stays the other one's, and this one is flagged for a person. The caller has locked the number
-- and both visits.
create or replace function visit_number_note(v visit, p_kind text, p_number text, p_feed int, p_message text) returns void language plpgsql as $$
declare
    o visit;
begin
    if coalesce(p_number, '') = '' or p_number = v.visit_no
       or exists (select from visit_number where (facility_id, number, kind, visit_id) = (v.facility_id, p_number, p_kind, v.visit_id)) then
        return;
    end if;
    select * into o from visit where facility_id = v.facility_id and visit_no = p_number and number_kind = p_kind and provisional
        and state in ('open', 'discharged') and visit_id <> v.visit_id and coalesce(patient_no = v.patient_no, true);
    if found and visit_merge(v.facility_id, v.visit_no, p_number, null, null, p_feed, p_message) <> 'done' then
        update visit set disputed = true where visit_id = v.visit_id;
        return;
    end if;
    insert into visit_number (facility_id, number, kind, visit_id) values (v.facility_id, p_number, p_kind, v.visit_id) on conflict do nothing;
    if o.state = 'discharged' and v.state = 'open' then
        update visit set state = 'discharged', discharged_at = o.discharged_at, discharge_seen_at = o.discharge_seen_at, discharge_feed = o.discharge_feed
         where visit_id = v.visit_id;
        perform note_event('visit', v.visit_id, null, null, 'open', 'discharged', p_feed, p_message, jsonb_build_object('from', p_number));
    end if;
end $$;

-- Visits are settled when no bill of theirs is owed, else billed. A discharged visit stays one until it is closed: p_closing says that its
-- bill has been issued. The caller has locked the visits.
create or replace function visits_settle(p_visits bigint[], p_closing boolean default false) returns void language plpgsql as $$
begin
    with now as (
        select v.visit_id, v.state, case when exists (select from bill_state b where b.visit_id = v.visit_id and b.state = 'open'
                                                         and b.total > b.paid + b.credited)
                                         then 'billed' else 'settled' end as becomes
          from visit v
         where v.visit_id = any (p_visits) and (v.state in ('billed', 'settled') or (p_closing and v.state = 'discharged'))
    ), changed as (
        update visit v set state = now.becomes, overdue = v.overdue and now.becomes = 'billed'
          from now where v.visit_id = now.visit_id and now.state <> now.becomes
        returning v.visit_id, now.state, now.becomes
    )
    insert into event (kind, visit_id, from_state, to_state) select 'visit', visit_id, state, becomes from changed;
end $$;

-- HL7's three ways to say a value: null leaves it, '' deletes it, anything else replaces it.
create or replace function hl7_value(p_old text, p_new text) returns text language sql immutable as $$
    select case when p_new is null then p_old else nullif(p_new, '') end
$$;

-- Does it come too late to change anything: has the same feed told something newer? What it sent at the same time is told twice where it is the same
-- message.
create or replace function told_before(p_visit bigint, p_feed int, p_message text, p_sent timestamptz, p_feed_told int, p_told timestamptz) returns boolean
language plpgsql stable as $$
begin
    return p_feed_told is not distinct from p_feed
       and (p_sent < p_told
            or (p_sent = p_told
               and exists (select from event where visit_id = p_visit and feed_id = p_feed and message_id = p_message and kind like 'visit%')));
end $$;

-- One event of one visit. The fields are those of visit_events. Locks the visit (for a merge both, in visit_id
-- order) before anything else. Returns the outcome; anything but done and repeated is a refusal, and
-- nothing has changed but perhaps a flag.
create or replace function visit_event_one(p_kind text, p_feed int, p_facility int, p_visit_no text, p_message text, p_sent timestamptz,
    p_at timestamptz, p_patient_no text, p_patient_name text, p_birth_date date, p_sex text, p_class text,
    p_department text, p_location text, p_other_visit_no text, p_other_patient_no text, p_number_kind text) returns text
language plpgsql as $$
declare
    v visit;
    v_id bigint;
    v_new boolean := false;
begin
    if p_kind = 'merge' then
        return visit_merge(p_facility, p_visit_no, p_other_visit_no, p_patient_no, p_other_patient_no, p_feed, p_message);
    elsif p_kind = 'move' then
        return visit_move(p_facility, p_visit_no, p_patient_no, p_patient_name, p_feed, p_message);
    end if;
    if p_visit_no is null then          -- A28, A31: the person, not a visit
        perform 1 from visit where facility_id = p_facility and patient_no = p_patient_no and state in ('open', 'discharged')
          order by visit_id for no key update;
        update visit set patient_name = hl7_value(patient_name, p_patient_name),
                         birth_date = coalesce(p_birth_date, birth_date), sex = hl7_value(sex, p_sex), told_at = p_sent, told_feed = p_feed
         where facility_id = p_facility and patient_no = p_patient_no and state in ('open', 'discharged')
           and not (told_feed is not distinct from p_feed and p_sent < told_at);
        return 'done';
    end if;
    if p_kind in ('update', 'reopen', 'cancel') and not exists (select 1 from visit where facility_id = p_facility and visit_no = p_visit_no) then
        return 'visit_unknown';         -- what changes a visit opens none
    end if;
    v_id := visit_insert(p_facility, p_visit_no, p_number_kind, p_class, p_kind = 'discharge', nullif(p_patient_no, ''), nullif(p_patient_name, ''));
    v_new := v_id is not null;
    v_id := (visits_lock(array[p_facility], array[p_visit_no], array[p_class], array[p_patient_no],
                         array[p_patient_name]))[1];
    select * into v from visit where visit_id = v_id;
    if v.visit_no <> p_visit_no then    -- merged away: the event of an old number says nothing of the new one
        return 'repeated';
    elsif (p_kind = 'reopen' or (p_kind = 'open' and v.state = 'cancelled')) and visit_is_archived(v_id) then
        return 'visit_archived';        -- its lines are in a file
    elsif p_kind in ('discharge', 'reopen', 'cancel') or (p_kind = 'open' and v.state = 'cancelled') then
        if told_before(v_id, p_feed, p_message, p_sent, v.moved_feed, v.moved_at) then
            return 'repeated';
        end if;
        update visit set moved_at = p_sent, moved_feed = p_feed where visit_id = v_id;
    end if;
    if v.state = 'cancelled' and p_kind <> 'open' then
        return case when p_kind = 'cancel' then 'repeated' else 'visit_cancelled' end;
    end if;

    if p_kind in ('open', 'update', 'discharge') and not told_before(v_id, p_feed, p_message, p_sent, v.told_feed, v.told_at) then
        update visit u
           set patient_no = hl7_value(u.patient_no, p_patient_no), patient_name = hl7_value(u.patient_name, p_patient_name),
               birth_date = coalesce(p_birth_date, u.birth_date), sex = hl7_value(u.sex, p_sex),
               class = coalesce(p_class, u.class), department = hl7_value(u.department, p_department),
               location = hl7_value(u.location, p_location),
               admitted_at = case when p_kind = 'open' then coalesce(u.admitted_at, p_at) else u.admitted_at end,
               provisional = u.provisional and p_kind <> 'open', told_at = p_sent, told_feed = p_feed
         where u.visit_id = v_id;
    elsif p_kind = 'open' then          -- of what is known better already, that it is admitted and when
        update visit set admitted_at = coalesce(admitted_at, p_at), provisional = false where visit_id = v_id;
    end if;

    case p_kind
    when 'open' then
        if v.state = 'cancelled' then   -- admitted after all
            update visit set state = 'open', discharged_at = null, discharge_seen_at = null, discharge_feed = null where visit_id = v_id;
            perform note_event('visit', v_id, null, null, 'cancelled', 'open', p_feed, p_message);
            return 'done';
        elsif not v_new and not v.provisional then
            return 'repeated';
        end if;
        perform note_event('visit', v_id, null, null, null, 'open', p_feed, p_message);
    when 'update' then
        perform note_event('visit_update', v_id, null, null, null, null, p_feed, p_message);
    when 'discharge' then
        if v.state <> 'open' then
            return 'repeated';
        end if;
        update visit set state = 'discharged', discharged_at = p_at, discharge_seen_at = now(), discharge_feed = p_feed where visit_id = v_id;
        perform note_event('visit', v_id, null, null, 'open', 'discharged', p_feed, p_message);
    when 'cancel' then
        if v.state in ('billed', 'settled') or exists (select 1 from bill where visit_id = v_id and not interim) then
            return 'visit_closed';
        elsif exists (select from bill_state where visit_id = v_id and live > 0) then
            return 'payment_in_progress';
        elsif v.total <> 0 or exists (select 1 from capture where visit_id = v_id) then
            update visit set disputed = true where visit_id = v_id;
            return 'visit_has_charges';
        end if;
        if v.line_count > 0 then        -- lines that cancel out still belong on a bill
            perform bill_issue(v_id, '{}');
        end if;
        update visit set state = 'cancelled', late_since = null where visit_id = v_id;
        perform note_event('visit', v_id, null, null, v.state, 'cancelled', p_feed, p_message);
    when 'reopen' then
        if v.state = 'open' then
            return 'repeated';
        end if;
        perform visit_reopen(v_id, p_feed, p_message);
    end case;
    return 'done';
end $$;

-- Takes a discharge back. Bills nobody has begun to pay are voided by notes and their lines are billed anew at the next
-- close; once money or a live attempt is on any of them they stand, and new lines go to a supplementary bill.
create or replace function visit_reopen(p_visit bigint, p_feed int, p_message text) returns void
language plpgsql as $$
declare
    v_from text := (select state from visit where visit_id = p_visit);
    v_touched boolean := exists (select 1 from bill_state where visit_id = p_visit and state <> 'void' and (paid > 0 or live > 0));
begin
    if not v_touched then
        perform bills_void(p_visit);
    end if;
    update visit set state = 'open', discharged_at = null, discharge_seen_at = null, discharge_feed = null, late_since = null
     where visit_id = p_visit;
    perform note_event('visit', p_visit, null, null, v_from, 'open', p_feed, p_message);
end $$;

-- Did the visit of the first number go into another one through that of the second?
create or replace function merged_through(p_facility int, p_from text, p_through text) returns boolean language sql stable as $$
    with recursive way as (
        select visit_no, merged_next from visit where facility_id = p_facility and visit_no = p_from
        union
        select n.visit_no, n.merged_next from way w join visit n on n.visit_id = w.merged_next
    )
    select exists (select from way where visit_no = p_through)
$$;

-- Under which number a visit that others were merged into knows a line: '' for its own. p_sent_as: under which it was sent now. That is where it is looked for
-- first, so that the ids of two visits never meet; a line that is not there may have moved with a visit that this number stands for now: a resend is known by
-- its digest, and what a reversal names (no digest) where one line alone can be meant.
create or replace function line_known_as(p_visit bigint, p_feed int, p_line text, p_sent_as text, p_digest uuid) returns text
language plpgsql stable as $$
declare
    v_known text[];
begin
    if p_line is null or exists (select from charge where visit_id = p_visit and feed_id = p_feed and source_line = p_line and sent_as = p_sent_as) then
        return p_sent_as;
    end if;
    select array_agg(c.sent_as order by c.line_no) into v_known
      from charge c join visit v using (visit_id)
     where c.visit_id = p_visit and c.feed_id = p_feed and c.source_line = p_line and c.sent_as <> '' and c.digest = coalesce(p_digest, c.digest)
       and (p_sent_as = '' or merged_through(v.facility_id, c.sent_as, p_sent_as));
    return case when cardinality(v_known) = 1 or p_digest is not null then coalesce(v_known[1], p_sent_as) else p_sent_as end;
end $$;

-- From now on what comes under the old patient number is of the new one, and so is what was of the old one before.
create or replace function patients_link(p_facility int, p_old text, p_new text) returns void language plpgsql as $$
begin
    if p_old = p_new then
        return;
    end if;
    delete from patient_link where facility_id = p_facility and patient_no = p_new;         -- it was merged away once, and is alive again
    update patient_link set into_no = p_new where facility_id = p_facility and into_no = p_old and patient_no <> p_new;
    insert into patient_link values (p_facility, p_old, p_new)
    on conflict (facility_id, patient_no) do update set into_no = excluded.into_no;
end $$;

-- The visit is another patient's (A44, A45). Locks the visit.
create or replace function visit_move(p_facility int, p_visit_no text, p_patient_no text, p_patient_name text, p_feed int, p_message text) returns text
language plpgsql as $$
declare
    v visit;
begin
    select * into v from visit where facility_id = p_facility and visit_no = p_visit_no for no key update;
    if not found then
        return 'visit_unknown';
    elsif v.merged_into is not null or (v.patient_no is not distinct from p_patient_no) then
        return 'repeated';
    end if;
    update visit set patient_no = p_patient_no, patient_name = hl7_value(patient_name, p_patient_name) where visit_id = v.visit_id;
    perform note_event('visit_update', v.visit_id, null, null, null, null, p_feed, p_message, jsonb_build_object('patient', 'moved'));
    return 'done';
end $$;

-- Is a line that names this patient, sent under this visit number, at odds with the visit? Patients that were merged are one, and a number that was merged
-- into another visit has its own patient. Nothing is said where one of the two is not known.
create or replace function other_patient(v visit, p_sent_as text, p_said text) returns boolean
language plpgsql stable as $$
declare
    v_known text := v.patient_no;
begin
    if p_said is null or p_said = '' or v_known = p_said then
        return false;
    elsif p_sent_as <> v.visit_no then
        v_known := (select patient_no from visit where facility_id = v.facility_id and visit_no = p_sent_as);
    end if;
    return coalesce(v_known <> p_said, false)
       and not exists (select from patient_link where facility_id = v.facility_id and patient_no = p_said and into_no = v_known)
       and not exists (select from patient_link where facility_id = v.facility_id and patient_no = v_known and into_no = p_said);
end $$;

-- Merges p_other_visit_no into p_visit_no. Lines stay where they were booked: each is taken back on the old visit by a transfer
-- line of feed 0 and booked on the surviving one with the number that it was sent under, where resends and reversals find it (line_known_as).
-- Without visit numbers only the patients are merged.
create or replace function visit_merge(p_facility int, p_visit_no text, p_other_visit_no text, p_patient_no text,
    p_other_patient_no text, p_feed int, p_message text) returns text
language plpgsql as $$
declare
    v_ids bigint[];
    v_from visit;
    v_into visit;
    v_total bigint;
    v_lines int;
begin
    if coalesce(p_other_visit_no, '') = '' or p_visit_no is null
       or not exists (select 1 from visit where facility_id = p_facility and visit_no = p_other_visit_no) then
        if coalesce(p_other_patient_no, '') <> '' and coalesce(p_patient_no, '') <> '' then
            perform 1 from visit
              where visit_id in (select visit_id from visit where facility_id = p_facility and patient_no = p_other_patient_no
                                  union
                                 select visit_id from visit where facility_id = p_facility and visit_no = p_visit_no
                                  union
                                 select visit_id from visit where facility_id = p_facility and visit_no = p_other_visit_no)
              order by visit_id for no key update;
            perform patients_link(p_facility, p_other_patient_no, p_patient_no);
            update visit set patient_no = p_patient_no
             where facility_id = p_facility and patient_no = p_other_patient_no and state in ('open', 'discharged', 'billed');
        end if;
        if coalesce(p_other_visit_no, '') = '' or p_visit_no is null then
            return 'done';
        end if;
    end if;
    if p_other_visit_no = p_visit_no then
        return 'merge_self';
    end if;
    v_ids := visits_lock(array[p_facility, p_facility], array[p_visit_no, p_other_visit_no], array[null, null]::text[],
                         array[p_patient_no, p_other_patient_no], array[null, null]::text[]);
    if v_ids[1] = v_ids[2] then
        return 'repeated';
    end if;
    select * into v_into from visit where visit_id = v_ids[1];
    select * into v_from from visit where visit_id = v_ids[2];
    if v_from.visit_no <> p_other_visit_no then     -- it went into another visit before: that one is not ours to move
        return 'merge_other';
    elsif v_into.state = 'cancelled' or v_from.state = 'cancelled' then
        return 'visit_cancelled';
    elsif visit_is_archived(v_into.visit_id) or visit_is_archived(v_from.visit_id) then
        return 'visit_archived';
    elsif abs(v_into.total + v_from.total) > 9999999999999999 then
        return 'amount_too_large';
    end if;
    if exists (select 1 from bill_state where visit_id = v_from.visit_id and state <> 'void' and (paid > 0 or live > 0))
       or exists (select 1 from capture where visit_id = v_from.visit_id) then
        return 'visit_paid';
    end if;
    perform bills_void(v_from.visit_id);

    -- onto the survivor, in line order; what had moved before keeps its name
    insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at, posted_at, digest,
           source_line, message_id, item_code, item_name, national_code, class, unit, department, performer, orderer, order_no, reverses_line, warning,
           sent_as, reverses_as)
    select v_into.visit_id, v_into.line_count + (row_number() over (order by c.line_no))::int, c.feed_id, c.kind, c.category, c.self_pay_e4,
           c.quantity_e4, c.unit_price_e6, c.amount, c.charged_at, now(), c.digest,
           c.source_line, c.message_id, c.item_code, c.item_name, c.national_code, c.class, c.unit, c.department, c.performer,
           c.orderer, c.order_no,
           c.reverses_line, c.warning, coalesce(nullif(c.sent_as, ''), v_from.visit_no),
           case when c.reverses_line is null then '' else coalesce(nullif(c.reverses_as, ''), v_from.visit_no) end
      from charge c
     where c.visit_id = v_from.visit_id and c.feed_id <> 0;
    get diagnostics v_lines = row_count;
    select coalesce(sum(amount), 0) into v_total from charge
     where visit_id = v_into.visit_id and line_no > v_into.line_count;
    update visit set total = total + v_total, line_count = line_count + v_lines, absorbed = true,
                     late_since = case when state in ('billed', 'settled') and v_lines > 0 then coalesce(late_since, now()) else late_since end
     where visit_id = v_into.visit_id;

    -- off the old one
    insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at, posted_at, digest,
           source_line, message_id, item_code, item_name, national_code, class, unit, department, performer, orderer, order_no, sent_as)
    select v_from.visit_id, v_from.line_count + (row_number() over (order by c.line_no))::int, 0, 'AJ', c.category, c.self_pay_e4,
           c.quantity_e4, c.unit_price_e6, -c.amount, c.charged_at, now(), c.digest,
           c.feed_id || '/' || c.source_line, p_message, c.item_code, c.item_name, c.national_code, c.class, c.unit,
           c.department, c.performer, c.orderer, c.order_no, c.sent_as
      from charge c where c.visit_id = v_from.visit_id and c.feed_id <> 0;
    update visit set total = total - v_total, line_count = line_count + v_lines where visit_id = v_from.visit_id;
    if v_lines > 0 or v_from.line_count > 0 then
        perform bill_issue(v_from.visit_id, '{}');
    end if;
    update visit set state = 'merged', merged_into = v_into.visit_id, merged_next = v_into.visit_id, late_since = null where visit_id = v_from.visit_id;
    update visit set merged_into = v_into.visit_id where merged_into = v_from.visit_id;
    perform note_event('visit', v_from.visit_id, null, null, v_from.state, 'merged', p_feed, p_message,
                       jsonb_build_object('into', v_into.visit_no, 'lines', v_lines, 'amount', yuan(v_total)));
    perform note_event('visit_merge', v_into.visit_id, null, null, null, null, p_feed, p_message,
                       jsonb_build_object('from', v_from.visit_no, 'lines', v_lines, 'amount', yuan(v_total)));
    return 'done';
end $$;

-- A batch of visit events in the order given; an outcome each, in the same order. Kinds: open, update, discharge, cancel, reopen, merge, move, payment
-- (money taken elsewhere). p_sent: when it was sent. Null leaves a value, '' deletes it. p_number_kind, p_other_kind: of p_visit_no and p_other_visit_no, see
-- visit_named; p_account, p_alternate: further numbers of the visit. Locks the numbers of a kind that is not the visit's, then the visits of all of them, in
-- visit_id order.
create or replace function visit_events(p_kind text[], p_feed int[], p_facility int[], p_visit_no text[], p_message text[],
    p_sent timestamptz[], p_at timestamptz[], p_patient_no text[], p_patient_name text[], p_birth_date date[], p_sex text[], p_class text[],
    p_department text[], p_location text[], p_other_visit_no text[], p_other_patient_no text[],
    p_amount bigint[], p_source_line text[], p_digest uuid[], p_number_kind text[] default null, p_other_kind text[] default null,
    p_account text[] default null, p_alternate text[] default null)
returns text[]
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_outcomes text[] := '{}';
    v_no text;
    v_other text;
    v visit;
    i int;
begin
    perform number_lock(facility_id, number) from (     -- who posts under such a number takes both in this order, too
        select distinct n.facility_id, n.number
          from unnest(p_facility || p_facility || p_facility, p_account || p_alternate || p_visit_no, p_visit_no || p_visit_no || p_number_kind)
               n (facility_id, number, visit_no_or_kind)
         where n.number <> '' and n.visit_no_or_kind is not null and n.number <> n.visit_no_or_kind
           and not exists (select from visit_number k join visit o using (visit_id)
                            where k.facility_id = n.facility_id and k.number = n.number and o.visit_no = n.visit_no_or_kind)
         order by 1, 2) fresh;
    if cardinality(p_kind) > 1 then     -- they come in the order in which they were sent, and lock in that of the visits
        perform visits_hold(p_facility || p_facility, p_visit_no || p_other_visit_no, p_account || p_alternate,
                            (select array_agg(case when p_visit_no[x] is null then p_patient_no[x] end order by x)
                               from generate_series(1, cardinality(p_kind)) x) || p_other_patient_no);
    elsif p_account[1] is not null or p_alternate[1] is not null then
        perform visits_hold(array[p_facility[1], p_facility[1]], array[p_visit_no[1]], array[p_account[1], p_alternate[1]], null);
    end if;
    for i in 1 .. cardinality(p_kind) loop
        v_no := coalesce(case when p_kind[i] <> 'open' or p_number_kind[i] is not null
                              then visit_named(p_facility[i], p_visit_no[i], p_number_kind[i], p_patient_no[i]) end, p_visit_no[i]);
        if v_no <> p_visit_no[i] and v_no <> '' then    -- another number of the visit: it is that of what the visit went into, too
            v_no := (select coalesce(s.visit_no, o.visit_no) from visit o left join visit s on s.visit_id = o.merged_into
                      where o.facility_id = p_facility[i] and o.visit_no = v_no);
        end if;
        v_other := coalesce(visit_named(p_facility[i], p_other_visit_no[i], p_other_kind[i], p_other_patient_no[i]), p_other_visit_no[i]);
        if v_no = '' or (v_other = '' and p_other_visit_no[i] <> '') then
            v_outcomes[i] := 'visit_ambiguous';
            continue;
        end if;
        v_outcomes[i] := case p_kind[i]
            when 'payment' then
                capture_elsewhere(p_feed[i], p_facility[i], v_no, p_source_line[i], p_amount[i], p_at[i], p_digest[i],
                                  p_patient_no[i], p_patient_name[i], p_class[i], p_number_kind[i])
            else
                visit_event_one(p_kind[i], p_feed[i], p_facility[i], v_no, p_message[i], p_sent[i], p_at[i],
                                p_patient_no[i], p_patient_name[i], p_birth_date[i], p_sex[i], p_class[i], p_department[i], p_location[i],
                                v_other, p_other_patient_no[i], p_number_kind[i])
            end;
        if (p_account[i] <> '' or p_alternate[i] <> '') and p_kind[i] in ('open', 'update', 'discharge') and v_outcomes[i] in ('done', 'repeated') then
            select * into v from visit where facility_id = p_facility[i] and visit_no = v_no and state not in ('merged', 'cancelled');
            if found then
                perform visit_number_note(v, 'account', p_account[i], p_feed[i], p_message[i]);
                perform visit_number_note(v, 'alternate', p_alternate[i], p_feed[i], p_message[i]);
            end if;
        end if;
    end loop;
    return v_outcomes;
end $$;
