-- What timers and scrapes ask for is kept where it changes, so that it costs the same however many years are stored.

-- How many visits, attempts and waiting quarantine entries there are of each state or reason. A change is a row that nobody waits for; the heartbeat adds
-- the rows up.
create table kept_count (
    kind text collate "C" not null,                 -- visit, payment, quarantine
    name text collate "C" not null,                 -- the state; channel and state; the reason
    n    bigint not null,
    primary key (kind, name)
);
create table kept_change (
    kind text collate "C" not null,
    name text collate "C" not null,
    n    bigint not null
);

create function visit_counted() returns trigger language plpgsql set search_path from current as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_change values ('visit', new.state, 1);
    elsif new.state <> old.state then
        insert into kept_change values ('visit', old.state, -1), ('visit', new.state, 1);
    end if;
    return null;
end $$;
create trigger counted_new after insert on visit for each row execute function visit_counted();
create trigger counted after update of state on visit for each row execute function visit_counted();

create function payment_counted() returns trigger language plpgsql set search_path from current as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_change values ('payment', new.channel || ' ' || new.state, 1);
    elsif new.state <> old.state then
        insert into kept_change values ('payment', old.channel || ' ' || old.state, -1), ('payment', new.channel || ' ' || new.state, 1);
    end if;
    return null;
end $$;
create trigger counted_new after insert on payment for each row execute function payment_counted();
create trigger counted after update of state on payment for each row execute function payment_counted();

-- Entries that are not resolved; held: they wait for their original.
create table quarantine_waiting (
    quarantine_id bigint primary key references quarantine,
    held          boolean not null
);
create index quarantine_held on quarantine_waiting (quarantine_id) where held;

create function quarantine_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'quarantine', reason, count(*) from fresh group by reason;
    insert into quarantine_waiting select quarantine_id, awaits_line is not null from fresh;
    return null;
end $$;
create trigger counted after insert on quarantine referencing new table as fresh for each statement execute function quarantine_counted();

create function resolution_counted() returns trigger language plpgsql set search_path from current as $$
begin
    insert into kept_change select 'quarantine', q.reason, -count(*) from fresh join quarantine q using (quarantine_id) group by q.reason;
    delete from quarantine_waiting w using fresh where w.quarantine_id = fresh.quarantine_id;
    return null;
end $$;
create trigger counted after insert on quarantine_resolution referencing new table as fresh for each statement execute function resolution_counted();

-- When each bill that somebody owes is looked at: at its due time.
create table bill_due (
    bill_id  bigint primary key references bill,
    visit_id bigint not null references visit,
    due_at   timestamptz not null
);
create index bill_due_at on bill_due (due_at);

-- What is there already.
insert into kept_count select 'visit', state, count(*) from visit group by state;
insert into kept_count select 'payment', channel || ' ' || state, count(*) from payment group by channel, state;
insert into kept_count
select 'quarantine', q.reason, count(*) from quarantine q
 where not exists (select from quarantine_resolution r where r.quarantine_id = q.quarantine_id) group by q.reason;
insert into quarantine_waiting
select q.quarantine_id, q.awaits_line is not null from quarantine q
 where not exists (select from quarantine_resolution r where r.quarantine_id = q.quarantine_id);
insert into bill_due
select b.bill_id, b.visit_id, b.due_at from bill b join bill_state s using (bill_id) join visit v on v.visit_id = b.visit_id
 where s.state = 'open' and s.total > 0 and not v.overdue;
