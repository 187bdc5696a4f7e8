# Debian: python3-yaml
import yaml
d = yaml.safe_load("a: [1, 2.5, 2020-01-01]\nb: {x: y}\nc: |\n  text\n  more\n")
print(d); print(yaml.dump(d, sort_keys=True), end="")
