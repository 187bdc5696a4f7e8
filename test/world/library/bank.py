import sqlite3
db = sqlite3.connect("bank.db")
db.row_factory = sqlite3.Row
db.execute("pragma foreign_keys = on")
db.executescript("create table account(id integer primary key, name text unique, cents integer check (cents >= 0)); create table entry(account references account, cents, at text default current_timestamp); create index by_account on entry(account);")
with db:
    db.executemany("insert into account(name, cents) values (?, ?)", [("ann", 500), ("bob", 0), ("çem", 12)])
def move(a, b, cents):
    with db:
        db.execute("update account set cents = cents - :c where name = :n", {"c": cents, "n": a})
        db.execute("update account set cents = cents + ? where name = ?", (cents, b))
move("ann", "bob", 200)
try:
    move("bob", "ann", 900)
except sqlite3.IntegrityError as error:
    print(error)
print([tuple(row) for row in db.execute("select name, cents from account order by name desc")], db.total_changes > 0)
print([dict(row) for row in db.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < 4) select i, i * i as sq, sum(i) over (order by i) as run from n")])
db.create_function("rev", 1, lambda text: text[::-1], deterministic=True)
class Longest:
    def __init__(self): self.best = ""
    def step(self, value): self.best = max(self.best, value, key=len)
    def finalize(self): return self.best
db.create_aggregate("longest", 1, Longest)
print(db.execute("select rev(name), longest(name) from account").fetchone()[1], db.execute("select json_extract('{\"a\":[1,2,{\"b\":3}]}', '$.a[2].b')").fetchone()[0])
db.execute("create virtual table notes using fts5(body)")
db.executemany("insert into notes values (?)", [("the quick brown fox",), ("lazy dogs sleep",)])
print([row[0] for row in db.execute("select body from notes where notes match 'quick OR sleep' order by rank, body")])
db.commit()
copy = sqlite3.connect(":memory:")
db.backup(copy)
print("\n".join(list(copy.iterdump())[:3]), copy.execute("pragma integrity_check").fetchone())
db.execute("pragma journal_mode = wal")
db.close()
try:
    sqlite3.connect("nowhere/x.db")
except sqlite3.OperationalError as error:
    print(error)
