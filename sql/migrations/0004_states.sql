-- Lists of values as domains. PostgreSQL parses a CHECK constraint anew for each statement that writes its table, whatever the statement sets; a domain is
-- looked at only where its column is set, and parsed once a session. What stays a CHECK speaks of several columns.

create domain visit_state as text check (value in ('open', 'discharged', 'billed', 'settled', 'cancelled', 'merged'));
create domain visit_class as text check (value in ('outpatient', 'emergency', 'inpatient', 'unknown'));
alter table visit
    drop constraint visit_check,
    alter column state type visit_state,
    alter column class type visit_class,
    add check (visit_no <> '' and (state = 'merged') = (merged_into is not null) and billed_line <= line_count);

-- The checks of invariant 7 as one: live attempts never add up to more than what is outstanding.
create domain bill_condition as text check (value in ('open', 'settled', 'void'));
alter table bill_state
    drop constraint bill_state_state_check,
    drop constraint bill_state_paid_check,
    drop constraint bill_state_live_check,
    drop constraint bill_state_check,
    drop constraint bill_state_check1,
    drop constraint bill_state_check2,
    alter column state type bill_condition,
    add check (case when total >= 0 then least(paid, credited, live) >= 0 and paid + credited + live <= total
                    else paid = 0 and live = 0 and credited between total and 0 end
               and (state <> 'settled' or paid + credited = total));

create domain payment_state as text check (value in ('created', 'pending', 'unknown', 'succeeded', 'closed', 'failed'));
alter table payment
    drop constraint payment_state_check,
    alter column state type payment_state;

create domain journal_kind as text check (value in ('bill', 'void', 'capture', 'apply'));
drop view journal_posting;
alter table journal
    drop constraint journal_kind_check,
    alter column kind type journal_kind;
create view journal_posting as
    select j.entry_id, j.at, j.kind, j.visit_id, j.bill_id, j.capture_id, p.account, p.amount
      from journal j, unnest(j.accounts, j.amounts) p (account, amount);
