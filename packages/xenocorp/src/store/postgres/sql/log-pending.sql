select d.*
  from log_pending p join document d on d.id = p.document_id
 order by p.seq
 limit $1
