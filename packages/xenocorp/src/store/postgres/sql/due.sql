select id
  from entity
 where kind = $1 and data->>'deadlineAt' is not null and (data->>'deadlineAt')::bigint <= $2
 order by (data->>'deadlineAt')::bigint
 limit $3
