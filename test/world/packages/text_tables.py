# Debian: python3-tabulate python3-prettytable python3-wcwidth
from tabulate import tabulate
from prettytable import PrettyTable
print(tabulate([["a",1.5],["b",22]], headers=["n","v"], tablefmt="grid")); t=PrettyTable(["a","ü"]); t.add_row([1,"日本"]); print(t)
