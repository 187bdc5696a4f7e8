-- Whether the challenge $1, good until $2, is answered for the first time; some of those that were over at $3 go.
with over as (
  delete from used_challenge where challenge in (
    select challenge from used_challenge where until <= $3 order by until limit 100 for update skip locked)
)
insert into used_challenge (challenge, until) values ($1, $2) on conflict do nothing returning true as first
