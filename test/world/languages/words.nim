import std/[tables, os, algorithm, strutils, sequtils]
{.emit: "extern int cmdCount; extern char** cmdLine; void NimMain(void);\nint main(int argc, char** argv) { cmdLine = argv; cmdCount = argc; NimMain(); return 0; }".}
{.compile: "nim-locks.c".}
type Bad = object of CatchableError
proc risky(n: int): int =
  if n > 2: raise newException(Bad, "too many: " & $n)
  n * 2
var seen = initCountTable[string]()
for w in commandLineParams(): seen.inc w
for w in toSeq(seen.keys).sorted: echo w, " ", seen[w]
echo toSeq(1..10).filterIt(it mod 2 == 0).mapIt(it * it), " ", (1.0 / 3).formatFloat(ffDecimal, 10), " ", "héllo".toUpperAscii
try: discard risky(3)
except Bad as e: echo e.msg
finally: echo "finally"
writeFile("left.txt", "kept\n")
echo readFile("left.txt").strip, " ", fileExists("left.txt"), " ", toSeq(walkDir(".")).len > 0
quit(seen.len)
