-- Leases of which nothing was said since before $1, the oldest $2 of them, from where the archive ends. Read in the index's order before
-- anything else is asked of them, as many more as lie there with the last one's time: what the planner believes of the rest leads it nowhere.
with ended as (
  select coalesce(max(over), 0) as at from archived
), first as materialized (
  select e.id, over_since(e.data) as over
    from entity e
   where e.kind = 'lease' and over_since(e.data) is not null and over_since(e.data) < $1 and over_since(e.data) >= (select at from ended)
   order by over_since(e.data), e.id
   limit $2::bigint + (select count(*) from archived where over = (select at from ended))
)
select id
  from first
 where (select a.lease from archived a where a.lease = first.id limit 1) is null
 order by over, id
 limit $2
