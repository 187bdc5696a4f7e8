import array, bisect, copy, heapq, struct, sys
a = array.array("d", [1.5, -2.25, float("inf")])
b = array.array("i", range(5))
b.byteswap()
print(a.tobytes().hex(), b.tolist(), a.itemsize, memoryview(a).cast("B")[:4].tolist())
print(struct.pack(">hHiIqQfd?3s", -1, 65535, -2, 2**32 - 1, -3, 2**64 - 1, 1.5, -0.0, True, b"ab").hex(), struct.calcsize("<lQ"), sys.byteorder)
heap = [(5, "e"), (1, "a"), (3, "c")]
heapq.heapify(heap)
print(heapq.heappushpop(heap, (2, "b")), heapq.nsmallest(2, heap), list(heapq.merge([1, 4], [2, 3])), heapq.nlargest(1, "zebra"))
grades = [60, 70, 80, 90]
print(["FDCBA"[bisect.bisect(grades, score)] for score in (33, 99, 77, 70, 89, 90, 100)], bisect.bisect_left(["a", "bb"], 2, key=len))
nested = {"a": [1, {2}], "b": (3,)}
deep = copy.deepcopy(nested)
deep["a"][1].add(9)
print(nested, deep, copy.copy(nested)["a"] is nested["a"])
view = memoryview(bytearray(b"abcdef"))
view[1:3] = b"XY"
print(bytes(view), view[::2].tolist(), (12345).to_bytes(3, "little"), int.from_bytes(b"\xff\xfe", "big", signed=True))
