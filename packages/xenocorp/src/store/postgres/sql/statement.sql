-- Of the account $1: the latest $2 before the place $3.
with moved as (
  (select id, debit, credit, amount, at, seq from transfer where split_part(debit, '/', 1) = $1 and seq < $3 order by seq desc limit $2)
  union
  (select id, debit, credit, amount, at, seq from transfer where split_part(credit, '/', 1) = $1 and seq < $3 order by seq desc limit $2)
)
select id, debit, credit, amount, at, seq
  from moved
 order by seq desc
 limit $2
