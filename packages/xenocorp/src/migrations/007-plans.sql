-- Live leases by a side of theirs, as a value that no ended lease has. Only the indexes below serve it, so that what the planner believes of a
-- long history cannot lead it through all of that.
create function live_side(lease jsonb, side text) returns text language sql immutable parallel safe as $$
  select case when lease->>'state' not in ('settled', 'final', 'lapsed') then lease->>side end
$$;
drop index entity_live_customer;
drop index entity_live_owner;
create index entity_live_customer on entity (live_side(data, 'customer')) where kind = 'lease' and live_side(data, 'customer') is not null;
create index entity_live_owner on entity (live_side(data, 'owner')) where kind = 'lease' and live_side(data, 'owner') is not null;

-- One kind to an index, so that nothing is left of a query that another index might be joined in for.
drop index entity_key_party;
create index entity_key_party on entity ((data->>'party')) where kind = 'key';
create index entity_account_party on entity ((data->>'party')) where kind = 'account';
