-- Leases whose receipts lie in the archive and whose rows are here, the oldest $1 of them.
select lease, over
  from archived
 where row_file is null
 order by over, lease
 limit $1
