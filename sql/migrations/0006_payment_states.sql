-- The states of an attempt.
create domain payment_state as text;
alter table payment
    drop constraint payment_state_check,
    alter column state type payment_state;
alter domain payment_state add check (value in ('created', 'pending', 'unknown', 'succeeded', 'closed', 'failed'));
