/**
 * What the worker uses of Node. An `import` of one of Node's modules makes all that it exports, for which streams, promises and more are
 * loaded that nobody here uses: a third of the time in which a worker is ready. What a job may do without is read when it is needed.
 */
export const { closeSync, existsSync, fstatSync, openSync, read, readSync, writeSync } = process.getBuiltinModule("node:fs");
export const { promisify } = process.getBuiltinModule("node:util");
export const { Script, runInNewContext } = process.getBuiltinModule("node:vm");

export const setFlag = (flag: string): void => process.getBuiltinModule("node:v8").setFlagsFromString(flag);
export const newSha256 = (): ReturnType<typeof import("node:crypto").createHash> =>
  process.getBuiltinModule("node:crypto").createHash("sha256");
export const sha256 = (bytes: Uint8Array): Uint8Array => newSha256().update(bytes).digest();
