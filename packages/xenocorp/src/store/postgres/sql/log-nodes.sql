-- $1: [{level, index}], in this order; $2: the epoch; null: the latest.
select n.hash
  from jsonb_array_elements($1::jsonb) with ordinality as refs(ref, place)
  left join log_node n on n.epoch = coalesce($2, (select max(epoch) from log_head)) and n.level = (ref->>'level')::int and n.index = (ref->>'index')::bigint
 order by place
