import { expect, it } from "vitest";
import { fetching } from "./fetching.ts";

const MB = 1_000_000;
/** Without colours, which the tests' terminal may have. */
const plain = (line: string): string =>
  line
    .split("\u001B")
    .map((part, i) => (i === 0 ? part : part.replace(/^\[[\d;]*m/, "")))
    .join("")
    .trim();

it("tells of each layer once, of large ones again and again, and why it waits", () => {
  const lines: string[] = [];
  const { onLayer, onWait } = fetching((line) => lines.push(plain(line)));
  onLayer({ layer: 1, of: 3, bytes: 0, size: 900 });
  onLayer({ layer: 1, of: 3, bytes: 900, size: 900 });
  for (let bytes = 0; bytes <= 150 * MB; bytes += MB) onLayer({ layer: 3, of: 3, bytes, size: 150 * MB });
  onWait("r.example broke off", 1_500);
  onLayer({ layer: 3, of: 3, bytes: 0, size: 150 * MB });
  onLayer({ layer: 3, of: 3, bytes: 64 * MB, size: 150 * MB });
  expect(lines).toEqual([
    "fetching layer 1 of 3, 1 kB",
    "fetching layer 3 of 3, 150 MB",
    "64 MB of 150 MB",
    "128 MB of 150 MB",
    "r.example broke off; again in 1.5 s",
    "layer 3 of 3 begins anew",
    "64 MB of 150 MB",
  ]);
});
