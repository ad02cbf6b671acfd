-- An item may leave the price list: from a day on it is not active. (Where a later day has a row of its own, that counts again.)
alter table item add column active boolean not null default true;
