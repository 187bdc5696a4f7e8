-- Where the row of a lease lies whose receipt is in the archive, once it has gone there, too: in which file (named by its SHA-256), where in
-- it, and the first half of the SHA-256 of those bytes. All null: the row is here, whole.
alter table archived add column row_file text, add column row_start int, add column row_bytes int, add column row_digest uuid;
create index archived_row_here on archived (over, lease) where row_file is null;

-- What stays of such a row: what lists are ordered by, what says who may see it, and when it was over.
create function lease_stub(lease jsonb) returns jsonb language sql immutable parallel safe as $$
  select jsonb_object_agg(key, value) || '{"archived": true}' from jsonb_each(lease)
   where key in ('id', 'customer', 'account', 'label', 'owner', 'serverKey', 'issuedAt', 'state', 'toldAt')
$$;
