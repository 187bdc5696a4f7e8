-- The first $1 orders that wait for room. Only those have a deadline, so that the index of deadlines finds them.
select data
  from entity
 where kind = 'order' and data->>'deadlineAt' is not null and data->'waiting' is not null and data->'waiting' <> 'null'::jsonb
 order by (data->'waiting'->>'since')::bigint, id
 limit $1
