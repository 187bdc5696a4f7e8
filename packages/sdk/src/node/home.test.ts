/** Where things lie on each system, as they did from the first version on: who moves them loses keys. */
import { afterEach, expect, it, vi } from "vitest";
import { home, placeFor } from "./home.ts";

afterEach(() => vi.unstubAllEnvs());

const none = (): never => {
  throw new Error("uv_os_homedir returned ENOENT");
};

it.each([
  ["linux", {}, "/home/ann", "/home/ann/.config/xeno", "/home/ann/.local/share/xeno"],
  ["freebsd", {}, "/home/ann", "/home/ann/.config/xeno", "/home/ann/.local/share/xeno"],
  ["linux", { XDG_CONFIG_HOME: "/c", XDG_DATA_HOME: "/d" }, "/home/ann", "/c/xeno", "/d/xeno"],
  // "If an implementation encounters a relative path it should consider the path invalid and ignore it"
  ["linux", { XDG_CONFIG_HOME: "c", XDG_DATA_HOME: "" }, "/home/ann", "/home/ann/.config/xeno", "/home/ann/.local/share/xeno"],
  ["darwin", {}, "/Users/ann", "/Users/ann/Library/Preferences/xeno", "/Users/ann/Library/Application Support/xeno"],
  ["win32", {}, "C:\\Users\\ann", "C:\\Users\\ann\\AppData\\Roaming\\xeno\\Config", "C:\\Users\\ann\\AppData\\Local\\xeno\\Data"],
  ["win32", { APPDATA: "D:\\r", LOCALAPPDATA: "D:\\l" }, "C:\\Users\\ann", "D:\\r\\xeno\\Config", "D:\\l\\xeno\\Data"],
])("on %s with %j", (platform, env, at, config, data) => {
  const machine = { platform, env, homedir: () => at };
  expect([placeFor("config", machine), placeFor("data", machine)]).toEqual([config, data]);
});

// fosrl/cli 44: a user without a home, whom a command needs none for
it.each([
  ["linux", none, "or HOME"],
  ["linux", () => "", "or HOME"],
  ["win32", none, "or USERPROFILE"],
])("on %s says what to set where there is no home", (platform, homedir, says) => {
  expect(() => placeFor("config", { platform, env: {}, homedir })).toThrow(says);
  const env = { XDG_CONFIG_HOME: "/c", APPDATA: "C:\\c" };
  expect(placeFor("config", { platform, env, homedir })).toMatch(/^(\/c|C:\\c)/);
});

it("is one folder by XENO_HOME, and needs no home then", () => {
  vi.stubEnv("XENO_HOME", "/x");
  vi.stubEnv("HOME", "");
  expect([home.contexts, home.data, home.receipts]).toEqual(["/x/config/contexts.json", "/x/data", "/x/receipts"]);
  vi.stubEnv("XENO_HOME", "");
  vi.stubEnv("XDG_DATA_HOME", "");
  expect(() => home.receipts).toThrow("set XENO_HOME");
});
