import { expect, it } from "vitest";
import { challengesIn } from "./challenge.ts";

it.each([
  ["", []],
  ["Basic", [{ scheme: "basic", params: {} }]],
  [
    "Basic, Bearer",
    [
      { scheme: "basic", params: {} },
      { scheme: "bearer", params: {} },
    ],
  ],
  [
    'Bearer realm="https://a/t" , service="a,b=c" ,scope="x:y:pull,push"',
    [{ scheme: "bearer", params: { realm: "https://a/t", service: "a,b=c", scope: "x:y:pull,push" } }],
  ],
  ['bearer REALM=https service = "a"', [{ scheme: "bearer", params: { realm: "https", service: "a" } }]],
  [
    'Basic realm="a \\"b\\", Bearer realm=no", Bearer realm="https://t", Digest qop="auth", nonce=1',
    [
      { scheme: "basic", params: { realm: 'a "b", Bearer realm=no' } },
      { scheme: "bearer", params: { realm: "https://t" } },
      { scheme: "digest", params: { qop: "auth", nonce: "1" } },
    ],
  ],
  [
    "Negotiate YWJj==, Basic realm=x",
    [
      { scheme: "negotiate", params: {} },
      { scheme: "basic", params: { realm: "x" } },
    ],
  ],
  ['Bearer realm="first", realm="second"', [{ scheme: "bearer", params: { realm: "first" } }]],
  [
    'Bearer realm="never closed',
    [
      { scheme: "bearer", params: {} },
      { scheme: "realm", params: {} },
    ],
  ],
])("reads %j", (header, found) => {
  expect(challengesIn(header)).toEqual(found);
});
