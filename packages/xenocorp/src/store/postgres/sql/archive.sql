-- The lease $1 lies at $2 to $5 of the archive, unless it does so already, or is not over; the signed bytes of its documents $6 are there.
with placed as (
  insert into archived (lease, over, file, start, bytes, digest)
    select id, over_since(data), $2, $3, $4, $5 from entity where kind = 'lease' and id = $1 and over_since(data) is not null
    on conflict do nothing returning lease
)
update document set envelope = null where lease = $1 and id = any($6) and (select lease from placed) is not null
