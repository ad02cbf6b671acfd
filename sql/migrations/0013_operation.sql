-- What was asked when something could not be booked: two equal bodies of two routes are two things, and each is replayed as what it was. Empty: kept
-- before it was written down.
alter table quarantine_message add column operation text collate "C" not null default '';
