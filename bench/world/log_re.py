"""Finds what is slow and what fails in a web server's log."""
import re
from collections import Counter

LINE = re.compile(r'(?P<host>\S+) \S+ \S+ \[(?P<at>[^\]]+)\] "(?P<verb>[A-Z]+) (?P<path>[^ "]+)[^"]*" (?P<status>\d{3}) (?P<size>\d+|-) (?P<ms>\d+)ms')
log = "\n".join(
    f'10.0.{i % 7}.{i % 251} - - [12/Nov/2025:10:{i % 60:02}:{i % 59:02} +0000] "{"GET" if i % 5 else "POST"} /shop/{i % 23}/item?id={i} HTTP/1.1" '
    f'{(200, 200, 301, 404, 500)[i % 5]} {i * 13 % 9000} {i * 31 % 800}ms'
    for i in range(30_000)
)
failed, slow = Counter(), Counter()
for match in LINE.finditer(log):
    path = re.sub(r"\?.*", "", match["path"])
    if match["status"] >= "500":
        failed[path] += 1
    if int(match["ms"]) > 700:
        slow[path] += 1
print(sum(failed.values()), failed.most_common(2), sum(slow.values()), len(re.split(r"\s+(?=10\.)", log)))
