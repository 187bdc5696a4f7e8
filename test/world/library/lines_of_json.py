import collections, csv, functools, gzip, io, itertools, json, operator, pathlib, random, re, sqlite3, sys
rng = random.Random(7)
events = [{"at": f"2026-11-{d:02}T{h:02}:00:00Z", "who": rng.choice(["ann", "bob", "çem"]), "ms": rng.randint(1, 900)} for d in range(1, 6) for h in range(0, 24, 6)]
with gzip.open("events.jsonl.gz", "wt", encoding="utf-8") as out:
    for event in events:
        out.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
with gzip.open("events.jsonl.gz", "rt", encoding="utf-8") as lines:
    again = [json.loads(line) for line in lines]
print(again == events, len(again), pathlib.Path("events.jsonl.gz").stat().st_size > 50)
by_day = collections.defaultdict(list)
for event in again:
    by_day[re.match(r"\d{4}-\d\d-(\d\d)", event["at"])[1]].append(event["ms"])
for day, times in by_day.items():
    print(day, sum(times), max(times), f"{sum(times) / len(times):.2f}", "#" * (sum(times) // 200))
out = io.StringIO()
table = csv.DictWriter(out, ["who", "count", "ms"])
table.writeheader()
keyed = sorted(again, key=operator.itemgetter("who"))
for who, group in itertools.groupby(keyed, key=operator.itemgetter("who")):
    group = list(group)
    table.writerow({"who": who, "count": len(group), "ms": functools.reduce(lambda a, e: a + e["ms"], group, 0)})
sys.stdout.write(out.getvalue().replace("\r", ""))
db = sqlite3.connect(":memory:")
db.execute("create table e(at text, who text, ms int)")
db.executemany("insert into e values (:at, :who, :ms)", again)
print(db.execute("select strftime('%H', at) h, round(avg(ms), 1), count(distinct who) from e group by h having count(*) > 2 order by 2 desc").fetchall())
print(db.execute("select who, ms, rank() over (partition by who order by ms desc) r from e order by r, who limit 4").fetchall())
