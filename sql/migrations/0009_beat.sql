-- The daemons' heartbeat: one small row that each of them writes once a second. As long as such a commit comes back, the server writes, its disk has room,
-- and the standby that commits wait for is there.
create table beat (
    one boolean primary key default true check (one),
    at  timestamptz not null default now()
);
insert into beat default values;
