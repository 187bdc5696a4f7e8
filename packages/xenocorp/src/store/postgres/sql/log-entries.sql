select d.*
  from log_leaf l join document d on d.id = l.document_id
 where l.epoch = (select max(epoch) from log_head) and l.index >= $1 and l.index < $2
 order by l.index
