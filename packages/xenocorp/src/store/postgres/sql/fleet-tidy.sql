-- Brokers but $1 that were silent for $2 ms are gone with their routes; notes that all have read, and turns that were over at $3, too.
with gone as (
  delete from broker where id <> $1 and beat_at < (extract(epoch from clock_timestamp()) * 1000)::bigint - $2 returning id
), turns as (
  delete from turn where until < $3
), notes as (
  delete from note where xid < (select min(read) from broker where id not in (select id from gone))
)
select id from gone
