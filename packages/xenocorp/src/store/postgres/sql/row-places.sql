-- Where the rows of the leases $1 lie, of those that are not here.
select lease, row_file as file, row_start as start, row_bytes as bytes, row_digest as digest
  from archived
 where lease = any($1) and row_file is not null
