-- What a feed sent, kept so that it can be shown at the cost of what is shown: messages by type and outcome, gaps in its sequence numbers, and lines that came
-- again in another message.

-- Of the lines, beside intake_tally, which every batch writes: those that nobody should have to look for. Shards as there; daemons, which tell the first two,
-- have one of their own.
create table feed_lines (
    feed_id       int not null,
    day           date not null,
    shard         smallint not null,
    unlisted      bigint not null default 0,    -- booked without a category, of a code that the price list does not have
    price_differs bigint not null default 0,    -- booked at another price than the list's
    again         bigint not null default 0,    -- of an id that another message had booked, with the same content: a part of duplicate
    again_other   bigint not null default 0,    -- the same with other content: conflicts
    primary key (feed_id, day, shard)
) with (fillfactor = 50);

-- Messages by day, type and outcome; days that are not shown any more are deleted. type: MSH-9, a request, or other; a feed cannot make them many.
create table feed_message (
    feed_id  int not null references feed,
    day      date not null,
    type     text collate "C" not null,
    outcome  text collate "C" not null,         -- accepted, ignored, unavailable, or the first reason
    messages bigint not null,
    last_at  timestamptz not null,
    last_id  text,                              -- MSH-10 of the last one
    primary key (feed_id, day, type, outcome)
) with (fillfactor = 50);

-- Sequence numbers (MSH-13) of feeds that send them, since the first one that was seen.
create table feed_sequence (
    feed_id  int primary key references feed,
    last     bigint not null,
    gaps     bigint not null default 0,         -- that are there now: what came late closes one
    missing  bigint not null default 0,         -- numbers in them
    unknown  bigint not null default 0,         -- numbers, at most, of which no daemon had the room to tell whether they came
    restarts bigint not null default 0,
    since    timestamptz not null default now(),
    anew_at  timestamptz not null default clock_timestamp()     -- when it last began to count: older gaps are of other numbers
) with (fillfactor = 50);

-- The newest gaps of each feed, and all that what comes late may still close.
create table feed_gap (
    gap_id  bigint generated always as identity,
    feed_id int not null references feed,
    at      timestamptz not null default now(),
    before  bigint not null,                    -- the numbers on each side
    after   bigint not null,
    missing int8multirange not null,            -- that have not come since
    primary key (feed_id, gap_id)
);

-- The newest lines that came again in another message; a few places a feed, made with it, so that none is ever waited for.
create table feed_again (
    feed_id          int not null references feed,
    place            smallint not null,
    at               timestamptz,               -- null: nothing is here yet
    visit_id         bigint,
    source_line      text,
    message_id       text,
    first_message_id text,
    same_content     boolean,
    primary key (feed_id, place)
) with (fillfactor = 50);
insert into feed_again (feed_id, place) select feed_id, place from feed, generate_series(1, 10) place where feed_id > 0;
