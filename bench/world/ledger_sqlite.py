"""Keeps a ledger in a database file and asks it questions."""
import sqlite3

db = sqlite3.connect("ledger.db")
db.executescript("create table entry (id integer primary key, account text, cents integer, day text); create index by_account on entry (account, day);")
with db:
    db.executemany(
        "insert into entry (account, cents, day) values (?, ?, ?)",
        ((f"a{i % 211}", (i * 37) % 5_000 - 2_500, f"2025-{i % 12 + 1:02}-{i % 28 + 1:02}") for i in range(60_000)),
    )
for query in (
    "select count(*), sum(cents), min(day), max(day) from entry",
    "select account, sum(cents) as s from entry group by account order by s desc, account limit 3",
    "with m as (select substr(day, 1, 7) as month, sum(cents) as s from entry group by 1) select month, s, sum(s) over (order by month) from m limit 2",
):
    print(*db.execute(query).fetchall())
db.close()
