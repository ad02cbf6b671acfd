-- What a visit may come to before a person has to look: in all, and by the lines of one day.
alter table facility add column visit_amount bigint check (visit_amount > 0),           -- fen; null: no limit
                     add column visit_day_amount bigint check (visit_day_amount > 0);

-- Charges that look like one that is there already: of the same patient, code, day, quantity and sign under another id. Found after a bill is issued, never
-- refused; a person says that they are none.
create table lookalike (
    lookalike_id   bigint generated always as identity primary key,
    found_at       timestamptz not null default now(),
    facility_id    int not null references facility,
    visit_id       bigint not null,             -- the later of the two lines, by visit and line number
    line_no        int not null,
    other_visit_id bigint not null,
    other_line_no  int not null,
    unique (visit_id, line_no, other_visit_id, other_line_no),
    check ((other_visit_id, other_line_no) < (visit_id, line_no))
);
create index lookalike_facility on lookalike (facility_id, lookalike_id);

create table lookalike_dismissal (
    lookalike_id bigint primary key references lookalike,
    at           timestamptz not null default now(),
    dismissed_by text not null,
    why          text not null check (why <> '')
);
create trigger append_only before update or delete or truncate on lookalike for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on lookalike_dismissal for each statement execute function refuse_change();

-- Heads: those that no one has dismissed, and the bills whose lines are still to be looked at.
create table lookalike_waiting (
    facility_id  int not null,
    lookalike_id bigint not null,
    primary key (facility_id, lookalike_id)
);
create table lookalike_due (
    bill_id   bigint primary key,
    failed_at timestamptz                       -- it could not be looked at then: others go first
);
