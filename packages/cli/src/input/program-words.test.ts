import { Command } from "commander";
import { expect, it } from "vitest";
import { runInput } from "./verbs/run.ts";
import { separated } from "./program-words.ts";

const command = new Command();
runInput.declare(command);

it.each([
  ["x.py --rounds 20", "x.py -- --rounds 20"],
  ["x.wasm --version", "x.wasm -- --version"],
  ["x.wasm --help", "x.wasm -- --help"],
  ["x.wasm -h -q", "x.wasm -- -h -q"],
  ["--cpu 2 x.py one --out results --rounds 20 --out mine", "--cpu 2 x.py one --out results -- --rounds 20 --out mine"],
  ["x.py --in data -- --rounds 20", "x.py --in data -- --rounds 20"],
  ["x.py -- --out mine", "x.py -- --out mine"],
  ["--cpu --rounds x.py", "--cpu --rounds x.py"],
  ["--rounds 20 x.py", "--rounds 20 x.py"],
  ["x.py --cpu=2 -x", "x.py --cpu=2 -- -x"],
  ["python3 x.py -- --cpu 3", "python3 x.py -- --cpu 3"],
  ["python3 x.py one -- --cpu 3", "python3 x.py one -- -- --cpu 3"],
  ["x.py one -- --out mine", "x.py one -- -- --out mine"],
  ["--cpu 2 debian:12 ls --cpu 2 -- -l", "--cpu 2 debian:12 ls --cpu 2 -- -- -l"],
  ["x.py - -l", "x.py - -- -l"],
  ["x.wasm -i 12 -o 60", "x.wasm -- -i 12 -o 60"],
  ["x.wasm --cpu 2 -t one", "x.wasm --cpu 2 -- -t one"],
  ["-it -u root -w /srv debian:12 ls -l", "-it -u root -w /srv debian:12 ls -- -l"],
  ["--help", "--help"],
])("%s is read as %s", (typed, read) => {
  expect(separated(command.options, typed.split(" ")).join(" ")).toBe(read);
});
