-- By the reader $1 to $4, in any state: the latest $5 after the place $6, $7. As lease_seen, a branch for each way to see a lease, so that each reads an index in the
-- order of time.
with seen as (
  (select id, data
     from entity
    where kind = 'lease' and $2::text is null and $3::text is null and $4::text is null and data->>'customer' = $1
      and ((data->>'issuedAt')::bigint, id) < ($6::bigint, $7)
    order by (data->>'issuedAt')::bigint desc, id desc
    limit $5)
  union all
  (select id, data
     from entity
    where kind = 'lease' and $2::text is null and $3::text is null and $4::text is null and data->>'owner' = $1 and data->>'customer' <> $1
      and ((data->>'issuedAt')::bigint, id) < ($6::bigint, $7)
    order by (data->>'issuedAt')::bigint desc, id desc
    limit $5)
  union all
  (select id, data
     from entity
    where kind = 'lease' and $2::text is not null and $4::text is null and data->>'account' = $2 and data->>'customer' = $1 and ($3::text is null or data->>'label' = $3)
      and ((data->>'issuedAt')::bigint, id) < ($6::bigint, $7)
    order by (data->>'issuedAt')::bigint desc, id desc
    limit $5)
  union all
  (select id, data
     from entity
    where kind = 'lease' and $2::text is null and $3::text is not null and $4::text is null and data->>'customer' = $1 and data->>'label' = $3
      and ((data->>'issuedAt')::bigint, id) < ($6::bigint, $7)
    order by (data->>'issuedAt')::bigint desc, id desc
    limit $5)
  union all
  (select id, data
     from entity
    where kind = 'lease' and $4::text is not null and data->>'serverKey' = $4 and data->>'owner' = $1
      and ((data->>'issuedAt')::bigint, id) < ($6::bigint, $7)
    order by (data->>'issuedAt')::bigint desc, id desc
    limit $5)
)
select data
  from seen
 order by (data->>'issuedAt')::bigint desc, id desc
 limit $5
