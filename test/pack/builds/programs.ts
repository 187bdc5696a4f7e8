/** What tools of others build and run: one program in the languages that they take, and what they are told of it. */

const BODY = (words: string, connect: string): string => `
const words${words} = ["over", "there"];
const market = await Market.connect(${connect});
const source = "import sys\\nprint('hello from', *sys.argv[1:])";
const job = await market.run({ python: { source }, args: words, budget: "0.10" });
const { ok, stdout, verification } = await job.result;
const { ok: holds } = await market.verify(job.lease);
console.log(JSON.stringify({ ok, says: stdout, verified: verification.ok, holds }));
market.close();
`;
const IMPORT = 'import { Market } from "@xenoservers/sdk";\n';

export const MODULE = IMPORT + BODY("", "");
export const TYPED = IMPORT + BODY(": readonly string[]", "");
export const COMMON = `const { Market } = require("@xenoservers/sdk");\nvoid (async () => {${BODY("", "")}})();\n`;
export const PAGE = IMPORT + BODY("", "{ token: globalThis.process.env.PAGE_TOKEN }");
export const UNDER_JEST = `${IMPORT}
it("runs", async () => {
  let said = "";
  const console = { log: (text: string): void => void (said = text) };
${BODY(": readonly string[]", "")}
  expect(JSON.parse(said)).toEqual({ ok: true, says: "hello from over there\\n", verified: true, holds: true });
});
`;

const TSCONFIG = {
  compilerOptions: {
    ...{ target: "es2022", module: "nodenext", lib: ["es2024", "dom", "esnext.disposable"], types: ["node", "jest"] },
    ...{ strict: true, skipLibCheck: true, isolatedModules: true },
  },
};
const JEST = {
  ...{ testMatch: ["**/jest.test.ts"], testTimeout: 900_000, extensionsToTreatAsEsm: [".ts"] },
  transform: { "\\.ts$": ["ts-jest", { useESM: true }] },
};
/** As its users write it: what others' packages ask for by \`require\` is taken in, too. */
const ROLLUP = `
import commonjs from "@rollup/plugin-commonjs";
import json from "@rollup/plugin-json";
import resolve from "@rollup/plugin-node-resolve";
export default {
  input: "program.mjs",
  output: { format: "es", entryFileNames: "program.mjs" },
  plugins: [resolve({ exportConditions: ["node"], preferBuiltins: true }), commonjs(), json()],
};
`;
const WEBPACK = `
import path from "node:path";
import webpack from "webpack";
const config = {
  mode: "production", target: "node", entry: "./program.mjs", experiments: { outputModule: true }, optimization: { minimize: false },
  output: { path: process.argv[2], filename: "program.mjs", module: true, chunkFormat: "module" },
};
webpack(config, (error, stats) => {
  console.log(error ?? stats.toString({ colors: false }));
  process.exitCode = error || stats.hasErrors() ? 1 : 0;
});
`;
const VITE = `
export default {
  build: { ssr: "program.mjs", rolldownOptions: { output: { entryFileNames: "program.mjs" } } },
  ssr: { noExternal: true },
};
`;

/** By their files' names. */
export const CONFIGS: Readonly<Record<string, string>> = {
  ...{ "tsconfig.json": JSON.stringify(TSCONFIG), "jest.config.json": JSON.stringify(JEST) },
  ...{ "rollup.config.mjs": ROLLUP, "webpack.mjs": WEBPACK, "vite.config.mjs": VITE },
};
