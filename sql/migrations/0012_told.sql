-- What feeds say in their own order, and by the numbers that they know.

-- Over the limit is computed: the class, the total and the facility's limits may all change.
alter table visit drop column over_limit, drop column credit_limit;

-- When the newest of what was told about the visit was sent, and by whom: what the same feed sent earlier comes too late to change it.
alter table visit add column told_at timestamptz, add column told_feed int references feed,     -- who it is: name, class, place
                  add column moved_at timestamptz, add column moved_feed int references feed;   -- its discharge, and what takes it back

-- Patient numbers that a merge ended, with the one that each went into: charges may still come under the old one.
create table patient_link (
    facility_id int not null references facility,
    patient_no  text collate "C" not null,
    into_no     text collate "C" not null,
    primary key (facility_id, patient_no),
    check (patient_no <> into_no)
);
