"""Reads lines of JSON, joins and filters them, and writes one document."""
import json

lines = [json.dumps({"id": i, "user": f"u{i % 97}", "items": [{"sku": f"s{(i * j) % 53}", "n": j} for j in range(1, 4)]}) for i in range(12_000)]
count = {}
for line in lines:
    order = json.loads(line)
    for item in order["items"]:
        count.setdefault(order["user"], {}).setdefault(item["sku"], 0)
        count[order["user"]][item["sku"]] += item["n"]
best = {user: max(skus.items(), key=lambda pair: (pair[1], pair[0])) for user, skus in count.items()}
document = json.dumps({"best": best, "users": len(best), "text": "größer"}, indent=1, sort_keys=True, ensure_ascii=False)
print(len(document), json.loads(document)["best"]["u5"], document[-20:].strip())
