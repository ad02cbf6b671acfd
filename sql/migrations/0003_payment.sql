-- Attempts to collect, the money that channels confirmed, and what it was used for.

-- One attempt through one channel; an order number is used once. The row is a head: its life is in event.
create table payment (
    payment_id      bigint generated always as identity primary key,
    public_id       text collate "C" not null unique,
    facility_id     int not null references facility,
    visit_id        bigint not null references visit,
    bill_id         bigint not null references bill,
    bill_version    int not null,                       -- pinned: the bill as the payer saw it
    channel         text not null references account,   -- its money is on the account of its name
    merchant        text not null default '',
    amount          bigint not null check (amount > 0),
    state           text not null check (state in ('created', 'pending', 'unknown', 'succeeded', 'closed', 'failed')),
    reason          text,
    out_trade_no    text collate "C" not null unique,
    code_url        text,
    client          text not null,
    idempotency_key text not null,
    request_digest  uuid not null,
    created_at      timestamptz not null default now(),
    expires_at      timestamptz not null,
    next_check_at   timestamptz not null,
    checks          int not null default 0,
    unique (client, idempotency_key)
) with (fillfactor = 60);
create index payment_live on payment (next_check_at) where state in ('created', 'pending', 'unknown');
create index payment_bill on payment (bill_id);

-- Money that a channel confirmed. A transaction id counts once.
create table capture (
    capture_id     bigint generated always as identity primary key,
    visit_id       bigint not null references visit,
    payment_id     bigint references payment,           -- none for money taken elsewhere
    channel        text not null references account,
    transaction_id text collate "C" not null,
    amount         bigint not null check (amount > 0),
    captured_at    timestamptz not null,
    received_at    timestamptz not null default now(),
    feed_id        int references feed,
    digest         uuid,
    unique (channel, transaction_id)
);
create index capture_visit on capture (visit_id);
create index capture_payment on capture (payment_id);

-- What pays for a bill: part of a capture, or part of a credit note.
create table application (
    application_id bigint generated always as identity primary key,
    at             timestamptz not null default now(),
    visit_id       bigint not null,
    bill_id        bigint not null references bill,
    capture_id     bigint references capture,
    credit_bill_id bigint references bill,
    amount         bigint not null check (amount > 0),
    check ((capture_id is null) <> (credit_bill_id is null))
);
create index application_bill on application (bill_id);
create index application_visit on application (visit_id);
create index application_capture on application (capture_id);

-- Numbers run without a gap per facility and year: the counter row is locked until the receipt is committed.
create table receipt_counter (
    facility_id int not null references facility,
    year        int not null,
    last        bigint not null,
    primary key (facility_id, year)
) with (fillfactor = 50);
create table receipt (
    receipt_id  bigint generated always as identity primary key,
    public_id   text collate "C" not null unique,
    facility_id int not null references facility,
    year        int not null,
    number      bigint not null,
    visit_id    bigint not null,
    bill_id     bigint not null references bill,
    capture_id  bigint not null unique references capture,
    amount      bigint not null,
    issued_at   timestamptz not null default now(),
    unique (facility_id, year, number)
);

create trigger append_only before update or delete or truncate on capture
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on application
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on receipt
    for each statement execute function refuse_change();
