-- Stops that customers signed ahead, to be filed once nobody of theirs is there any more: one for each lease, gone with it. due: in broker
-- time, put off while somebody is there. A backup leaves them out: whoever is there after a restore says them again.
create table will (
  lease text collate "C" primary key,
  party text collate "C" not null,
  -- whose signature it has, and who alone may take it back
  key text not null,
  envelope jsonb not null,
  due bigint not null
);
create index will_due on will (due);
create index will_party on will (party);
