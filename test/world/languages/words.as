const args = process.argv;
const seen = new Map<string, i32>();
for (let i = 1; i < args.length; i++) {
  const word = args[i];
  seen.set(word, seen.has(word) ? seen.get(word) + 1 : 1);
}
const names = seen.keys();
names.sort();
for (let i = 0; i < names.length; i++) console.log(names[i] + " " + seen.get(names[i]).toString());
let sum: f64 = 0;
for (let i = 1; i <= 1000; i++) sum += 1.0 / <f64>i;
console.log(sum.toString() + " " + (<u64>0xdeadbeef * 3).toString(16) + " " + "äß€😀".toUpperCase());
console.error("to stderr");
if (names.length > 2) process.exit(3);
throw new Error("too few words");
