/** What people type, and tokens that they paste. */
import { parseConditions, parseMib, parseMoney, parseNanos, formatCondition, formatMoney } from "@xenoservers/market";
import { formatEnrolToken, parseEnrolToken } from "@xenoservers/protocol";
import * as typed from "../../../packages/cli/src/input/parse.ts";
import { parseKept } from "../../../packages/dashboard/src/key-store.ts";
import { InputError } from "../../../packages/sdk/src/errors.ts";
import { formatCiToken, parseCiToken } from "../../../packages/sdk/src/ci-token.ts";
import { firstJsonIn } from "../../../packages/sdk/src/oci/first-json.ts";
import { parseReference } from "../../../packages/sdk/src/oci/reference.ts";
import * as sized from "../../../packages/sdk/src/words.ts";
import { CONTROL, visible, visibleJson } from "../../../packages/protocol/src/visible.ts";
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bentJson } from "../mutate/json.ts";
import { bentLine } from "../mutate/text.ts";
import { ACCEPTED, REFUSED, byThrowing, bytesOf, demand, textOf, type Target } from "../target.ts";

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a, shown) === JSON.stringify(b, shown);
const shown = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}n` : value);

const HEX = "ab".repeat(32);
const PINS = { origin: "test/market", keys: { purchaseOrders: HEX, checkpoints: HEX, receipts: HEX }, operatorKey: HEX };
const PARTY = `p_${"0".repeat(40)}`;
const ENROL = { url: "http://localhost:7000", pins: PINS, party: PARTY, seed: HEX };
const CI = {
  ...{ url: "https://market.example/base", pins: PINS, seed: HEX },
  key: { party: PARTY, role: "ci" as const, label: "ci", scopes: ["read" as const], account: null, leaseLabel: null, expiresAt: 1 },
};

/** Bends the token's text, or what stands in it. */
const bentToken =
  (encoding: "base64" | "base64url") =>
  (input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array => {
    if (random.chance(0.3)) return bentLine(input, random, others);
    const [prefix = "", inner = ""] = /^(xeno-[a-z]+-)(.*)$/s.exec(textOf(input))?.slice(1) ?? [];
    const json = new Uint8Array(Buffer.from(inner, encoding));
    return bytesOf(prefix + Buffer.from(bentJson(json, random, [json])).toString(encoding));
  };

const enrolToken: Target = {
  name: "enrol-token",
  covers: ["protocol/src/enrol-token.ts#parseEnrolToken"],
  corpus: async () => [bytesOf(formatEnrolToken(ENROL))],
  mutate: bentToken("base64"),
  play(input) {
    const token = parseEnrolToken(textOf(input));
    if (!token) return REFUSED;
    demand(same(parseEnrolToken(formatEnrolToken(token)), token), "a token is another one once it is written again");
    return ACCEPTED;
  },
};

const ciToken: Target = {
  name: "ci-token",
  covers: ["sdk/src/ci-token.ts#parseCiToken"],
  corpus: async () => [bytesOf(formatCiToken(CI))],
  mutate: bentToken("base64url"),
  play: (input) =>
    byThrowing(() => {
      const token = parseCiToken(textOf(input));
      demand(same(parseCiToken(formatCiToken(token)), token), "a token is another one once it is written again");
    }, InputError),
};

const keptKey: Target = {
  name: "kept-key",
  covers: ["dashboard/src/key-store.ts#parseKept", "dashboard/src/key-store.ts#readKept"],
  corpus: async () =>
    [
      { kind: "own", seed: HEX, pins: PINS },
      { kind: "token", token: formatCiToken(CI) },
    ].map((kept) => bytesOf(JSON.stringify(kept))),
  mutate: bentJson,
  play(input) {
    const kept = parseKept(textOf(input));
    if (kept === null) return REFUSED;
    demand(same(parseKept(JSON.stringify(kept)), kept), "what is kept is another once it is kept again");
    return ACCEPTED;
  },
};

const money: Target = {
  name: "money",
  covers: ["market/src/money.ts#parseNanos", "market/src/money.ts#parseMoney", "market/src/condition.ts#parseMib"],
  corpus: async () =>
    ["0", "1", "0.05", "999999.999999999", "1000000000000000", "12345", "4G", "512M", "1.5GiB", "2TB", " 0.50 "].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const text = textOf(input);
    const [nanos, amount, mib] = [parseNanos(text), parseMoney(text), parseMib(text)];
    demand(nanos === null || (nanos >= 0n && String(nanos) === text), "nanos are read that are written in another way");
    demand(amount === null || (amount >= 0n && parseMoney(formatMoney(amount)) === amount), "an amount is another one once it is shown");
    demand(mib === null || Number.isSafeInteger(mib), "a size is no number");
    return nanos !== null || amount !== null || mib !== null ? ACCEPTED : REFUSED;
  },
};

const conditions: Target = {
  name: "conditions",
  covers: ["market/src/condition.ts#parseConditions"],
  corpus: async () =>
    ["cpu>=2 mem>=4G region=eu price<0.05", "label.gpu=none,disk>10G", "driver=wasm assurance!=attested owner=p_1", "score>=1.5"].map(
      bytesOf,
    ),
  mutate: bentLine,
  play(input) {
    const parsed = parseConditions(textOf(input));
    if (!parsed.ok) return parsed.code;
    const again = parseConditions(parsed.conditions.map(formatCondition).join(" "));
    demand(again.ok && same(again.conditions, parsed.conditions), "conditions are others once they are written again");
    return ACCEPTED;
  },
};

const READERS: readonly [name: string, read: (text: string) => unknown, isRight: (value: unknown) => boolean][] = [
  ["parseDurationMs", (text) => sized.parseDurationMs(text, "--for"), (value) => Number.isSafeInteger(value)],
  ["parseAmount", (text) => sized.parseAmount(text, "--budget"), (value) => typeof value === "bigint" && value >= 0n],
  ["parseBudget", (text) => sized.parseBudget(text, "--budget"), (value) => typeof value === "bigint" && value > 0n],
  ["parseSizeMib", (text) => sized.parseSizeMib(text, "--mem"), (value) => Number.isSafeInteger(value) && Number(value) >= 1],
  ["parseCount", (text) => sized.parseCount(text, "--n", 100), (value) => Number(value) >= 1 && Number(value) <= 100],
  ["parsePort", (text) => typed.parsePort(text, "--port"), (value) => Number.isInteger(value) && Number(value) < 65_536],
  ["parseGigaFuel", (text) => sized.parseGigaFuel(text, "--fuel"), (value) => typeof value === "bigint" && value > 0n],
  ["parsePercent", (text) => sized.parsePercent(text, "--fee"), (value) => Number.isInteger(value) && Number(value) <= 5_000],
  ["parseTime", (text) => typed.parseTime(text, "--from"), (value) => Number.isSafeInteger(value)],
  ["parseScopes", (text) => typed.parseScopes(text, "--scopes"), (value) => Array.isArray(value) && value.length > 0],
  ["parseWitness", (text) => typed.parseWitness(text), (value) => typeof value === "object"],
];

const words: Target = {
  name: "words",
  covers: READERS.map(([name]) => `${name in typed ? "cli/src/input/parse.ts" : "sdk/src/words.ts"}#${name}`).concat(
    "cli/src/input/parse.ts#isAccount",
  ),
  corpus: async () =>
    [
      "90s",
      "1.5h",
      "0.50",
      "512M",
      "2.5%",
      "2026-12-01",
      "2026-12-01T14:30+02:00",
      "read,spend",
      "8080",
      `w.example=${HEX}`,
      `a_${"0".repeat(40)}`,
    ].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const text = textOf(input);
    typed.isAccount(text);
    const outcomes = READERS.map(([name, read, isRight]) =>
      byThrowing(() => demand(isRight(read(text)), `${name} reads what it never may`), InputError),
    );
    return outcomes.includes(ACCEPTED) ? ACCEPTED : InputError.name;
  },
};

const reference: Target = {
  name: "image-name",
  covers: ["sdk/src/oci/reference.ts#parseReference"],
  corpus: async () =>
    ["python:3.12", "ghcr.io/a/b-c/d__e:v1", "localhost:5000/x", `docker.io/library/x@sha256:${HEX}`, "a.b/c.d/e:latest"].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const parsed = parseReference(textOf(input));
    if (!parsed) return REFUSED;
    const { registry, repository, version } = parsed;
    const sign = version.startsWith("sha256:") ? "@" : ":";
    demand(same(parseReference(`${registry}/${repository}${sign}${version}`), parsed), "a name is another one once it is written again");
    demand(new URL(`https://${registry}/v2/${repository}`).pathname === `/v2/${repository}`, "a name leads elsewhere in its registry");
    return ACCEPTED;
  },
};

const shownText: Target = {
  name: "shown-text",
  covers: ["protocol/src/visible.ts#visible", "protocol/src/visible.ts#visibleJson"],
  corpus: async () => ["plain", "\x1b[31mred\x1b[0m", "a\u202Eb", "\u009b2J", "é\n\t"].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const text = textOf(input);
    demand(!CONTROL.test(visible(text)), "a control character is shown as it is");
    const json = JSON.stringify({ text });
    demand(!CONTROL.test(visibleJson(json)) && same(JSON.parse(visibleJson(json)), { text }), "JSON is another value once it is shown");
    return ACCEPTED;
  },
};

/** What a credential helper says. */
const helperAnswer: Target = {
  name: "helper-answer",
  covers: ["sdk/src/oci/first-json.ts#firstJsonIn"],
  corpus: async () =>
    ['{"ServerURL":"}{","Username":"a\\"b","Secret":"c"}\nnote: {it ends soon}', ' {"Username":{"x":["}"]}}{"Secret":""}'].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const text = textOf(input);
    const found = firstJsonIn(text);
    demand(found === undefined || same(firstJsonIn(`${text}" }{`), found), "what stands behind a value changes it");
    return found === undefined ? REFUSED : ACCEPTED;
  },
};

export const WORD_TARGETS: readonly Target[] = [enrolToken, ciToken, keptKey, money, conditions, words, reference, helperAnswer, shownText];
