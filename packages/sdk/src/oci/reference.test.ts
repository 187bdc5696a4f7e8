import { expect, it } from "vitest";
import { isNameInCapitals, isShortName, parseReference } from "./reference.ts";

it.each([
  ["python:3.12", "registry-1.docker.io", "library/python", "3.12"],
  ["ghcr.io/a/b-c/d__e:v1", "ghcr.io", "a/b-c/d__e", "v1"],
  ["localhost:5000/x", "localhost:5000", "x", "latest"],
  ["[::1]:5000/x:v1", "[::1]:5000", "x", "v1"],
  ["[2001:db8::1]/a/x", "[2001:db8::1]", "a/x", "latest"],
  ["docker://alpine:3", "registry-1.docker.io", "library/alpine", "3"],
  ["docker://localhost:5000/x", "localhost:5000", "x", "latest"],
  ["index.docker.io/alpine", "registry-1.docker.io", "library/alpine", "latest"],
  [`r.example/x:v1@sha256:${"0".repeat(64)}`, "r.example", "x", `sha256:${"0".repeat(64)}`],
  [`r.example/x@sha512:${"0".repeat(128)}`, "r.example", "x", `sha512:${"0".repeat(128)}`],
  ["docker.io/a.b/c--d", "registry-1.docker.io", "a.b/c--d", "latest"],
])("reads %s as container engines do", (text, registry, repository, version) => {
  expect(parseReference(text)).toEqual({ registry, repository, version });
});

it.each([
  "n/./e",
  "n/../../e",
  "r.example/a/../../v2/b",
  "a..b",
  "a//b",
  "N/x",
  "docker:///x",
  "docker://docker://x",
  "http://r.example/x",
  ".0/x",
  "s.0/x",
  "-a.b/x",
  "a.example:99999/x",
  "a/b-",
  "[::1/x",
  "[:::1]/x",
  "[g::1]/x",
  "::1/x",
  `x@sha512:${"0".repeat(64)}`,
  `x@sha384:${"0".repeat(96)}`,
])("takes no name that leads elsewhere in a registry, or to none: %s", (text) => {
  expect(parseReference(text)).toBeNull();
});

it.each([
  ["Box", true],
  ["r.example:5000/A/Box:v1", true],
  [`Box@sha256:${"0".repeat(64)}`, true],
  ["box:V1", false],
  ["R.EXAMPLE/box", false],
  ["Box:", false],
  ["./Box", false],
])("knows of %s whether capitals alone are wrong with it", (text, isSo) => expect(isNameInCapitals(text)).toBe(isSo));

it.each([
  ["alpine", true],
  ["library/alpine", true],
  ["docker://alpine", false],
  ["r.example/alpine", false],
])("knows of %s whether settings say what it stands for", (text, isSo) => expect(isShortName(text)).toBe(isSo));
