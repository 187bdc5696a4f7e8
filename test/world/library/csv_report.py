import csv, io, statistics, sys, textwrap
from collections import defaultdict
raw = "region;seller;amount\r\nnord;\"Ann; Mary\";12,50\r\nsüd;Bob;\"3\n4\"\r\nnord;Cy;7\r\n"
rows = list(csv.DictReader(io.StringIO(raw, newline=""), delimiter=";"))
print(rows)
class Pipes(csv.Dialect):
    delimiter, quotechar, lineterminator, quoting, escapechar, doublequote = "|", "'", "\n", csv.QUOTE_NONNUMERIC, "\\", False
csv.register_dialect("pipes", Pipes)
writer = csv.writer(sys.stdout, "pipes")
writer.writerows([["a", 1.5, "it's"], ["b|c", 2, None]])
print(list(csv.reader(["'x'|2|'y'"], "pipes")))
sums = defaultdict(list)
for row in rows:
    sums[row["region"]].append(float(row["amount"].replace(",", ".").split("\n")[0]))
for region, amounts in sorted(sums.items()):
    print(f"{region:>6} {statistics.fmean(amounts):8.3f} {statistics.pstdev(amounts):.4f} {max(amounts):g}")
try:
    list(csv.reader(['"open'], strict=True))
except csv.Error as error:
    print(error)
print(csv.Sniffer().has_header("name,age\nann,3\nbob,4\n"), csv.field_size_limit(), csv.list_dialects())
print(statistics.median_grouped([1, 2, 2, 3]), statistics.quantiles(range(1, 11), n=4), statistics.linear_regression([1, 2, 3], [2, 4, 7]), statistics.multimode("aabbc"), statistics.NormalDist(100, 15).cdf(130))
print(textwrap.fill("The quick brown fox jumps over the lazy dog, as it is told in every office of the world.", 30, initial_indent="* ", subsequent_indent="  "))
print(textwrap.shorten("Hello  world and all the rest", 18), repr(textwrap.dedent("  a\n    b\n  c\n")), textwrap.indent("x\n\ny", "> "))
