-- By the reader $1 to $4, of ids that begin with $5.
select id
  from entity
 where kind = 'lease' and id >= $5 and id < $5 || chr(1114111) and lease_seen(data, $1, $2, $3, $4)
 limit $6
