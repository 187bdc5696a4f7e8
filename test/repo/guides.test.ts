/** Whatever a page tells its reader to type has its place: it is run by test/pack/guides.test.ts in the page's order, or stands there with a reason. */
import { readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { brokerSettings } from "../../packages/cli/src/local/broker-settings.ts";
import { toldOn } from "../pack/guides/commands.ts";
import { CUSTOMERS, LEFT, MACHINES, OPERATORS } from "../pack/guides/pages.ts";

const PAGES = { ...CUSTOMERS, ...OPERATORS, ...MACHINES, ...LEFT };
const written = [
  ...readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join("docs", name)),
  "README.md",
  "CONTRIBUTING.md",
];

describe("each line that a page has its reader type", () => {
  it.each(written)("of %s has its place", (page) => {
    expect(PAGES[page]?.places.map(([name]) => name) ?? []).toEqual(toldOn(page).map(({ name }) => name));
  });

  it("is of a page that is there", () => {
    expect(Object.keys(PAGES).filter((page) => !written.includes(page))).toEqual([]);
  });
});

it("settings of an operator's page are a broker's", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-page-settings-"));
  try {
    const file = path.join(folder, "xenocorp.toml");
    await writeFile(file, toldOn("docs/operator.md").find(({ name }) => name === "toml 1")!.text);
    expect((await brokerSettings(folder, file)).now).toMatchObject({ name: "market.example", port: 7_400, log_level: "info" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
