/** What a schema refuses is said in words, also where nobody but this package has loaded zod. */
import { expect, it } from "vitest";
import { schemaOf } from "./documents/table.ts";
import { parseMessage, zToBroker } from "./link/messages.ts";
import { parseChannelHeader } from "./channel/channel-messages.ts";

it("names what is wrong with each part of a document", () => {
  const { error } = schemaOf("claim").safeParse({ lease: "x", sequence: "1", more: 1 });
  expect(error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)).toEqual(
    expect.arrayContaining([
      "lease: must be 32 bytes of lowercase hex",
      "sequence: Invalid input: expected number, received string",
      ': Unrecognized key: "more"',
    ]),
  );
});

it("tells whoever sent a job what of it cannot be read", () => {
  expect(parseMessage(zToBroker, "{}")).toBeNull();
  expect(parseChannelHeader('{"t":"job","spec":{"module":1}}')).toMatchObject({
    t: "unreadable",
    why: "spec.module: Invalid input: expected string, received number",
  });
});
