select id, debit, credit, amount, at
  from transfer
 where split_part(debit, '/', 1) = $1 or split_part(credit, '/', 1) = $1
 order by seq desc
 limit $2
