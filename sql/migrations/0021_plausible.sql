-- What a visit may come to before a person has to look: in all, and by the lines of one day.
alter table facility add column visit_amount bigint check (visit_amount > 0),           -- fen; null: no limit
                     add column visit_day_amount bigint check (visit_day_amount > 0);
