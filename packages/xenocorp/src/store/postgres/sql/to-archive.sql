-- Leases of which nothing was said since before $1, the oldest $2 of them, from where the archive ends.
select e.id
  from entity e
 where e.kind = 'lease' and over_since(e.data) is not null and over_since(e.data) < $1
   and over_since(e.data) >= coalesce((select max(over) from archived), 0)
   and (select a.lease from archived a where a.lease = e.id limit 1) is null
 order by over_since(e.data), e.id
 limit $2
