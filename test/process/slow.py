import sys
import time

print("begin", flush=True)
time.sleep(5)
print("end")
sys.exit(7)
