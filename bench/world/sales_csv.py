"""Sums a table of sales by region and month, and writes the sums as a table."""
import csv
import io
from collections import defaultdict

rows = [["region", "month", "amount"]]
for i in range(40_000):
    rows.append([("north", "south", "east", "west")[i % 4], f"2025-{i % 12 + 1:02}", str((i * 7919) % 10_000 / 100)])
text = io.StringIO()
csv.writer(text).writerows(rows)
sums = defaultdict(float)
for row in csv.DictReader(io.StringIO(text.getvalue())):
    sums[row["region"], row["month"]] += float(row["amount"])
with open("sums.csv", "w", newline="") as file:
    out = csv.writer(file)
    for (region, month), amount in sorted(sums.items()):
        out.writerow([region, month, f"{amount:.2f}"])
with open("sums.csv", newline="") as file:
    lines = list(csv.reader(file))
print(len(lines), lines[0], lines[-1])
