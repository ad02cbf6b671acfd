-- Closing without a message: bills over the lines so far while a visit is open, and rules that end a visit.

create domain bill_kind as text;
alter table bill
    drop constraint bill_kind_check,
    alter column kind type bill_kind,
    add column interim boolean not null default false,      -- issued while the visit was open, by settle now
    add check (case kind when 'interim' then interim and total >= 0 when 'void_note' then not interim else true end);
alter domain bill_kind add check (value in ('interim', 'bill', 'supplement', 'credit_note', 'void_note'));

-- Who told of the discharge: where it waits for feeds, that one has said all that came before. Null: a rule of the house.
alter table visit add column discharge_feed int references feed;
update visit set discharge_feed = moved_feed where state = 'discharged';

-- What ends a visit of a class that no message ends; a class without a row waits for its message.
create table close_rule (
    facility_id int not null references facility,
    class       visit_class not null,
    idle        interval,                       -- nothing was booked or told for so long
    daily       time,                           -- at this time of day, of the hospital's zone
    primary key (facility_id, class),
    check ((idle is null) <> (daily is null) and coalesce(idle, '1 s') > '0')
);

-- When each open visit of such a class is looked at next: at its end, or earlier where something was booked since.
create table visit_ending (
    visit_id bigint primary key references visit,
    look_at  timestamptz not null
) with (fillfactor = 50);
create index visit_ending_at on visit_ending (look_at);
-- for the open visits of a class whose rule changed
create index visit_open on visit (facility_id, class) where state = 'open';

-- When a rule ends a visit about which the last thing happened at p_last.
create function close_rule_end(r close_rule, p_last timestamptz) returns timestamptz language sql stable as $$
    select case when r.idle is not null then p_last + r.idle
                else date_trunc('day', p_last) + r.daily + case when p_last::time < r.daily then interval '0' else interval '1 day' end end
$$;

create function visit_ends() returns trigger language plpgsql set search_path from current as $$
begin
    delete from visit_ending where visit_id = new.visit_id;
    insert into visit_ending select new.visit_id, close_rule_end(r, now()) from close_rule r
     where r.facility_id = new.facility_id and r.class = new.class and new.state = 'open';
    return null;
end $$;
create trigger ends_new after insert on visit for each row execute function visit_ends();
create trigger ends after update of state, class on visit for each row
    when (old.state is distinct from new.state or old.class is distinct from new.class) execute function visit_ends();
