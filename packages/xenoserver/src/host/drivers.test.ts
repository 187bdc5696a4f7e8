/** What a machine gives to strangers, by where it runs. */
import { expect, it } from "vitest";
import { forStrangers } from "./drivers.ts";

it("dom0 gives nothing to strangers where it makes no domains, and says what to start", () => {
  const why = "xenconsoled does not run, and without it no domain has a console: start it (systemctl start xenconsoled)";
  expect(forStrangers({ ok: false, why }, true)).toMatchObject({
    is: "nothing",
    why: expect.stringMatching(/systemctl start xenconsoled.*xen\.enabled = false/),
  });
  expect(forStrangers({ ok: false, why: "this system is not dom0 of a Xen host" }, false)).toMatchObject({ is: "machine" });
});
