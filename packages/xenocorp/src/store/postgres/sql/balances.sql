-- Of the keys that begin with any of $1. No key holds the last character that there is.
select distinct b.key, b.amount
  from unnest($1::text[]) prefix
 cross join lateral (
   select key, amount from balance where key >= prefix collate "C" and key < (prefix || chr(1114111)) collate "C"
 ) b
