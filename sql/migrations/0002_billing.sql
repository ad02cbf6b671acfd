-- Bills, the journal, and the money that comes in. Balances are held by CHECK constraints on immutable rows.

create function total_of(numbers bigint[]) returns bigint language sql immutable strict parallel safe as
$$ select coalesce(sum(n), 0)::bigint from unnest(numbers) n $$;

-- An immutable statement over the lines first_line..last_line of a visit. Within a generation the ranges chain:
-- each bill starts where the one before ended, which the foreign key and the unique keys enforce, so a line
-- is in exactly one bill. A void note covers no lines; it takes back the bill that it names.
create table bill (
    bill_id      bigint generated always as identity primary key,
    public_id    text collate "C" not null unique,      -- in URLs; not guessable
    facility_id  int not null references facility,
    visit_id     bigint not null references visit,
    sequence     int not null,                          -- nth document of the visit
    bill_no      text collate "C" not null,
    kind         text not null check (kind in ('bill', 'supplement', 'credit_note', 'void_note')),
    generation   int not null,
    first_line   int,
    last_line    int,
    prev_line    int,
    total        bigint not null,
    subtotals    bigint[] not null,                     -- categories 01 to 14, fen
    pooled_fund        bigint not null default 0,       -- the payers' shares
    supplementary_fund bigint not null default 0,
    personal_account   bigint not null default 0,
    family_account     bigint not null default 0,
    personal_cash      bigint not null,
    hospital_borne     bigint not null default 0,
    voids_bill_id bigint unique references bill,
    silent_feeds text[] not null default '{}',          -- issued without waiting further for these
    issued_at    timestamptz not null default now(),
    due_at       timestamptz not null,
    unique (facility_id, bill_no),
    unique (visit_id, sequence),
    unique (visit_id, generation, last_line),
    unique (visit_id, generation, prev_line),
    unique (visit_id, generation, first_line),
    foreign key (visit_id, generation, prev_line) references bill (visit_id, generation, last_line),
    check (array_length(subtotals, 1) = 14 and total_of(subtotals) = total),
    check (pooled_fund + supplementary_fund + personal_account + family_account + personal_cash
           + hospital_borne = total),
    check (case when kind = 'void_note'
           then voids_bill_id is not null and first_line is null and last_line is null and prev_line is null
           else voids_bill_id is null and first_line is not null and last_line is not null and first_line <= last_line
                and (first_line = 1) = (prev_line is null) and coalesce(prev_line, 0) = first_line - 1 end),
    check (kind <> 'credit_note' or total < 0)
);
create trigger append_only before update or delete or truncate on bill
    for each statement execute function refuse_change();

-- What of a bill is collected: the small row that changes. The checks are invariant 7: live attempts never add
-- up to more than what is outstanding.
create table bill_state (
    bill_id  bigint primary key references bill,
    visit_id bigint not null,
    state    text not null check (state in ('open', 'settled', 'void')),
    version  int not null default 1,                    -- grows with every change a payer would see
    total    bigint not null,
    paid     bigint not null default 0 check (paid >= 0),
    credited bigint not null default 0,                 -- from credit notes; negative on the note itself
    live     bigint not null default 0 check (live >= 0),
    check (total < 0 or (credited >= 0 and paid + credited + live <= total)),
    check (total >= 0 or (paid = 0 and live = 0 and credited between total and 0)),
    check (state <> 'settled' or paid + credited = total)
) with (fillfactor = 50);
create index bill_state_visit on bill_state (visit_id);

create table account (
    code text primary key,
    type text not null check (type in ('asset', 'liability', 'revenue', 'expense')),
    name text not null
);
insert into account values
    ('receivable', 'asset', 'owed by patients'),
    ('cash', 'asset', 'cash desk'),
    ('wechatpay', 'asset', 'WeChat Pay, to be settled'),
    ('elsewhere', 'asset', 'taken by other systems'),
    ('credit', 'liability', 'captured, not applied to a bill');
insert into account select 'revenue:' || code, 'revenue', name from category;

-- Double entry, one row an entry: debits positive, credits negative, and a row that does not balance cannot exist.
create table journal (
    entry_id   bigint generated always as identity primary key,
    at         timestamptz not null default now(),
    kind       text not null check (kind in ('bill', 'void', 'capture', 'apply')),
    visit_id   bigint not null,
    bill_id    bigint references bill,
    capture_id bigint,
    accounts   text[] not null,
    amounts    bigint[] not null,
    check (cardinality(accounts) = cardinality(amounts) and cardinality(accounts) >= 2),
    check (array_position(amounts, null) is null and array_position(accounts, null) is null),
    check (total_of(amounts) = 0)
);
create index journal_visit on journal (visit_id);
create trigger append_only before update or delete or truncate on journal
    for each statement execute function refuse_change();
create view journal_posting as
    select j.entry_id, j.at, j.kind, j.visit_id, j.bill_id, j.capture_id, p.account, p.amount
      from journal j, unnest(j.accounts, j.amounts) p (account, amount);
