import sys
import time

print("begin", flush=True)
start = time.monotonic()
while time.monotonic() - start < 4:  # the guest's clock goes by its work: sleeping would take no time at all
    pass
print("end")
sys.exit(7)
