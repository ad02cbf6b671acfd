-- The checks of invariant 7 as one: live attempts never add up to more than what is outstanding.
create domain bill_condition as text;
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
alter domain bill_condition add check (value in ('open', 'settled', 'void'));
