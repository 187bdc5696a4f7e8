import csv, sys
with open('e.csv', 'w', newline='') as f:
    w = csv.DictWriter(f, ['a', 'b'])
    w.writeheader()
    w.writerow({'a': 'x, "y"', 'b': 'l\nm'})
with open('e.csv', newline='') as f:
    print(list(csv.DictReader(f)))
print(csv.Sniffer().sniff('a;b;c\n1;2;3').delimiter, csv.list_dialects())
w = csv.writer(sys.stdout)
w.writerow([1, 'é', None])
