-- On the condition that the head of the epoch $1 has the size $2, and that the broker $8 has the sequencer's place in its term $9 (null: there is one only). $6: [{hash, documentId}]; $7: [{level, index, hash}].
with placed as (
  select 1 from duty where name = 'sequencer' and broker = $8 and term = $9::bigint for share
), moved as (
  update log_head set size = $3, root = $4, checkpoint = $5
   where epoch = $1 and size = $2 and ($8::text is null or exists (select 1 from placed)) returning 1
), leaves as (
  insert into log_leaf (epoch, index, hash, document_id)
    select $1, $2::bigint + place - 1, leaf->>'hash', leaf->>'documentId'
      from jsonb_array_elements($6::jsonb) with ordinality as given(leaf, place)
     where exists (select 1 from moved)
), nodes as (
  insert into log_node (epoch, level, index, hash)
    select $1, (node->>'level')::int, (node->>'index')::bigint, node->>'hash'
      from jsonb_array_elements($7::jsonb) node
     where exists (select 1 from moved)
), taken as (
  delete from log_pending
   where document_id in (select leaf->>'documentId' from jsonb_array_elements($6::jsonb) leaf) and exists (select 1 from moved)
)
select exists (select 1 from moved) as moved
