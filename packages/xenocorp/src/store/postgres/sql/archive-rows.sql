-- Of [{lease, version, start, bytes, digest}] in $2, which lie in the file $1, those whose rows are here and as they were written there: a
-- stub stays of each. What another broker moves at this moment is left to it.
with given as materialized (
  select g->>'lease' as lease, (g->>'version')::int as version, (g->>'start')::int as start, (g->>'bytes')::int as bytes, (g->>'digest')::uuid as digest
    from jsonb_array_elements($2::jsonb) g
), here as materialized (
  select a.lease from archived a where a.lease = any(array(select lease from given)) and a.row_file is null order by a.lease for update skip locked
), gone as (
  update entity e set data = lease_stub(e.data)
    from given join here using (lease)
   where e.kind = 'lease' and e.id = given.lease and e.id = any(array(select lease from given))
     and e.version = given.version and over_since(e.data) is not null
  returning e.id
)
update archived a set row_file = $1, row_start = given.start, row_bytes = given.bytes, row_digest = given.digest
  from given join gone on gone.id = given.lease
 where a.lease = given.lease and a.lease = any(array(select lease from given))
