-- The kinds of journal entries. The view is made anew around the change of its column.
create domain journal_kind as text;
drop view journal_posting;
alter table journal
    drop constraint journal_kind_check,
    alter column kind type journal_kind;
alter domain journal_kind add check (value in ('bill', 'void', 'capture', 'apply'));
create view journal_posting as
    select j.entry_id, j.at, j.kind, j.visit_id, j.bill_id, j.capture_id, p.account, p.amount
      from journal j, unnest(j.accounts, j.amounts) p (account, amount);
