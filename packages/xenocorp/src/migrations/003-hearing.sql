create table hearing (one boolean primary key check (one), at bigint not null);
drop index entity_lease_server;
create index entity_lease_server on entity ((data->>'server'))
  where kind = 'lease' and data->>'state' not in ('closed', 'settled', 'final', 'lapsed');
