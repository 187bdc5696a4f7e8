-- $2: the states in which a lease holds money.
select data
  from entity
 where kind = 'lease' and data->>'server' = $1
   and (data->>'state' = any($2) or (data->>'state' = 'disputed' and data->'trace'->'document' = 'null'::jsonb))
