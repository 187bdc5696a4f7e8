import sqlite3, datetime
con = sqlite3.connect('t.db')
cur = con.cursor()
cur.execute('CREATE TABLE movie(title, year, score)')
cur.executemany('INSERT INTO movie VALUES(:t, :y, :s)', [{'t': 'a', 'y': 1, 's': 8.2}, {'t': 'b', 'y': 2, 's': 7.5}])
con.commit()
for r in cur.execute('SELECT year, title FROM movie ORDER BY year'):
    print(r)
con.row_factory = sqlite3.Row
print(con.execute('select * from movie').fetchone().keys())
con.create_function('f', 1, lambda x: x * 2)
print(con.execute("select f(3), sqlite_version() > '3', json('[1, 2]')").fetchone()[0])
b = sqlite3.connect(':memory:')
con.backup(b)
print(list(b.iterdump())[:3])
try:
    con.execute('insert into nowhere values (1)')
except sqlite3.OperationalError as e:
    print(e)
con.execute('PRAGMA journal_mode=WAL')
con.execute('PRAGMA mmap_size=1000000')
con2 = sqlite3.connect('t.db', timeout=1)
print(con2.execute('select count(*) from movie').fetchone())
with con:
    con.execute('delete from movie')
print(con.total_changes, con.execute('VACUUM').rowcount)
con.close()
