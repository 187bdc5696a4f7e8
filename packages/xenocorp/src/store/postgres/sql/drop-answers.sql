-- Those given before $1 (ms), the oldest $2 of them. Rows are named by where they lie, which no plan finds by reading the table.
with old as materialized (
  select ctid from applied where at < to_timestamp($1::bigint / 1000.0) order by at limit $2 for update skip locked
)
delete from applied where ctid = any(array(select ctid from old))
